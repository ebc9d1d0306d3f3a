import assert from "node:assert/strict";
import { test } from "node:test";
import { epochAt } from "../src/core/voting/roster.ts";
import { notReady } from "../src/core/operator/readiness.ts";
import { isBusy } from "../src/core/view.ts";
import { voteOf } from "../src/core/members/members.ts";
import { hearBallots, rosterDecision } from "../src/core/voting/acceptor.ts";
import { Cores, signedLife } from "./kit/cores.ts";
import type { PeerId } from "../src/schema/ids.ts";
import type { Span } from "../src/schema/run.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const beat = { id: "beat", schedule: "@every 10s", command: "true", partition: "majority" } as const;

/** Three peers, after the first epoch of three voters has been chosen and has begun. */
function threeVoters(options: { runMs?: number } = {}): Cores {
  const cores = new Cores(["a", "b", "c"], options);
  cores.pass(60 * second);
  for (const peer of ["a", "b", "c"]) {
    assert.deepEqual(
      cores.state(peer).voting.roster.chain.at(-1)?.voters,
      ["a", "b", "c"],
      `as ${peer} has it`,
    );
  }
  return cores;
}

function noneTwice(cores: Cores): void {
  const keys = cores.starts.map(({ tick }) => tick);
  assert.deepEqual(keys.toSorted(), [...new Set(keys)].toSorted(), "no tick twice");
}

test("a lone peer that founded the mesh is its only voter, and runs majority jobs", () => {
  const cores = new Cores(["a"]);
  cores.put(beat);
  cores.pass(60 * second);
  assert.equal(cores.starts.length, 6);
  noneTwice(cores);
});

test("a majority job runs again once a clock that was a year ahead is right, and repeats nothing", () => {
  const cores = new Cores(["a"]);
  cores.put(beat);
  cores.pass(300 * second);
  cores.setClock("a", 365 * day);
  cores.pass(120 * second);
  cores.setClock("a", 0);
  cores.pass(30 * second);
  const before = cores.starts.length;
  cores.pass(300 * second);
  assert.equal(cores.starts.length, before + 30);
  noneTwice(cores);
});

test("a majority job goes on once a clock that was a year ahead twice is right again", () => {
  const cores = new Cores(["a"]);
  const hourly = { ...beat, schedule: "@every 1h" };
  cores.put(hourly);
  cores.pass(3 * hour);
  for (let time = 0; time < 2; time++) {
    cores.setClock("a", 365 * day);
    cores.pass((time === 0 ? 5 : 30) * hour);
    cores.setClock("a", 0);
    cores.pass(2 * hour);
  }
  const before = cores.starts.length;
  cores.pass(24 * hour);
  assert.equal(cores.starts.length, before + 24);
  noneTwice(cores);
});

test("a voter whose clock is set back to ticks on which its votes are forgotten votes on none of them", () => {
  const cores = new Cores(["a"]);
  cores.put({ ...beat, schedule: "@every 1h" });
  cores.pass(40 * hour);
  const ballot = { round: 999_999, peer: "a" as PeerId, incarnation: 9e15 };
  cores.setClock("a", -30 * hour);
  cores.pass(10 * minute);
  const answerOn = (tick: string) => {
    const instant = Date.parse(tick);
    const decision = `beat@${tick}~1` as const;
    hearBallots(cores.state("a"), "a" as PeerId, [{ decision, epoch: 0, instant, ballot }]);
    return cores.state("a").voting.proposer.ownReplies.splice(0).at(-1);
  };
  const forgotten = cores.starts[5]?.tick ?? "";
  assert.deepEqual(answerOn(forgotten)?.answer, "barred");
});

test("a tick that its chosen runner holds back is skipped when its job is paused, and the job runs again when resumed", () => {
  const cores = new Cores(["a"], { runMs: 25 * second });
  const at = cores.wall(cores.now);
  const made = { createdAt: at, scheduledAt: at };
  cores.put(beat, made);
  const isHeld = () => cores.state("a").book.overlapQueue.size > 0;
  for (let waited = 0; !isHeld() && waited < minute; waited += 100) cores.pass(100);
  assert.ok(isHeld());
  cores.put(beat, { ...made, pauses: [{ by: "ann", at: cores.wall(cores.now) }] });
  const before = cores.starts.length;
  cores.pass(40 * second);
  assert.equal(cores.starts.length, before);
  assert.ok(cores.recordsOf("a").some(({ state, reason }) => state === "skipped" && reason === "paused"));
  cores.put(beat, made);
  cores.pass(40 * second);
  assert.ok(cores.starts.length > before);
  noneTwice(cores);
});

