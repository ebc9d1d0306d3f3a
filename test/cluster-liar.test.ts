/**
 * A member with the cluster key lies to three real peers: in its own name, in theirs, and in that of nobody. What it says
 * without a signature that holds costs no peer its membership, vote or ticks; what it signs itself can be undone by people; and `key rotate
 * --without` ends it.
 */
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { setTimeout as passes } from "node:timers/promises";
import { confirmationBytes } from "../src/core/members/admission.ts";
import { lifeBytes } from "../src/core/members/lives.ts";
import { voteBytes } from "../src/core/voting/memory.ts";
import { epochBytes, hashOfEpoch } from "../src/core/voting/roster.ts";
import { entryOf } from "../src/schema/membership.ts";
import type { PeerId } from "../src/schema/ids.ts";
import type { Message } from "../src/schema/message.ts";
import type { Epoch } from "../src/schema/vote.ts";
import { readStarts, recordingCommand } from "./kit/cluster-judge.ts";
import { Cluster, items, until, untilMembers, type PeerItem, type RunningPeer } from "./kit/cluster.ts";
import { Liar, strangerId } from "./kit/liar.ts";

const limitMs = 30_000;

interface Health {
  ready: boolean;
  reasons: string[];
  warnings: string[];
}

async function health(peer: RunningPeer): Promise<Health> {
  return (await peer.call("GET", "/readyz?verbose")).body as Health;
}

async function untilReady(peers: readonly RunningPeer[]): Promise<void> {
  let reasons: string[] = [];
  try {
    await until("all are ready", limitMs, async () => {
      const all = await Promise.all(peers.map((peer) => health(peer)));
      reasons = all.flatMap((one, index) => one.reasons.map((why) => `${peers[index]?.name}: ${why}`));
      return all.every(({ ready }) => ready);
    });
  } catch (error) {
    throw new Error(reasons.join("\n"), { cause: error });
  }
}

/** Everything that a member can say of others and can't prove, three times each, in every way. */
async function lieAbout(liar: Liar): Promise<void> {
  const { victims, keys, roster } = liar;
  const stranger = strangerId();
  const far = 2 ** 50;
  for (let round = 0; round < 3; round++) {
    const unsigned = victims.map((peer) => ({ peer, forgotten: true, at: Date.now(), by: "x", name: "x" }));
    const inOthersNames = victims.map((peer, index) =>
      liar.statement({ peer, forgotten: true }, victims[(index + 1) % victims.length]),
    );
    const byStranger = victims.map((peer) => liar.statement({ peer, forgotten: true }, stranger));
    for (const statements of [unsigned, inOthersNames, byStranger]) {
      liar.edit(
        statements.flatMap((statement) =>
          ["peers", "membership"].map((root) => {
            return { kind: "set", root, id: statement.peer, value: entryOf(statement), by: "x" } as const;
          }),
        ),
      );
    }
    liar.edit(
      victims.flatMap((peer) => [
        { kind: "set", root: "joins", id: peer, value: { at: "never" }, by: "x" },
        {
          kind: "set",
          root: "confirmations",
          id: `${keys.self}/${peer}`,
          value: {
            at: Date.now(),
            by: "x",
            signature: liar.sign(
              confirmationBytes({ peer: keys.self, signer: peer, at: Date.now(), by: "x" }),
            ),
          },
          by: "x",
        },
      ]),
    );
    for (let times = 0; times < 3; times++) {
      liar.sendToAll("heartbeat", (victim) => {
        const theirs = liar.heard.get(victim);
        const incarnation = (theirs?.incarnation ?? 0) + 7;
        const life = { incarnation, signature: liar.sign(lifeBytes(victim, { incarnation })) };
        return liar.heartbeat({
          incarnation: 1 + round,
          duplicateIdentity: true,
          lives: [life, { ...life, beside: theirs?.incarnation ?? 0 }],
          echo: {
            incarnation: times === 0 ? incarnation : (theirs?.incarnation ?? 0),
            count: theirs?.clock.count ?? 0,
            sentAt: theirs?.sentAt ?? 0,
            heardAt: Date.now(),
          },
          epoch: roster.length - 1,
          votes: far,
          seenVotes: Object.fromEntries(victims.map((peer) => [peer, far])),
          heardVoteWord: { votes: far, signature: liar.sign(voteBytes(victim, far)) },
          keySuperseded: true,
        });
      });
    }
    liar.sendToAll("vote", () => forcedBy(liar, roster, stranger));
    liar.publish("members", { kind: "leave", incarnation: far });
    liar.sendToAll("ask", () => ({ kind: "cancel-heard", id: round }));
    // oxlint-disable-next-line no-await-in-loop -- one round after the other
    await passes(1_500);
  }
}

