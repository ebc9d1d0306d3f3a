/** What a person can ask for about peers and the roster: promote, forget, unforget, force, drain; and witnesses. In cores. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inspect } from "node:util";
import { rank } from "../src/core/job/rank.ts";
import { openRecords } from "../src/core/records/ledger.ts";
import { recordKey } from "../src/core/records/records.ts";
import { notReady } from "../src/core/operator/readiness.ts";
import { nextTicks, sizesOf, viewOf } from "../src/core/view.ts";
import type { Answer } from "../src/ports/command.ts";
import type { JobId, PeerId, TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;
const beat = { id: "beat", schedule: "@every 10s", command: "true", partition: "majority" } as const;
const plain = { id: "plain", schedule: "@every 10s", command: "true" } as const;
const by = "ops";

const votersAt = (cores: Cores, peer: string): readonly string[] | undefined =>
  cores.state(peer).voting.roster.chain.at(-1)?.voters;

const reasonsAt = (cores: Cores, peer: string): string =>
  notReady(cores.state(peer))
    .map(({ message }) => message)
    .join();

function lastAnswer(cores: Cores): Answer {
  const answer = cores.answers.at(-1);
  assert.ok(answer, "there is an answer");
  return answer;
}

function refusalCode(cores: Cores): string {
  const answer = lastAnswer(cores);
  return answer.kind === "refused" ? answer.error.code : answer.kind;
}

function noneTwice(cores: Cores): void {
  const keys = cores.starts.map(({ run, tick }) => `${run.split("@")[0]} ${tick}`);
  assert.deepEqual(keys.toSorted(), [...new Set(keys)].toSorted(), "no tick twice");
}

function startsOf(cores: Cores, peer: string): number {
  return cores.starts.filter((start) => start.peer === peer).length;
}

function promoted(names: readonly string[], ...voters: readonly string[]): Cores {
  const cores = new Cores(names);
  for (const peer of voters) {
    cores.ask("a", { kind: "promote-peer", peer, by });
    cores.pass(2 * second);
    assert.equal(lastAnswer(cores).kind, "done");
  }
  return cores;
}

/** Three voters; the mesh has forgotten the third. */
function withForgotten(): Cores {
  const cores = promoted(["a", "b", "c"], "b", "c");
  cores.put({ ...plain, overlap: "allow" });
  cores.ask("a", { kind: "forget-peer", peer: "c", by });
  cores.pass(60 * second);
  assert.equal(startsOf(cores, "c"), 0);
  return cores;
}

describe("promote", () => {
  test("makes a peer a voter at once, as every peer shows, and it takes part in the next decisions", () => {
    const cores = promoted(["a", "b"], "b");
    assert.deepEqual(votersAt(cores, "a"), ["a", "b"]);
    assert.deepEqual(votersAt(cores, "b"), ["a", "b"]);
    cores.put(beat);
    cores.pass(30 * second);
    assert.ok(cores.starts.length >= 2, "two of two voters are the majority");
  });

  test("may be asked of a peer that is not a voter, and takes the other peer's name", () => {
    const cores = new Cores(["a", "b"]);
    cores.ask("b", { kind: "promote-peer", peer: "host-b", by });
    cores.pass(2 * second);
    assert.equal(lastAnswer(cores).kind, "done");
    assert.deepEqual(votersAt(cores, "a"), ["a", "b"]);
  });

  test("changes nothing for a peer that votes already", () => {
    const cores = promoted(["a", "b"], "b", "b");
    assert.equal(cores.state("a").voting.roster.chain.length, 2);
  });

  test("is refused after 8 s without a majority of the voters, and changes nothing", () => {
    const cores = promoted(["a", "b", "c"], "b");
    cores.kill("b");
    cores.pass(second);
    cores.ask("a", { kind: "promote-peer", peer: "c", by });
    cores.pass(7 * second);
    assert.equal(cores.answers.length, 1, "it is still being tried");
    cores.pass(2 * second);
    assert.equal(refusalCode(cores), "NO_QUORUM");
    assert.deepEqual(votersAt(cores, "c"), ["a", "b"]);
  });

  test("is refused at once for a dead or unknown peer", () => {
    const cores = new Cores(["a", "b"]);
    cores.ask("a", { kind: "promote-peer", peer: "nobody", by });
    assert.equal(refusalCode(cores), "PEER_NOT_FOUND");
    cores.kill("b");
    cores.pass(second);
    cores.ask("a", { kind: "promote-peer", peer: "b", by });
    assert.equal(refusalCode(cores), "PEER_UNREACHABLE");
  });

  test("is granted to two peers that are asked for at once, one epoch after the other", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.ask("b", { kind: "promote-peer", peer: "b", by });
    cores.ask("c", { kind: "promote-peer", peer: "c", by });
    cores.pass(7 * second);
    assert.deepEqual(
      cores.answers.map(({ kind }) => kind),
      ["done", "done"],
    );
    for (const peer of ["a", "b", "c"]) assert.deepEqual(votersAt(cores, peer), ["a", "b", "c"]);
  });
});

