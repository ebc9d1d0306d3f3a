/** Records of kinds that only a later version knows: kept, handed on and ignored by this version. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Keys } from "../src/ports.ts";
import { tickAt, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import { otherRecordBytesMax, type OtherRecord } from "../src/schema/other-record.ts";
import { everySeconds } from "../src/sim/client/schedules.ts";
import { World } from "../src/sim/world/world.ts";
import { signedOtherBytes, verifyOtherRecord } from "../src/wire/records.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";
import { FuzzMesh, members, victim } from "./kit/fuzz/mesh.ts";

const second = 1_000;
const minute = 60 * second;
const [own, later, third] = ["peer-1", "peer-2", "peer-3"] as [PeerId, PeerId, PeerId];

test("a later version's record of a kind unknown here passes through a peer of this version to a third one, also after its restart", () => {
  const world = new World({
    ...calmWorld,
    seed: "other records",
    peers: 3,
    skewMs: 20,
    driftPpm: 10,
    traits: (peer) => ({ role: "worker", capacity: 100, isLater: peer === later }),
  });
  const othersOn = (peer: PeerId): OtherRecord[] =>
    [...world.hosts.get(peer).storage.others.values()].toSorted((a, b) =>
      `${a.tick} ${a.name}` < `${b.tick} ${b.name}` ? -1 : 1,
    );
  for (const peer of [later, own]) world.at(epoch, () => world.hosts.start(peer));
  world.at(epoch + 15 * second, () => {
    const rules = {
      id: "dump" as JobId,
      schedule: everySeconds(10),
      overlap: "allow",
      catchUp: { policy: "none", windowMs: minute },
      peers: undefined,
    } as const;
    world.ask(own, { kind: "put", rules });
  });
  world.at(epoch + 3 * minute, () => world.hosts.kill(later));
  world.at(epoch + 4 * minute, () => {
    world.hosts.kill(own);
    world.hosts.start(own);
  });
  world.runUntil(epoch + 5 * minute);
  const kept = othersOn(own);
  assert.ok(kept.length > 3, `${kept.length} such records`);
  assert.deepEqual(kept[0], { ...kept[0], kind: "notice", to: ["ops", null] });
  world.hosts.start(third);
  world.runUntil(epoch + 7 * minute);
  assert.deepEqual(othersOn(third), kept);
  const evidence = world.evidence(world.now(), []);
  assert.ok(evidence.final.length > 0);
  for (const { records } of evidence.final) {
    assert.ok(records.size > 0);
    assert.ok(
      [...records.values()].every((record) => !("to" in record)),
      "none is shown as a run",
    );
  }
});

/** Its signature is its writer's name and the bytes. */
function signed(fields: object): OtherRecord {
  const record = {
    kind: "set",
    job: "dump" as JobId,
    tick: "2026-11-20T00:00:00Z" as TickId,
    name: "",
    peer: "a" as PeerId,
    version: 1,
    signature: "",
    ...fields,
  };
  const bytes = Buffer.concat([Buffer.from(record.peer), signedOtherBytes(record) ?? Buffer.of()]);
  return { ...record, signature: bytes.toString("base64url") };
}

test("a record of an unknown kind is taken only as its writer has signed it, and only up to its size", () => {
  const keys: Pick<Keys, "verify"> = {
    verify: (peer, bytes, signature) => Buffer.concat([Buffer.from(peer), bytes]).equals(signature),
  };
  const isTaken = (record: OtherRecord) => verifyOtherRecord(record, keys as Keys);
  const genuine = signed({ peers: ["b", "c"] });
  assert.ok(isTaken(genuine));
  for (const change of [{ peers: ["b"] }, { kind: "notice" }, { peer: "b" as PeerId }, { version: 2 }]) {
    assert.ok(!isTaken({ ...genuine, ...change }), JSON.stringify(change));
  }
  assert.ok(!isTaken(signed({ text: "x".repeat(otherRecordBytesMax) })), "too long");
  assert.ok(!isTaken(signed({ attempt: 1 })), "it could be taken for a run's record");
  assert.ok(!isTaken(signed({ requestedAt: 1 })), "it could be taken for a requested order");
});

test("a record of an unknown kind about a tick far ahead is not kept: it would stay until that tick has come", () => {
  const mesh = new FuzzMesh("ahead");
  const [, liar] = members;
  const now = mesh.world.now();
  const about = (ms: number): OtherRecord => {
    const record = {
      ...signed({ peer: liar, tick: tickAt(Math.floor(ms / second) * second) }),
      signature: "",
    };
    const bytes = signedOtherBytes(record) ?? new Uint8Array();
    return { ...record, signature: Buffer.from(mesh.keys(liar).sign(bytes)).toString("base64url") };
  };
  const [due, ahead, farAhead] = [about(now), about(now + minute), about(Date.UTC(2999, 0, 1))];
  mesh.sendAs(liar, "runs", {
    kind: "runs",
    records: [],
    others: [due, ahead, farAhead],
    declined: [],
    orders: [],
    cancels: [],
  });
  mesh.pass(second);
  const { others } = mesh.world.hosts.get(victim).storage;
  assert.deepEqual(
    [...others.values()].filter(({ kind }) => kind === "set"),
    [due],
  );
});
