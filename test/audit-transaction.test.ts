/**
 * What the audit notes of a change is stored in one transaction with it, or before it: so a peer that dies before it answers never has
 * the change alone.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkedJob } from "../src/core/checks/job.ts";
import { Peer } from "../src/peer/peer.ts";
import type { Answer, Command } from "../src/ports/command.ts";
import type { Write } from "../src/ports/disk.ts";
import type { AuditEntry } from "../src/schema/audit.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { ownCapabilities } from "../src/schema/protocol.ts";
import { startRealPeer } from "../src/sim/world/real-peer.ts";
import { World } from "../src/sim/world/world.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";

const id = "backup" as JobId;
const by = "ann@peer-1";
const hour = 3_600_000;

function isOfChange({ kind }: Write): boolean {
  return kind === "update" || kind === "snapshot" || kind === "order";
}

/** A peer, with every batch of writes that its disk was given. Others may be there. */
class Stage {
  readonly batches: (readonly Write[])[] = [];
  /** what was given to the doors for secrets, scripts, runs and other peers, and what the audit noted, in its order */
  readonly kept: string[] = [];
  readonly #world: World;
  #peer: Peer | undefined;

  constructor(peers = 1) {
    this.#world = new World({
      ...calmWorld,
      children: { ...calmWorld.children, behaviour: () => ({ lastsMs: hour, exitCode: 0 }) },
      seed: "audit",
      peers,
      skewMs: 0,
      driftPpm: 0,
      makePeer: (doors, name, traits) => {
        if (this.#peer !== undefined) return startRealPeer(doors, name, traits);
        const store = doors.disk.store.bind(doors.disk);
        doors.disk.store = (writes, done) => {
          this.batches.push(writes);
          if (writes.some(({ kind }) => kind === "audit")) this.kept.push("audit");
          store(writes, done);
        };
        const { secrets, scripts, keyring } = doors;
        const [keep, remove] = [secrets.keep.bind(secrets), secrets.remove.bind(secrets)];
        const [storeScript, rotate] = [scripts.store.bind(scripts), keyring.rotate.bind(keyring)];
        const noted =
          <Given extends unknown[]>(what: string, call: (...given: Given) => void) =>
          (...given: Given): void => {
            this.kept.push(what);
            call(...given);
          };
        secrets.keep = noted("keep", keep);
        secrets.remove = noted("remove", remove);
        scripts.store = noted("script", storeScript);
        keyring.rotate = noted("rotate", rotate);
        const { executor, mesh } = doors;
        executor.stop = noted("stop", executor.stop.bind(executor));
        const refuse = mesh.refuse.bind(mesh);
        mesh.refuse = (refused) => {
          if (refused.length > 0) this.kept.push("refuse");
          refuse(refused);
        };
        const peer = new Peer(doors, {
          name,
          version: "simulated",
          drainMs: 1_000,
          tzdata: "simulated",
          host: {},
          tags: {},
          capacity: 10,
          role: "worker",
          historyMaxBytes: Infinity,
          founder: "peer-1" as PeerId,
          capabilities: ownCapabilities,
        });
        this.#peer = peer;
        return {
          start: (ready) => peer.start((error) => ready(error?.message)),
          stop: (done) => peer.stop(done),
          command: (command, answer) => peer.command(command, answer),
          revisions: () => new Map<JobId, string>(),
          complaint: () => undefined,
        };
      },
    });
    for (const peer of this.#world.peers) this.#world.at(epoch, () => this.#world.hosts.start(peer));
    this.#world.runUntil(epoch + 60_000);
  }