describe("forget", () => {
  test("removes a peer on every peer: it is not a member any more and is not ranked", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put(plain);
    cores.ask("a", { kind: "forget-peer", peer: "c", by });
    cores.pass(second);
    assert.equal(lastAnswer(cores).kind, "done");
    for (const peer of ["a", "b"]) {
      assert.equal(cores.state(peer).members.byId.has("c" as PeerId), false);
      const view = viewOf(cores.state(peer), cores.state(peer).now, new Map(), [], {});
      assert.deepEqual(
        view.forgotten.map((one) => [one.peer, one.name, one.by]),
        [["c", "host-c", by]],
      );
      assert.deepEqual(view.members.map(({ id }) => id).toSorted(), ["a", "b"]);
    }
    const runners = cores.runnersOf("plain", 20);
    assert.equal(runners.length, 20);
    for (const line of runners) assert.deepEqual(line.toSorted(), ["a", "b"]);
    cores.pass(60 * second);
    noneTwice(cores);
    assert.ok(cores.starts.every(({ peer }) => peer !== "c"));
    assert.equal(cores.starts.length, 6);
  });

  test("reaches the forgotten peer itself, which takes no ticks and says so, also after a restart", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put(plain);
    cores.ask("a", { kind: "forget-peer", peer: "c", by });
    cores.pass(second);
    const selfForgotten = cores.state("c").operator.selfForgotten;
    assert.ok(selfForgotten);
    assert.match(reasonsAt(cores, "c"), /has forgotten this peer/);
    assert.ok(cores.notes.some((note) => note.startsWith("c: this peer has been forgotten")));
    cores.kill("c");
    cores.pass(second);
    cores.up("c" as PeerId, { selfForgotten });
    cores.pass(60 * second);
    assert.ok(
      cores.starts.every(({ peer }) => peer !== "c"),
      "alone, it would run them all",
    );
    noneTwice(cores);
  });

  test("leaves the forgotten peer nothing that grows with every tick", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put(plain);
    cores.ask("a", { kind: "forget-peer", peer: "c", by });
    cores.pass(60 * second);
    const before = cores.state("c").book.orders.size;
    cores.pass(600 * second);
    assert.equal(cores.state("c").book.orders.size, before);
  });

  test("makes the forgotten peer refuse changes, which would reach no other peer", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put(plain);
    cores.ask("a", { kind: "forget-peer", peer: "c", by });
    cores.pass(second);
    cores.ask("c", { kind: "pause-job", id: "plain" as JobId, by });
    const answer = lastAnswer(cores);
    assert.ok(answer.kind === "refused");
    assert.equal(answer.error.code, "FORGOTTEN");
    assert.equal(answer.error.detail, "by ops");
    cores.ask("c", { kind: "drain-peer", peer: "c", on: true, by });
    cores.pass(second);
    assert.equal(lastAnswer(cores).kind, "done", "changes that concern only itself are allowed");
  });

  test("still holds after all others have been restarted", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.put(plain);
    cores.ask("a", { kind: "forget-peer", peer: "c", by });
    cores.pass(second);
    for (const peer of ["a", "b"]) {
      cores.kill(peer);
      cores.pass(second);
      cores.up(peer as PeerId);
    }
    cores.pass(20 * second);
    for (const peer of ["a", "b"]) assert.equal(cores.state(peer).members.byId.has("c" as PeerId), false);
  });

  test("removes a voter from the roster first", () => {
    const cores = promoted(["a", "b", "c"], "b", "c");
    cores.ask("b", { kind: "forget-peer", peer: "c", by });
    cores.pass(2 * second);
    assert.equal(lastAnswer(cores).kind, "done");
    for (const peer of ["a", "b"]) assert.deepEqual(votersAt(cores, peer), ["a", "b"]);
  });

  test("hands the only voter's vote to the asked peer if that voter agrees", () => {
    const cores = new Cores(["a", "b"]);
    cores.ask("b", { kind: "forget-peer", peer: "a", by });
    cores.pass(2 * second);
    assert.equal(lastAnswer(cores).kind, "done");
    assert.deepEqual(votersAt(cores, "b"), ["b"]);
  });

  test("is refused for a voter without a majority, and it stays a member", () => {
    const cores = promoted(["a", "b"], "b");
    cores.kill("b");
    cores.pass(second);
    cores.ask("a", { kind: "forget-peer", peer: "b", by });
    cores.pass(10 * second);
    assert.equal(refusalCode(cores), "NO_QUORUM");
    assert.ok(cores.state("a").members.byId.has("b" as PeerId));
    assert.equal(cores.state("a").operator.forgotten.size, 0);
  });

  test("is refused for the asked peer itself", () => {
    const cores = new Cores(["a", "b"]);
    cores.ask("a", { kind: "forget-peer", peer: "a", by });
    assert.equal(refusalCode(cores), "NOT_ITSELF");
  });

  test("declares runs on the forgotten peer lost", () => {
    const cores = new Cores(["a", "b", "c"], { runMs: Infinity });
    cores.put({ ...plain, overlap: "allow" });
    cores.pass(60 * second);
    const run = cores.starts.find(({ peer }) => peer !== "a");
    assert.ok(run);
    cores.ask("a", { kind: "forget-peer", peer: run.peer, by });
    cores.pass(2 * second);
    const recorded = cores
      .recordsOf("a")
      .find((record) => record.tick === run.tick && record.peer === run.peer);
    assert.equal(recorded?.state, "lost");
  });

  for (const diedBeforeMs of [0, 5 * 60 * second]) {
    const when = diedBeforeMs === 0 ? "just before" : "long before";
    test(`leaves no open claim of a peer that died ${when}, once another one has run the tick`, () => {
      const cores = new Cores(["a", "b", "c"]);
      cores.put({ ...plain, id: "once", schedule: "@at 2026-11-20T02:00:20Z" });
      cores.pass(17 * second);
      const recordsAt = (peer: string) => cores.recordsOf(peer);
      const [claim] = recordsAt("a");
      assert.equal(claim?.state, "claimed");
      const [one, other] = ["a", "b", "c"].filter((peer) => peer !== claim.peer);
      assert.ok(one !== undefined && other !== undefined);
      cores.kill(claim.peer);
      cores.pass(diedBeforeMs);
      cores.ask(one, { kind: "forget-peer", peer: claim.peer, force: true, by });
      cores.pass(60 * second);
      assert.equal(cores.starts.length, 1);
      for (const peer of [one, other]) {
        const recorded = new Map(recordsAt(peer).map((record) => [record.peer, record]));
        assert.equal(recorded.get(claim.peer)?.state, "withdrawn");
        const reason = diedBeforeMs === 0 ? "its peer was forgotten" : "its peer died";
        assert.equal(recorded.get(claim.peer)?.reason, reason);
        assert.equal(recorded.get(cores.starts[0]?.peer ?? claim.peer)?.state, "succeeded");
      }
    });
  }
});