test("voters vote on an order in each of its eight rounds, and on nothing that only resembles one", () => {
  const cores = threeVoters();
  cores.put(beat);
  cores.pass(60 * second);
  const tick = cores.starts.at(-1)?.tick ?? "";
  const epoch = epochAt(cores.state("b").voting.roster.chain, Date.parse(tick))?.number ?? -1;
  const votesOn = (decision: string) => {
    const ballot = { round: 1_000, peer: "a" as PeerId, incarnation: cores.state("a").members.incarnation };
    const ballots = [{ decision, epoch, instant: Date.parse(tick), ballot }];
    cores.feed("b" as PeerId, { kind: "heard", from: "a" as PeerId, message: { kind: "ballots", ballots } });
    cores.pass(second);
    return cores.votes.get("b" as PeerId)?.has(decision) === true;
  };
  for (const round of ["", "!1", "!2", "!3", "!4", "!5", "!6", "!7"])
    assert.ok(votesOn(`beat@${tick}~1${round}`), round);
  for (const round of ["!0", "!8", "!9", "!10", "!1!1", "!", "!x", "@a!1"])
    assert.ok(!votesOn(`beat@${tick}~1${round}`), round);
});

test("voters whose clocks were a year ahead make others voters all the same, and what they have voted on stays with them", () => {
  const cores = new Cores(["a"]);
  cores.put(beat);
  cores.pass(60 * second);
  cores.setClock("a", 365 * day);
  cores.pass(60 * second);
  const ahead = cores.wall(cores.now) + 365 * day;
  cores.setClock("a", 0);
  cores.pass(10 * second);
  for (const peer of ["b", "c"] as PeerId[]) cores.up(peer);
  cores.pass(60 * second);
  const { chain } = cores.state("b").voting.roster;
  assert.deepEqual(chain.at(-1)?.voters, ["a", "b", "c"]);
  assert.equal(epochAt(chain, cores.wall(cores.now))?.number, 1);
  assert.equal(epochAt(chain, ahead - 30 * second)?.number, 0);
  assert.equal(epochAt(chain, ahead + day)?.number, 1);
  const before = cores.starts.length;
  cores.pass(60 * second);
  assert.equal(cores.starts.length, before + 6);
  noneTwice(cores);
});

test("a voter accepts no epoch that takes away from it what it has voted on", () => {
  const cores = threeVoters();
  cores.put(beat);
  cores.pass(30 * second);
  const { voting } = cores.state("a");
  const now = cores.wall(cores.now);
  const votedAhead = [{ from: now + 200 * day, to: now + 201 * day }];
  voting.voter.voted = [...voting.voter.voted, ...votedAhead];
  const answerTo = (except: readonly Span[] | undefined) => {
    const item = { decision: rosterDecision(voting.roster.chain), epoch: 1, instant: 0 };
    const value = JSON.stringify({ voters: ["a", "b", "d"], from: now + 20 * second, except });
    hearBallots(cores.state("a"), "a" as PeerId, [
      { ...item, ballot: { round: 99, peer: "a" as PeerId, incarnation: 1 }, value },
    ]);
    return voting.proposer.ownReplies.splice(0).at(-1);
  };
  assert.equal(answerTo(undefined)?.why, "from-too-early");
  assert.equal(answerTo([{ from: now + 200 * day, to: now + 200 * day }])?.why, "from-too-early");
  assert.equal(answerTo([{ from: now, to: now + 300 * day }])?.why, "no-epoch", "it would never begin");
  assert.equal(answerTo(votedAhead), undefined, "a vote is stored before it is answered");
});

test("one voter becomes three when two more peers have been up for a while, and every peer knows it", () => {
  threeVoters();
});

test("a joining peer learns from the others who votes, and its ticks start on time", () => {
  const cores = new Cores(["a", "b"]);
  cores.put(beat);
  cores.pass(60 * second);
  noneTwice(cores);
  assert.ok(cores.starts.some(({ peer }) => peer === "b"));
  for (const { at, tick } of cores.starts) assert.ok(cores.wall(at) - Date.parse(tick) < 100, `${tick} late`);
});