  /** What happens at the doors during the change, once it is done. */
  change(made: (peer: Peer, entries: readonly AuditEntry[], done: (result: unknown) => void) => void): {
    kept: readonly string[];
    result: unknown;
  } {
    assert.ok(this.#peer !== undefined);
    let result: unknown = "not done";
    this.kept.length = 0;
    this.batches.length = 0;
    made(this.#peer, [this.#entryOf("set-secret")], (found) => (result = found));
    this.#world.runUntil(this.#world.now() + 1_000);
    return { kept: [...this.kept], result };
  }

  #entryOf(action: AuditEntry["action"]): AuditEntry {
    return {
      at: this.#world.now(),
      actor: by,
      token: "t",
      role: "admin",
      action,
      kind: "job",
      name: id,
      outcome: "done",
    };
  }

  ask(command: Command): { answer: Answer; isNoted: boolean; noted: Write[] } {
    const action = command.kind === "set-value" || command.kind === "apply" ? "put-channel" : command.kind;
    const entry = this.#entryOf(action);
    this.kept.length = 0;
    let found: { answer: Answer; isNoted: boolean } | undefined;
    this.batches.length = 0;
    this.#peer?.command(command, (answer, isNoted) => (found = { answer, isNoted }), [entry]);
    this.#world.runUntil(this.#world.now() + 10_000);
    assert.ok(found !== undefined, "it was answered");
    const [changing = []] = this.batches.filter((writes) => writes.some(isOfChange));
    return { ...found, noted: changing.filter(({ kind }) => kind === "audit") };
  }
}

const put = (command: string): Command => ({
  kind: "put-job",
  spec: checkedJob({ id, command, schedule: "0 * * * *" }),
  mode: "replace",
  by,
});
const channel = { type: "slack", url: "https://hooks.example.org/services/T0/B0/x" };

test("a change of the table, and a run that is asked for, are stored together with what the audit notes of them", () => {
  const stage = new Stage();
  const tick = Math.ceil(epoch / hour) * hour + 2 * hour;
  assert.equal(stage.ask(put("one")).noted.length, 1);
  const commands: Command[] = [
    { kind: "skip-ticks", id, which: { tick }, by },
    { kind: "patch-job", id, patch: { owner: "bob" }, by },
    { kind: "pause-job", id, by },
    { kind: "resume-job", id, by },
    { kind: "run-job", id, by },
    { kind: "backfill-job", id, ticks: [epoch - hour], by },
    { kind: "unskip-ticks", id, which: { tick }, by },
    { kind: "set-value", root: "channels", id: "ops", value: channel, by },
    { kind: "put-setting", setting: "pools", name: "db", value: { slots: 2 }, by },
    { kind: "remove-setting", setting: "pools", name: "db", by },
    { kind: "apply", changes: [{ kind: "value", root: "channels", id: "ops", value: null, at: "" }], by },
    { kind: "delete-job", id, by },
  ];
  for (const command of commands) {
    const { answer, isNoted, noted } = stage.ask(command);
    assert.notEqual(answer.kind, "refused", `${command.kind}: ${JSON.stringify(answer)}`);
    assert.deepEqual([command.kind, isNoted, noted.length], [command.kind, true, 1]);
  }
});

test("what changes other peers, or runs, is noted before it changes anything", () => {
  const stage = new Stage(3);
  stage.ask(put("one"));
  const { answer: ordered } = stage.ask({ kind: "run-job", id, peers: ["peer-1"], by });
  assert.ok(ordered.kind === "ordered");
  const [other, another] = ["peer-2" as PeerId, "peer-3" as PeerId];
  const of = (command: Command): unknown[] => {
    const { answer, isNoted } = stage.ask(command);
    return [answer.kind, isNoted, ...stage.kept];
  };
  const run = `${id}@${ordered.tick}`;
  assert.deepEqual(of({ kind: "cancel-run", run, by, reason: "" }), ["done", true, "audit", "stop"]);
  assert.deepEqual(of({ kind: "promote-peer", peer: other, by }), ["done", true, "audit"]);
  assert.deepEqual(of({ kind: "confirm-peer", peer: other, by }), ["done", true, "audit"]);
  assert.deepEqual(of({ kind: "drain-peer", peer: other, on: true, by }), ["done", true, "audit"]);
  assert.deepEqual(of({ kind: "drain-peer", peer: "peer-1", on: true, by }), ["done", true, "audit"]);
  assert.deepEqual(of({ kind: "forget-peer", peer: another, by }), ["done", true, "audit", "refuse"]);
  assert.deepEqual(of({ kind: "unforget-peer", peer: another, by }), ["done", true, "audit"]);
});

test("what changes nothing or is refused is left to the caller to note", () => {
  const stage = new Stage();
  stage.ask(put("one"));
  const commands: Command[] = [
    { kind: "resume-job", id, by },
    { kind: "pause-job", id: "nobody" as JobId, by },
    { kind: "cancel-run", run: `${id}@2026-11-20T02:00:00Z`, by, reason: "" },
    { kind: "promote-peer", peer: "nobody", by },
    { kind: "forget-peer", peer: "peer-1", by },
    { kind: "drain-peer", peer: "nobody", on: true, by },
  ];
  for (const command of commands) {
    assert.deepEqual([command.kind, stage.ask(command).isNoted], [command.kind, false]);
    const kinds = stage.batches.flat().map(({ kind }) => kind);
    assert.ok(!kinds.includes("audit"), `${command.kind} stores ${kinds.join(", ")}`);
  }
});

test("a peer that dies while it keeps a secret or a script, or rotates the key, never has done so without what the audit notes of it", () => {
  const stage = new Stage();
  const change = { name: "TOKEN", value: "a-long-value", by };
  const own = stage.change((peer, entries, done) => peer.parts.secrets.set(change, entries, done));
  assert.deepEqual(own, { kept: ["audit", "keep"], result: undefined });
  const gone = stage.change((peer, entries, done) => peer.parts.secrets.remove("TOKEN", by, entries, done));
  assert.deepEqual(gone, { kept: ["audit", "remove"], result: undefined });
  const peers = ["peer-1" as PeerId];
  const sealed = stage.change((peer, entries, done) =>
    peer.parts.secrets.set({ ...change, peers }, entries, done),
  );
  assert.deepEqual(sealed, { kept: ["audit", "remove"], result: undefined });
  const [together = []] = stage.batches.filter((writes) => writes.some(isOfChange));
  assert.ok(together.some(({ kind }) => kind === "audit"));

  const bytes = new TextEncoder().encode("echo");
  const script = stage.change((peer, entries, done) => peer.parts.scripts.put(bytes, () => entries, done));
  assert.deepEqual(script.kept, ["audit", "script"]);
  const again = stage.change((peer, entries, done) => peer.parts.scripts.put(bytes, () => entries, done));
  assert.deepEqual(again.kept, []);
  const { answer, isNoted } = stage.ask({ kind: "rotate-key", graceMs: 60_000, by });
  assert.deepEqual([answer.kind, isNoted, stage.kept], ["rotated", true, ["audit", "rotate"]]);

  const refused = stage.change((peer, entries, done) =>
    peer.parts.secrets.set({ ...change, value: "short" }, entries, done),
  );
  assert.deepEqual(refused.kept, []);
});
