/** The checkers of majority jobs, sizes and authority must be able to fail: each gets a story with one fault. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAll } from "../src/sim/checkers/all.ts";
import { checkBounded } from "../src/sim/checkers/bounded.ts";
import { everyMinute, ticksOf } from "../src/sim/client/schedules.ts";
import { tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";
import type { JobRules } from "../src/sim/world/requests.ts";
import type {
  AcceptanceSeen,
  BallotSeen,
  Breach,
  Cut,
  EpochSeen,
  Evidence,
  Knowledge,
  Run,
} from "../src/sim/world/truth.ts";

const minute = 60_000;
const beginning = Date.parse("2026-11-20T00:00:00Z");
const ending = beginning + 20 * minute;
const [ann, ben, cyd] = ["ann", "ben", "cyd"] as [PeerId, PeerId, PeerId];
const peers = [ann, ben, cyd];
const job = "backup" as JobId;
const sixth = beginning + 6 * minute;

const rules: JobRules = {
  id: job,
  schedule: everyMinute,
  overlap: "allow",
  catchUp: { policy: "latest", windowMs: 10 * minute },
  peers: undefined,
  partition: "majority",
};

function runOf(instant: number, peer: PeerId, changes: Partial<Run> = {}): Run {
  const times = { start: instant + 5, end: instant + 500 };
  return { job, tick: tickAt(instant), attempt: 1, peer, life: 1, ...times, ...changes };
}

function epoch(number: number, voters: readonly PeerId[], from: number): EpochSeen {
  return { number, voters, from, text: JSON.stringify([number, voters, from]) };
}

const council = epoch(0, peers, beginning);

function decisionOf(run: Pick<Run, "tick" | "attempt">): string {
  return `${job}@${run.tick}~${run.attempt}`;
}

function ballot(
  run: Pick<Run, "tick" | "attempt">,
  by: PeerId,
  changes: Partial<BallotSeen> = {},
): BallotSeen {
  const name = `1/${by}/7`;
  return { decision: decisionOf(run), ballot: name, epoch: 0, sender: `${by}#1`, value: by, ...changes };
}

function acceptances(
  run: Pick<Run, "tick" | "attempt">,
  by: PeerId,
  voters: readonly PeerId[],
): AcceptanceSeen[] {
  const common = { decision: decisionOf(run), ballot: `1/${by}/7`, value: by };
  return voters.map((voter) => ({ ...common, voter }));
}

function knows(peer: PeerId, runs: readonly Run[]): Knowledge {
  const records = runs.map((run) => ({ ...run, state: "succeeded", writing: `${run.tick} ended`, epoch: 0 }));
  return {
    peer,
    jobs: new Map([[job, "1"]]),
    records: new Map(records.map((record) => [decisionOf(record) + record.peer, record])),
    complaint: undefined,
  };
}

/** Twenty minutes in which three voters chose each minute's runner, by two votes of three. */
function flawless(changes: Partial<Evidence> = {}): Evidence {
  const instants = ticksOf(everyMinute, beginning + minute, ending);
  const runs = changes.runs ?? instants.map((instant, index) => runOf(instant, peers[index % 3] ?? ann));
  const knowledge = peers.map((peer) => knows(peer, runs));
  const put = { request: { kind: "put", rules }, peer: ann, askedAt: beginning + 1_000 } as const;
  return {
    peers,
    from: beginning,
    to: ending,
    healedAt: beginning + 10 * minute,
    operations: [{ ...put, answeredAt: beginning + 1_020, accepted: true, tick: undefined }],
    outages: [],
    cuts: [],
    faultWindows: [],
    clockErrorMs: new Map(),
    convergedViews: [knowledge, knowledge],
    final: knowledge,
    votes: {
      ballots: runs.map((run) => ballot(run, run.peer)),
      acceptances: runs.flatMap((run) => acceptances(run, run.peer, [ann, ben])),
      epochs: [council],
    },
    ...changes,
    runs,
  };
}

const good = flawless();
const votes = good.votes ?? { ballots: [], acceptances: [], epochs: [] };
const [run = runOf(sixth, ann)] = good.runs.filter(({ tick }) => tick === tickAt(sixth));
const another = peers.find((peer) => peer !== run.peer) ?? ann;

function found(rule: Breach["rule"], evidence: Evidence): string[] {
  return checkAll(evidence)
    .filter((breach) => breach.rule === rule)
    .map(({ what }) => what);
}