test("with two peers the founder stays the only voter, because two voters would fail more often than one", () => {
  const cores = new Cores(["a", "b"]);
  cores.pass(120 * second);
  assert.equal(cores.state("b").voting.roster.chain.length, 1);
});

test("three voters run each tick of a majority job once, on time", () => {
  const cores = threeVoters();
  cores.put(beat);
  cores.pass(120 * second);
  assert.equal(cores.starts.length, 12);
  noneTwice(cores);
  for (const { at, tick } of cores.starts) assert.ok(cores.wall(at) - Date.parse(tick) < 100, `${tick} late`);
});

test("if a voter has lost its votes and another one is down, the third says that majority jobs don't run", () => {
  const cores = threeVoters();
  cores.put(beat);
  cores.pass(60 * second);
  cores.kill("c");
  cores.up("c" as PeerId, { votes: [], voteCount: 0 });
  cores.pass(60 * second);
  const { voter, votesLost } = voteOf(cores.state("a"), "c" as PeerId);
  assert.deepEqual([voter, votesLost], [false, true]);
  assert.deepEqual(notReady(cores.state("a")), []);

  cores.kill("b");
  cores.pass(60 * second);
  const before = cores.starts.length;
  cores.pass(60 * second);
  assert.equal(cores.starts.length, before);
  assert.deepEqual(
    notReady(cores.state("a")).map(({ code, message }) => `${code}: ${message}`),
    ["no-quorum: 2 of 3 voters are in reach, but host-c can't vote (votes-lost), and majority jobs need 2"],
  );
});

test("in a split only the side with a majority runs a majority job, and the other side says why it doesn't", () => {
  const cores = threeVoters();
  cores.put(beat);
  cores.split(["a"], ["b", "c"]);
  cores.pass(120 * second);
  noneTwice(cores);
  assert.deepEqual(
    [...new Set(cores.starts.filter(({ at }) => at > 75 * second).map(({ peer }) => peer))].toSorted(),
    ["b", "c"],
  );
  const skips = cores.recordsOf("a").filter((record) => record.state === "skipped");
  assert.ok(skips.length > 3);
  for (const { reason } of skips) assert.equal(reason, "no-quorum");
});

test("if no side has a majority, no majority job runs", () => {
  const cores = threeVoters();
  cores.split(["a"], ["b"], ["c"]);
  cores.pass(12 * second);
  cores.put(beat);
  cores.pass(60 * second);
  assert.equal(cores.starts.length, 0);
});

test("when the chosen runner dies before it starts, the tick is lost and not repeated", () => {
  const cores = threeVoters();
  cores.put(beat);
  const [runner = ""] = cores.runnersOf("beat", 1)[0] ?? [];
  cores.pass(7 * second);
  cores.kill(runner);
  cores.pass(6 * second);
  assert.equal(cores.starts.length, 0);
  const others = ["a", "b", "c"].filter((peer) => peer !== runner);
  for (const peer of others) {
    const [record] = cores.recordsOf(peer).filter((each) => each.peer === runner);
    assert.equal(record?.state, "lost", `as ${peer} has it`);
  }
  cores.pass(25 * second);
  assert.ok(cores.starts.length >= 2, "later ticks run");
  noneTwice(cores);
});

test("a chosen runner that is stopped gives the tick back, and another runner is chosen for the same attempt", () => {
  const cores = threeVoters();
  cores.put(beat);
  const [runner = ""] = cores.runnersOf("beat", 1)[0] ?? [];
  cores.pass(7 * second);
  cores.feed(runner as PeerId, { kind: "drain" });
  cores.pass(3 * second);
  assert.equal(cores.starts.length, 1);
  assert.notEqual(cores.starts[0]?.peer, runner);
  assert.equal(cores.starts[0]?.env["CICADA_ATTEMPT"], "1");
});

test("a peer that is stopped while the voters may be choosing it leaves once it has given the tick back", () => {
  const cores = threeVoters();
  cores.put(beat);
  const [runner = ""] = cores.runnersOf("beat", 1)[0] ?? [];
  const stages = () => [...cores.state(runner).book.orders.values()].map(({ local }) => local.stage);
  for (const stage of ["electing", "claiming"] as const) {
    for (let ms = 0; ms < 20 * second && !stages().includes(stage); ms++) cores.pass(1);
    assert.ok(stages().includes(stage), stage);
    assert.ok(isBusy(cores.state(runner)), stage);
  }
  cores.feed(runner as PeerId, { kind: "drain" });
  assert.ok(isBusy(cores.state(runner)), "its claim is being stored");
  cores.pass(second);
  assert.ok(!isBusy(cores.state(runner)));
  cores.kill(runner);
  cores.pass(3 * second);
  assert.deepEqual(
    cores.starts.map(({ peer }) => peer === runner),
    [false],
  );
});