describe("a claim of a peer that died before it could start", () => {
  for (const [what, change] of [
    ["deleted", (cores: Cores) => cores.remove("once")],
    ["given another schedule", (cores: Cores) => cores.put({ ...plain, id: "once", schedule: "@every 1h" })],
    [
      "disabled",
      (cores: Cores) => cores.put({ ...plain, id: "once", schedule: "@every 20s", enabled: false }),
    ],
  ] as const) {
    test(`is withdrawn when its job was ${what} meanwhile, but not before the tick is a minute old`, () => {
      const cores = new Cores(["a", "b", "c"]);
      cores.put({ ...plain, id: "once", schedule: "@every 20s" });
      const claims = () => ["a", "b", "c"].flatMap((peer) => cores.recordsOf(peer));
      for (let waited = 0; claims().length === 0 && waited < 400; waited++) cores.pass(100);
      const [claim] = claims();
      assert.ok(claim?.state === "claimed");
      const key = recordKey(claim);
      cores.pass(300);
      cores.kill(claim.peer);
      change(cores);
      const living = ["a", "b", "c"].filter((peer) => peer !== claim.peer);
      const openAt = (peer: string) => [...openRecords(cores.state(peer).ledger)];
      cores.pass(50 * second);
      for (const peer of living) assert.equal(openAt(peer).length, 1);
      cores.pass(2 * 60 * second);
      for (const peer of living) {
        assert.deepEqual(openAt(peer), []);
        const record = cores.records.get(peer as PeerId)?.get(key);
        assert.deepEqual([record?.state, record?.reason], ["withdrawn", "its peer died"]);
      }
      assert.equal(cores.starts.length, 0);
    });
  }
});