function apart(one: PeerId, other: PeerId): Cut[] {
  const span = { from: sixth - minute, to: sixth + 2 * minute };
  return [
    { sender: one, receiver: other, ...span },
    { sender: other, receiver: one, ...span },
  ];
}

test("a flawless story with votes passes every checker", () => {
  assert.deepEqual(checkAll(good), []);
});

test("I2: a majority job's tick that started twice is found, even in a split or in another attempt", () => {
  const cuts = [
    { sender: run.peer, receiver: another, from: beginning, to: ending },
    { sender: another, receiver: run.peer, from: beginning, to: ending },
  ];
  const twice = [...good.runs, runOf(sixth, another, { start: sixth + 9_000 })];
  assert.equal(found("I2", flawless({ runs: twice, cuts })).length, 1);
  const again = [...good.runs, runOf(sixth, another, { attempt: 2, start: sixth + 9_000 })];
  assert.equal(found("I2", flawless({ runs: again, cuts })).length, 1);
});

test("I2: a voter restored to an old disk excuses nothing if another could tell it its vote count", () => {
  const twice = [...good.runs, runOf(sixth, another, { start: sixth + 9_000 })];
  const rollback = {
    peer: ben,
    copiedAt: sixth - 20_000,
    startedAt: sixth + 5_000,
    kind: "old disk",
  } as const;
  assert.equal(found("I2", flawless({ runs: twice, rollbacks: [rollback] })).length, 1);
  // … but does if no other could.
  const alone = [ann, cyd].flatMap((other) => [
    { sender: ben, receiver: other, from: sixth - 30_000, to: sixth + 6_000 },
    { sender: other, receiver: ben, from: sixth - 30_000, to: sixth + 6_000 },
  ]);
  assert.deepEqual(found("I2", flawless({ runs: twice, rollbacks: [rollback], cuts: alone })), []);
});

test("I2: a copy beside a voter excuses a tick until a third peer has told them, and for as long as it runs if there is none", () => {
  const soon = runOf(sixth, ann, { life: 1_000_001 });
  const later = sixth + 5 * minute;
  const late = runOf(later, ann, { life: 1_000_001 });
  const faultWindows = [
    { kind: "duplicate identity", peer: ann, from: sixth - 5_000, to: later + minute } as const,
  ];
  const both = {
    runs: [...good.runs.filter(({ start }) => start < later + minute), soon, late],
    faultWindows,
  };
  const ticks = (changes: Partial<Evidence>) =>
    found("I2", flawless({ ...both, ...changes })).map((what) => what.split(" ")[0]);
  assert.deepEqual(ticks({}), [`${job}@${late.tick}`], "ben and cyd hear both");
  assert.deepEqual(ticks({ introduced: new Map() }), [], "nobody knows ann");
  const alone = { peers: [ann], votes: { ...votes, epochs: [epoch(0, [ann], beginning)] } };
  assert.deepEqual(ticks(alone), [], "there is no other peer");
  assert.deepEqual(ticks({ ...alone, faultWindows: [] }).length, 2, "a lone voter runs a tick once");
});

test("I2: a tick that was due by a wrong clock is excused by what happened around its starts", () => {
  const ahead = 12 * 60 * minute;
  const starts = [5, 10].map((ms) => runOf(sixth + ahead, ann, { start: sixth + ms }));
  const alone = { peers: [ann], runs: starts, votes: { ...votes, epochs: [epoch(0, [ann], beginning)] } };
  const beside = (from: number) => ({
    faultWindows: [{ kind: "duplicate identity", peer: ann, from, to: from + minute } as const],
  });
  assert.deepEqual(found("I2", flawless({ ...alone, ...beside(sixth - 5_000) })), []);
  assert.equal(found("I2", flawless({ ...alone, ...beside(sixth - 3 * minute) })).length, 1);
});

test("I1: a majority job's tick that never ran is found, unless its runner may have died with it", () => {
  const runs = good.runs.filter(({ tick }) => tick !== run.tick);
  assert.ok(found("I1", flawless({ runs })).length > 0);
  const outages = [{ peer: cyd, kind: "down" as const, from: sixth - 500, to: sixth + 30_000 }];
  assert.deepEqual(found("I1", flawless({ runs, outages })), []);
});

test("I1: two of three voters must run a tick without the third, but one alone need not", () => {
  const runs = good.runs.filter(({ tick }) => tick !== run.tick);
  const two = [...apart(cyd, ann), ...apart(cyd, ben)];
  assert.ok(found("I1", flawless({ runs, cuts: two })).length > 0);
  assert.deepEqual(found("I1", flawless({ runs, cuts: [...two, ...apart(ann, ben)] })), []);
});