test("a chosen runner whose disk is full gives the tick back, and another runner starts it on time", () => {
  const cores = threeVoters();
  cores.put(beat);
  const [runner = ""] = cores.runnersOf("beat", 1)[0] ?? [];
  cores.full.add(runner as PeerId);
  cores.pass(11 * second);
  const [start] = cores.starts;
  assert.notEqual(start?.peer, runner);
  assert.ok(start !== undefined && cores.wall(start.at) <= Date.parse(start.tick) + 500, "on time");
  cores.pass(60 * second);
  assert.equal(cores.starts.length, 7, "each tick has started");
  noneTwice(cores);
});

test("a full disk doesn't use up the rounds of a majority tick that no other peer may run", () => {
  const cores = threeVoters();
  cores.put({ ...beat, schedule: "@every 30m", target: { peers: ["host-a"] }, catchUp: { window: "20m" } });
  cores.pass(30 * minute - cores.now - 10 * second);
  cores.full.add("a" as PeerId);
  cores.pass(5 * minute);
  assert.equal(cores.starts.length, 0);
  cores.full.delete("a" as PeerId);
  cores.pass(minute);
  assert.deepEqual(
    cores.starts.map(({ peer }) => peer),
    ["a"],
  );
});

test("after a restart a voter votes only when others confirm that it remembers its votes", () => {
  const cores = threeVoters();
  cores.put(beat);
  cores.pass(30 * second);
  const votes = [...(cores.votes.get("b" as PeerId)?.values() ?? [])];
  assert.ok(votes.length > 0);
  cores.kill("b");
  cores.pass(2 * second);
  // Its disk is an old copy without the votes of its first life.
  cores.up("b" as PeerId, { votes: [] });
  cores.pass(30 * second);
  assert.equal(cores.state("b").voting.voter.memory, "lost");
  cores.kill("b");
  cores.pass(2 * second);
  cores.up("b" as PeerId, { votes, voteCount: 1_000 });
  cores.pass(10 * second);
  assert.equal(cores.state("b").voting.voter.memory, "sure");
});

test("a signature that comes with another ballot than the present one is not kept", () => {
  const cores = threeVoters();
  cores.put({ id: "beat", schedule: "@every 10s", command: "true", partition: "majority" });
  const electing = () => [..."abc"].find((peer) => cores.state(peer).voting.proposer.elections.size > 0);
  for (let waited = 0; electing() === undefined && waited < 20_000; waited++) cores.pass(1);
  const proposer = electing() ?? "";
  const [election] = cores.state(proposer).voting.proposer.elections.values();
  assert.ok(election);
  const voter = [..."abc"].find((peer) => peer !== proposer) as PeerId;
  const { ballot } = election.proposal;
  const reply = { decision: election.decision, answer: "accepted", signature: "of another value" } as const;
  const replies = [{ ...reply, ballot: { ...ballot, round: ballot.round - 1 } }];
  cores.feed(proposer as PeerId, { kind: "heard", from: voter, message: { kind: "replies", replies } });
  assert.deepEqual(election.signatures, {});
});

test("two processes with one identity are noticed, and that identity no longer votes", () => {
  const cores = threeVoters();
  const old = cores.state("b").settings.incarnation;
  const [heartbeat] = cores.heartbeats("b");
  assert.ok(heartbeat);
  for (let i = 0; i < 7; i++) {
    cores.feed("a" as PeerId, {
      kind: "heard",
      from: "b" as PeerId,
      message: { ...heartbeat, incarnation: old - 1, life: signedLife("b" as PeerId, old - 1, old) },
    });
    cores.pass(second);
  }
  assert.equal(cores.state("b").members.duplicateIdentity, true);
  assert.equal(cores.state("b").voting.voter.memory, "lost", "nor does it vote in its next life");
  assert.ok(cores.notes.some((note) => note.includes("another process uses this peer's identity")));
});