test("a run of a dead peer is declared lost by the next in rank when the first one's disk takes nothing and its gossip is lost", () => {
  const cores = new Cores(["a", "b", "c", "d"], { runMs: Infinity });
  cores.put({ ...plain, overlap: "allow" });
  for (let waited = 0; cores.starts.length === 0 && waited < 400; waited++) cores.pass(100);
  const run = cores.starts[0] ?? assert.fail("nothing was started");
  cores.pass(second);
  const ranks = rank(plain.id as JobId, run.tick as TickId, cores.state("a").members.hashes);
  const [first, ...others] = ranks.filter((peer) => peer !== run.peer);
  assert.ok(first !== undefined);
  cores.full.add(first);
  cores.unheard.add(first);
  cores.kill(run.peer);
  cores.pass(30 * second);
  for (const peer of others) {
    const record = cores.recordsOf(peer).find((one) => one.tick === run.tick && one.peer === run.peer);
    assert.equal(record?.state, "lost", peer);
    assert.notEqual(record.by, first);
  }
});

function othersThan(one: PeerId): PeerId[] {
  return (["a", "b", "c"] as PeerId[]).filter((peer) => peer !== one);
}

/** All other peers learn that one of them has taken the record's run for lost. */
function declareLost(cores: Cores, record: RunRecord): void {
  const others = othersThan(record.peer);
  const version = record.version + 1;
  const lost: RunRecord = {
    ...record,
    state: "lost",
    by: others[0] ?? record.peer,
    version,
    signature: "lost",
  };
  for (const peer of others) cores.learn(peer, [lost]);
}

/** The peer says goodbye, and nothing about its runs. */
function leave(cores: Cores, one: PeerId): void {
  const { incarnation } = cores.state(one).members;
  for (const peer of othersThan(one))
    cores.feed(peer, { kind: "heard", from: one, message: { kind: "leave", incarnation } });
  cores.kill(one);
}

test("a tick that waits for a run on a peer that leaves without a word about it starts, although others had declared that run lost before", () => {
  const cores = new Cores(["a", "b", "c"], { runMs: Infinity });
  cores.put({ ...plain, overlap: "queue" });
  for (let waited = 0; cores.starts.length === 0 && waited < 400; waited++) cores.pass(100);
  const [run] = cores.starts;
  assert.ok(run);
  cores.pass(11 * second);
  assert.equal(cores.starts.length, 1, "the next tick waits");
  const record = cores.recordsOf(run.peer).find(({ tick }) => tick === run.tick);
  assert.ok(record);
  declareLost(cores, record);
  cores.pass(second);
  assert.equal(cores.starts.length, 1, "its peer lives, so the run counts as on");
  leave(cores, run.peer);
  cores.pass(15 * second);
  assert.ok(cores.starts.length > 1);
});