function untilMember(liar: Liar, at: RunningPeer): Promise<unknown> {
  return until("mallory is a member", limitMs, async () => {
    liar.sendToAll("heartbeat", () => liar.heartbeat({}));
    return (await items<PeerItem>(at, "/v1/peers")).some(({ name }) => name === "mallory");
  });
}

/** A roster without the victims, forced in the name of a peer that was never a member. */
function forcedBy(liar: Liar, roster: readonly Epoch[], forcer: PeerId): Message {
  const last = roster.at(-1);
  assert.ok(last);
  const epoch = {
    number: last.number + 1,
    voters: [liar.keys.self],
    from: last.from + 1,
    previous: hashOfEpoch(last),
    forced: { by: forcer, signature: "" },
  };
  const forced = { by: forcer, signature: liar.sign(epochBytes(epoch)) };
  return { kind: "roster", epochs: [...roster, { ...epoch, forced, signatures: {} }] };
}

test("nothing that a member invents costs a peer its membership, vote or ticks; what it signs is undone by people; a rotation without it ends it", async () => {
  await using cluster = new Cluster();
  const [ada, bob, cyd] = await cluster.mesh(["ada", "bob", "cyd"]);
  assert.ok(ada && bob && cyd);
  const peers = [ada, bob, cyd];
  await untilMembers(peers, 3);
  for (const name of ["bob", "cyd"]) assert.equal((await ada.command("peers", "promote", name)).code, 0);
  const file = path.join(cluster.folder, "starts");
  appendFileSync(file, "");
  const command = recordingCommand(file);
  const job = { id: "beat", schedule: "@every 1s", command, partition: "majority" };
  await ada.ask("POST", "/v1/jobs", job);
  await until("majority ticks run", limitMs, () => readStarts(file).length > 0);

  const liar = await Liar.among(peers);
  try {
    await untilMember(liar, ada);
    await until("mallory knows the roster", limitMs, () => Promise.resolve(liar.roster.length > 1));
    await lieAbout(liar);
    for (const peer of peers) {
      const { ready, reasons, warnings } = await health(peer);
      assert.ok(ready, `${peer.name}: ${reasons.join()}`);
      assert.match(warnings.join("\n"), /a request to forget .* changes nothing/);
    }
    const before = readStarts(file).length;
    await until("majority ticks run on", limitMs, () => readStarts(file).length > before + 3);
    for (const peer of peers) await peer.stop();
    for (const peer of peers) await peer.restart();
    await untilMembers(peers, 3);
    await untilReady(peers);
    const later = readStarts(file).length;
    await until("majority ticks run after it", limitMs, () => readStarts(file).length > later + 3);

    await until("mallory is linked again", limitMs, () => liar.links === 3);
    await untilMember(liar, ada);
    const statement = liar.statement({ peer: bob.ready.peerId as PeerId, forgotten: true });
    liar.edit([{ kind: "set", root: "membership", id: statement.peer, value: entryOf(statement), by: "x" }]);
    await until("bob is forgotten, by a statement that mallory signed", limitMs, async () =>
      /has forgotten this peer/.test((await health(bob)).reasons.join()),
    );
    // The statement travels by gossip, so ada may learn of it later than bob, and says until then that there is nothing to undo.
    await until("bob is taken in again by a person at ada", limitMs, async () => {
      const back = await ada.command("peers", "unforget", "bob");
      assert.ok(back.code === 0 || /not forgotten here/.test(back.stderr), back.stderr);
      return back.code === 0;
    });
    // Not "all are ready": mallory answers no sync, which turns its neighbours red after a while.
    await until("each has the others alive again", limitMs, async () => {
      const seen = await Promise.all(peers.map((peer) => items<PeerItem>(peer, "/v1/peers")));
      return seen.every((all) =>
        peers.every(({ name }) => all.some((one) => one.name === name && one.state === "alive")),
      );
    });
    // Only now: a rotation leaves a peer out that is forgotten at that moment.
    const said = await ada.command("key", "rotate", "--without", "mallory", "--yes", "--grace", "10s");
    assert.equal(said.code, 0, said.stderr);
    await until("mallory has no link", limitMs, () => liar.links === 0);
    const proof = JSON.parse(liar.proofs.findLast((shown) => shown !== undefined) ?? "{}") as {
      signer?: string;
    };
    assert.equal(proof.signer, ada.ready.peerId, "it was shown who had it forgotten");
    liar.edit([
      { kind: "set", root: "membership", id: statement.peer, value: entryOf({ ...statement }), by: "x" },
    ]);
    await untilReady(peers);
    const ticks = readStarts(file).map(({ tick }) => tick);
    assert.equal(new Set(ticks).size, ticks.length, "no majority tick was started twice");
  } finally {
    await liar.stop();
  }
});