test("I12: an order that was decided twice with different runners is found", () => {
  const second = ballot(run, another, { ballot: `2/${another}/7` });
  const accepted = [ben, cyd].map((voter) => ({ ...second, voter, value: another }));
  const ballots = [...votes.ballots, second];
  const breaches = found(
    "I12",
    flawless({ votes: { ...votes, ballots, acceptances: [...votes.acceptances, ...accepted] } }),
  );
  assert.match(breaches.join(), /decided twice/);
  // One vote of three for another value decides nothing.
  const minority = [...votes.acceptances, ...accepted.slice(0, 1)];
  assert.deepEqual(found("I12", flawless({ votes: { ...votes, ballots, acceptances: minority } })), []);
});

test("I12: a ballot that two processes use, or that has two values, is found", () => {
  const lives = [...votes.ballots, ballot(run, run.peer, { sender: `${run.peer}#2` })];
  assert.match(found("I12", flawless({ votes: { ...votes, ballots: lives } })).join(), /was used by/);
  const values = [...votes.ballots, ballot(run, run.peer, { value: another })];
  assert.match(found("I12", flawless({ votes: { ...votes, ballots: values } })).join(), /has the values/);
});

test("I12: an epoch with two successors is found", () => {
  const epochs = [council, epoch(1, [ann, ben], ending), epoch(1, [ben, cyd], ending)];
  assert.match(found("I12", flawless({ votes: { ...votes, epochs } })).join(), /two epochs 1/);
});

test("I12: an order that was decided by another epoch than the one in force at its tick is found", () => {
  const epochs = [council, epoch(1, [ann, ben, cyd], sixth)];
  const breaches = found("I12", flawless({ votes: { ...votes, epochs } }));
  assert.match(breaches.join(), /epoch 1 was in force/);
});

test("I12: two records of one order that both say their peer was chosen are found", () => {
  const records = peers.map((peer) => knows(peer, [...good.runs, runOf(sixth, another)]));
  assert.match(found("I12", flawless({ final: records })).join(), /both say/);
});

test("I4: a witness that runs something is found", () => {
  assert.match(found("I4", flawless({ witnesses: [run.peer] })).join(), /a witness runs nothing/);
});

test("I13: a peer with more orders than its jobs can have due is found, and so is a document that grows by itself", () => {
  const sizes = { orders: 3, asks: 0, documentBytes: 2_000 };
  const held = (changes: Partial<typeof sizes>) =>
    flawless({ sizes: [{ peer: ann, at: ending, sizes: { ...sizes, ...changes } }] });
  assert.deepEqual(found("I13", held({})), []);
  assert.match(found("I13", held({ orders: 5_000 })).join(), /5000 orders/);
  assert.match(found("I13", held({ asks: 500 })).join(), /500 asks/);
  assert.match(found("I13", held({ documentBytes: 90_000 })).join(), /documentBytes/);
});

test("I13: elections that go on after minutes of quiet are found, unless too few voters could ever vote again", () => {
  const operations = ["a", "b", "c", "d", "e", "f"].map((id): Evidence["operations"][number] => {
    const many = { ...rules, id: id as JobId, pool: { name: "db", slots: 1 } };
    const request = { kind: "put", rules: many } as const;
    const times = { askedAt: beginning + 1_000, answeredAt: beginning + 1_020 };
    return { request, peer: ann, ...times, accepted: true, tick: undefined };
  });
  const sizes = [{ peer: ann, at: ending, sizes: { elections: 100 } }];
  const elections = (...restored: PeerId[]) => {
    const back = { copiedAt: beginning, startedAt: sixth, kind: "old disk" } as const;
    const rollbacks = restored.map((peer) => ({ ...back, peer }));
    return checkBounded(flawless({ operations, sizes, rollbacks })).map(({ what }) => what);
  };
  assert.match(elections().join(), /100 elections/);
  assert.match(elections(ben).join(), /100 elections/);
  assert.deepEqual(elections(ben, cyd), []);
});

test("I14: garbage that changes something is found, and so is a forged record on a disk", () => {
  const garbage = { peer: ann, at: sixth, what: "noise", before: "table 1", after: "table 1" };
  assert.deepEqual(found("I14", flawless({ garbage: [garbage] })), []);
  assert.equal(found("I14", flawless({ garbage: [{ ...garbage, after: "table 2" }] })).length, 1);
  assert.equal(found("I14", flawless({ forged: ["backup@… is on the disk of ann"] })).length, 1);
});