test("a tick of two runs whose last one is closed on a peer that leaves, and that others had declared lost before, has failed: what runs after it runs, and it is counted", () => {
  const cores = new Cores(["a", "b", "c"], { runMs: Infinity });
  cores.put({ ...plain, schedule: "20 0 * * * *", target: { count: 2 }, pauseAfterFailures: 1 });
  cores.put({ id: "alarm", command: "true", after: { jobs: [plain.id as JobId], on: "failure" } });
  for (let waited = 0; cores.starts.length < 2 && waited < 4_000; waited++) cores.pass(second);
  cores.pass(second);
  const [well, first] = cores.starts;
  assert.ok(well !== undefined && first !== undefined && well.peer !== first.peer);
  const record = cores
    .recordsOf(first.peer)
    .find(({ tick, peer, state }) => tick === first.tick && peer === first.peer && state === "running");
  assert.ok(record);
  declareLost(cores, record);
  cores.end(plain.id, 0);
  cores.pass(second);
  assert.deepEqual(
    [startsOfJob(cores, "alarm"), cores.pauses.size],
    [0, 0],
    "its peer lives, so the run counts as on",
  );
  leave(cores, first.peer);
  cores.pass(15 * second);
  assert.deepEqual([startsOfJob(cores, "alarm"), cores.pauses.size], [1, 1]);
});

function startsOfJob(cores: Cores, job: string): number {
  return cores.starts.filter(({ run }) => run.startsWith(`${job}@`)).length;
}

describe("unforget", () => {
  test("at a member takes the peer in again everywhere: it warms up, runs ticks and says nothing more", () => {
    const cores = withForgotten();
    cores.ask("b", { kind: "unforget-peer", peer: "host-c", by });
    cores.pass(60 * second);
    assert.equal(lastAnswer(cores).kind, "done");
    for (const peer of ["a", "b"]) assert.ok(cores.state(peer).members.byId.has("c" as PeerId));
    assert.equal(reasonsAt(cores, "c"), "");
    cores.pass(600 * second);
    assert.ok(startsOf(cores, "c") > 0);
    noneTwice(cores);
  });

  test("lets it vote in no epoch that it knew, and again once it is promoted", () => {
    const cores = withForgotten();
    cores.ask("a", { kind: "unforget-peer", peer: "c", by });
    cores.pass(10 * second);
    const { voting } = cores.state("c");
    assert.ok(voting.voter.barredThrough >= 2, "the last epoch in which it voted");
    cores.ask("a", { kind: "promote-peer", peer: "c", by });
    cores.pass(10 * second);
    assert.deepEqual(votersAt(cores, "c"), ["a", "b", "c"]);
    assert.ok((voting.roster.chain.at(-1)?.number ?? 0) > voting.voter.barredThrough);
    cores.put(beat);
    cores.kill("b");
    cores.pass(30 * second);
    assert.ok(
      cores.starts.some(({ run }) => run.startsWith("beat@")),
      "two of three voters are a majority",
    );
  });

  test("and a promotion give back its vote to a peer whose disk had lost votes, and not earlier", () => {
    const cores = promoted(["a", "b", "c"], "b", "c");
    cores.put(beat);
    cores.pass(60 * second);
    cores.kill("c");
    cores.pass(2 * second);
    cores.up("c" as PeerId, { votes: [], voteCount: 0 });
    cores.pass(30 * second);
    const { voter } = cores.state("c").voting;
    assert.equal(voter.memory, "lost");
    assert.match(reasonsAt(cores, "c"), /it doesn't vote until/);
    cores.ask("a", { kind: "forget-peer", peer: "c", by });
    cores.pass(10 * second);
    cores.ask("a", { kind: "unforget-peer", peer: "c", by });
    cores.pass(2 * second);
    assert.equal(voter.memory, "lost");
    cores.ask("a", { kind: "promote-peer", peer: "c", by });
    cores.pass(20 * second);
    assert.equal(voter.memory, "sure");
    assert.equal(reasonsAt(cores, "c"), "");
    const [seen = 0] = ["a", "b"].map(
      (peer) => cores.state(peer).voting.voter.seenVotes.get("c" as PeerId) ?? 0,
    );
    assert.ok(voter.voteCount >= seen, "the votes that were lost count all the same");
    const before = cores.starts.length;
    cores.kill("b");
    cores.pass(60 * second);
    assert.ok(cores.starts.length > before, "it takes part in decisions again");
    noneTwice(cores);
  });

  test("at the forgotten peer lets it carry on alone when no member is left, and not vote", () => {
    const cores = withForgotten();
    for (const peer of ["a", "b"]) cores.kill(peer);
    cores.pass(30 * second);
    cores.ask("c", { kind: "unforget-peer", peer: "c", by });
    cores.pass(60 * second);
    assert.equal(lastAnswer(cores).kind, "done");
    assert.doesNotMatch(reasonsAt(cores, "c"), /forgotten/);
    assert.ok(startsOf(cores, "c") > 0);
    noneTwice(cores);
  });

  test("at the forgotten peer alone does not overrule the members, which still turn it away", () => {
    const cores = withForgotten();
    cores.ask("c", { kind: "unforget-peer", peer: "c", by });
    cores.pass(second);
    assert.equal(cores.state("c").operator.selfForgotten, undefined);
    cores.turnAway("a" as PeerId, "c" as PeerId, cores.statementsAt("a").at(-1));
    cores.pass(second);
    assert.match(reasonsAt(cores, "c"), /has forgotten this peer .*members still refuse this peer/);
    cores.ask("a", { kind: "unforget-peer", peer: "c", by });
    cores.pass(20 * second);
    assert.equal(reasonsAt(cores, "c"), "");
  });

  test("outlives the refusal of a member that does not know yet", () => {
    const cores = withForgotten();
    const forget = cores.statementsAt("b").at(-1);
    cores.ask("a", { kind: "unforget-peer", peer: "c", by });
    cores.pass(10 * second);
    cores.turnAway("b" as PeerId, "c" as PeerId, forget);
    assert.equal(cores.state("c").operator.selfForgotten, undefined);
  });

  test("of a peer that is not forgotten here changes nothing and says so; of an unknown one is refused", () => {
    const cores = new Cores(["a", "b"]);
    cores.ask("a", { kind: "unforget-peer", peer: "b", by });
    assert.equal(refusalCode(cores), "NOT_FORGOTTEN");
    cores.ask("a", { kind: "unforget-peer", peer: "nobody", by });
    assert.equal(refusalCode(cores), "PEER_NOT_FOUND");
  });

  test("can be followed by another forget, and that by another unforget", () => {
    const cores = withForgotten();
    for (let round = 0; round < 2; round++) {
      cores.ask("a", { kind: "unforget-peer", peer: "c", by });
      cores.pass(20 * second);
      assert.equal(reasonsAt(cores, "c"), "");
      cores.ask("b", { kind: "forget-peer", peer: "c", by });
      cores.pass(20 * second);
      assert.match(reasonsAt(cores, "c"), /has forgotten this peer/);
    }
  });
});

describe("forget --force", () => {
  test("changes the roster without its voters if they are gone for good, and every peer says so", () => {
    const cores = promoted(["a", "b", "c", "d"], "b", "c");
    cores.kill("a");
    cores.kill("b");
    cores.pass(15 * second);
    cores.put(beat);
    for (const [place, peer] of ["a", "b"].entries()) {
      cores.ask("c", { kind: "forget-peer", peer, force: true, by });
      cores.pass(second);
      assert.equal(cores.answers.length, 3 + place);
      assert.equal(lastAnswer(cores).kind, "done");
    }
    for (const peer of ["c", "d"]) {
      assert.deepEqual(votersAt(cores, peer), ["c"]);
      assert.ok(
        cores.notes.includes(
          `${peer}: the roster was forced, not voted for: if its old voters are still running, a tick may run twice`,
        ),
      );
      const view = viewOf(cores.state(peer), cores.state(peer).now, new Map(), [], {});
      assert.deepEqual(view.roster?.forced, [
        { epoch: 3, by: "c" },
        { epoch: 4, by: "c" },
      ]);
      assert.match(view.warnings.join(), /forced at host-c/);
    }
    const before = cores.starts.length;
    cores.pass(60 * second);
    assert.ok(cores.starts.length - before >= 4, "majority jobs run again");
    noneTwice(cores);
  });

  test("asks the voters first if a majority of them is heard", () => {
    const cores = promoted(["a", "b", "c"], "b", "c");
    cores.ask("a", { kind: "forget-peer", peer: "c", force: true, by });
    cores.pass(2 * second);
    assert.deepEqual(votersAt(cores, "a"), ["a", "b"]);
    assert.equal(cores.state("a").voting.roster.chain.at(-1)?.forced, undefined);
  });

  test("wins over what the old voters chose meanwhile, on both sides, once they know of it", () => {
    const cores = promoted(["a", "b", "c", "d", "e"], "b", "c");
    cores.split(["a", "b", "d"], ["c", "e"]);
    cores.pass(30 * second);
    // The side with a majority chooses another epoch, and the other side forces its own.
    cores.ask("a", { kind: "promote-peer", peer: "d", by });
    cores.pass(2 * second);
    assert.deepEqual(votersAt(cores, "d"), ["a", "b", "c", "d"]);
    for (const peer of ["a", "b"]) {
      cores.ask("c", { kind: "forget-peer", peer, force: true, by });
      cores.pass(second);
    }
    assert.deepEqual(votersAt(cores, "e"), ["c"]);
    cores.heal();
    cores.pass(15 * second);
    for (const peer of ["c", "d", "e"]) assert.deepEqual(votersAt(cores, peer), ["c"], `as ${peer} has it`);
  });

  test("is signed by the peer that did it, so that no peer can force a roster in another's name", () => {
    const cores = promoted(["a", "b", "c"], "b", "c");
    const chain = [...cores.state("a").voting.roster.chain];
    const last = chain.at(-1);
    assert.ok(last);
    const forged = {
      number: 3,
      voters: ["c" as PeerId],
      from: last.from + second,
      previous: last.previous,
      signatures: {},
      forced: { by: "b" as PeerId, signature: "c 00" },
    };
    cores.feed("a" as PeerId, {
      kind: "heard",
      from: "c" as PeerId,
      message: { kind: "roster", epochs: [...chain, forged] },
    });
    assert.deepEqual(votersAt(cores, "a"), ["a", "b", "c"]);
  });
});

describe("drain", () => {
  test("stops a peer from taking ticks until it is undrained, and the others run them on time", () => {
    const cores = new Cores(["a", "b"]);
    cores.put(plain);
    cores.ask("a", { kind: "drain-peer", peer: "b", on: true, by });
    cores.pass(100 * second);
    assert.equal(lastAnswer(cores).kind, "done");
    assert.equal(cores.starts.length, 10);
    for (const { peer, at, tick } of cores.starts) {
      assert.equal(peer, "a");
      assert.ok(cores.wall(at) - Date.parse(tick) < 100, `${tick} late`);
    }
    assert.match(reasonsAt(cores, "b"), /drained by ops/);
    cores.ask("a", { kind: "drain-peer", peer: "host-b", on: false, by });
    cores.pass(200 * second);
    assert.ok(cores.starts.some(({ peer }) => peer === "b"));
    noneTwice(cores);
  });

  test("is remembered over a restart", () => {
    const cores = new Cores(["a", "b"]);
    cores.kill("b");
    cores.pass(second);
    cores.up("b" as PeerId, { drained: { by, at: cores.wall(0) } });
    cores.put(plain);
    cores.pass(100 * second);
    assert.equal(cores.starts.length, 10);
    assert.ok(cores.starts.every(({ peer }) => peer === "a"));
  });

  for (const asked of ["a", "b"]) {
    test(`has no effect if the peer's disk can't store it, and the answer says so (asked at ${asked})`, () => {
      const cores = new Cores(["a", "b"]);
      cores.put(plain);
      cores.full.add("b" as PeerId);
      cores.ask(asked, { kind: "drain-peer", peer: "b", on: true, by });
      cores.pass(second);
      assert.equal(refusalCode(cores), "DISK_FAILED");
      assert.doesNotMatch(reasonsAt(cores, "b"), /drained/);
      cores.full.clear();
      cores.ask(asked, { kind: "drain-peer", peer: "b", on: true, by });
      cores.pass(second);
      assert.equal(lastAnswer(cores).kind, "done");
      assert.match(reasonsAt(cores, "b"), /drained by ops/);
    });
  }

  test("is answered as unconfirmed if the peer doesn't confirm within 5 s", () => {
    const cores = new Cores(["a", "b"]);
    cores.split(["a"], ["b"]);
    cores.ask("a", { kind: "drain-peer", peer: "b", on: true, by });
    cores.pass(4 * second);
    assert.equal(cores.answers.length, 0);
    cores.pass(2 * second);
    assert.equal(refusalCode(cores), "PEER_UNREACHABLE");
  });

  test("leaves a voter voting", () => {
    const cores = promoted(["a", "b", "c"], "b", "c");
    cores.pass(20 * second);
    cores.ask("c", { kind: "drain-peer", peer: "b", on: true, by });
    cores.pass(second);
    cores.kill("c");
    cores.put(beat);
    cores.pass(60 * second);
    assert.ok(cores.starts.length >= 5);
    noneTwice(cores);
  });
});

describe("a witness", () => {
  test("makes three voters with two workers: if one worker dies, the other still runs majority jobs", () => {
    const cores = new Cores(["a", "b"]);
    cores.up("w" as PeerId, { role: "witness" });
    cores.pass(60 * second);
    assert.deepEqual(votersAt(cores, "a"), ["a", "b", "w"]);
    cores.put(beat);
    cores.pass(60 * second);
    assert.equal(cores.starts.length, 6);
    cores.kill("a");
    cores.pass(60 * second);
    const later = cores.starts.slice(6);
    assert.ok(later.length >= 5, `${later.length} of 6`);
    for (const { peer } of later) assert.equal(peer, "b");
    assert.ok(
      cores.starts.every(({ peer }) => peer !== "w"),
      "a witness runs nothing",
    );
    noneTwice(cores);
  });

  test("that is promoted has the second of two votes, without which no majority job runs", () => {
    const cores = new Cores(["a"]);
    cores.up("w" as PeerId, { role: "witness" });
    cores.pass(2 * second);
    cores.ask("w", { kind: "promote-peer", peer: "w", by });
    cores.pass(2 * second);
    assert.deepEqual(votersAt(cores, "a"), ["a", "w"]);
    cores.put(beat);
    cores.pass(30 * second);
    assert.ok(cores.starts.length >= 2);
    cores.kill("w");
    cores.pass(10 * second);
    const before = cores.starts.length;
    cores.pass(60 * second);
    assert.equal(cores.starts.length, before);
  });
});

test("showing a peer's state or the runners of the next ticks doesn't change the state", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.put({ id: "beat", schedule: "@every 10s", command: "true" });
  cores.pass(15_000);
  const state = cores.state("a");
  const before = inspect(state, { depth: null, maxArrayLength: null });
  const later = { wall: state.now.wall + 60_000, mono: state.now.mono + 60_000 };
  assert.equal(viewOf(state, later, new Map(), [], {}).self.heardAt, later.wall);
  const next = nextTicks(state, later, "beat" as JobId, 1)?.[0]?.startsAt ?? 0;
  assert.ok(next > later.wall && next <= later.wall + 10_000);
  notReady(state);
  sizesOf(state);
  assert.equal(inspect(state, { depth: null, maxArrayLength: null }), before);
});
