/**
 * Every checker must be able to fail: each test breaks one rule of a flawless story on purpose and expects the breach.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkAll } from "../src/sim/checkers/all.ts";
import { checkAccounts, checkConvergence } from "../src/sim/checkers/agreement.ts";
import { checkBackfills } from "../src/sim/checkers/backfills.ts";
import { checkBounded } from "../src/sim/checkers/bounded.ts";
import { checkDuplicates } from "../src/sim/checkers/duplicates.ts";
import { checkLoss, checkResumption } from "../src/sim/checkers/loss.ts";
import { checkPruned, retainedTicks } from "../src/sim/checkers/retained.ts";
import { checkEligibility } from "../src/sim/checkers/eligibility.ts";
import { checkOverlap } from "../src/sim/checkers/overlap.ts";
import { checkChains } from "../src/sim/checkers/chains.ts";
import { checkNotices } from "../src/sim/checkers/notices.ts";
import { checkRetries } from "../src/sim/checkers/retries.ts";
import { checkPools } from "../src/sim/checkers/pools.ts";
import { checkDisowned, checkRanges, checkStories } from "../src/sim/checkers/story.ts";
import {
  checkCancels,
  checkMaintenance,
  checkPhantoms,
  checkRevocation,
  checkSkips,
} from "../src/sim/checkers/phantoms.ts";
import { checkSecrets } from "../src/sim/checkers/secrets.ts";
import { asChangesOfJobs } from "../src/sim/world/shared-changes.ts";
import { components, knownToAll } from "../src/sim/checkers/surroundings.ts";
import {
  dueOfTick,
  everyMinute,
  everySeconds,
  isTickOf,
  noSchedule,
  ticksOf,
} from "../src/sim/client/schedules.ts";
import type { JobRules, Operation, ClientRequest } from "../src/sim/world/requests.ts";
import type { Breach, Evidence, Knowledge, RecordSeen, Run } from "../src/sim/world/truth.ts";
import { livesOfCopies } from "../src/sim/world/truth.ts";
import { backfillTick } from "../src/schema/backfill.ts";
import { instantOf, tickAt, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";

const minute = 60_000;
const beginning = Date.parse("2026-11-20T00:00:00Z");
const ending = beginning + 20 * minute;
const [ann, ben, cyd] = ["ann", "ben", "cyd"] as [PeerId, PeerId, PeerId];
const peers = [ann, ben, cyd];
const job = "backup" as JobId;

const rules: JobRules = {
  id: job,
  schedule: everyMinute,
  overlap: "allow",
  catchUp: { policy: "latest", windowMs: 10 * minute },
  peers: undefined,
};

function asked(request: ClientRequest, atMs: number): Operation {
  return {
    request,
    peer: ann,
    askedAt: beginning + atMs,
    answeredAt: beginning + atMs + 20,
    accepted: true,
    tick: undefined,
  };
}

function runOf(instant: number, peer: PeerId, changes: Partial<Run> = {}): Run {
  return {
    job,
    tick: tickAt(instant),
    attempt: 1,
    peer,
    life: 1,
    start: instant + 5,
    end: instant + 500,
    ...changes,
  };
}

function knows(peer: PeerId, runs: readonly Run[]): Knowledge {
  const records = runs.map((run) => ({
    job: run.job,
    tick: run.tick,
    attempt: run.attempt,
    ...(run.slot === undefined ? {} : { slot: run.slot }),
    peer: run.peer,
    state: "succeeded",
    writing: `${run.tick} ended`,
  }));
  return {
    peer,
    jobs: new Map([[job, "1"]]),
    records: new Map(records.map((record) => [`${record.tick}@${record.peer}`, record])),
    complaint: undefined,
  };
}

/** Twenty minutes without faults in which one job ran each minute, on three peers in turn. */
function flawless(changes: Partial<Evidence> = {}): Evidence {
  const runs =
    changes.runs ??
    ticksOf(everyMinute, beginning + minute, ending).map((instant, index) =>
      runOf(instant, peers[index % 3] ?? ann),
    );
  const knowledge = peers.map((peer) => knows(peer, runs));
  return {
    peers,
    from: beginning,
    to: ending,
    healedAt: beginning + 10 * minute,
    operations: [asked({ kind: "put", rules }, 1_000)],
    outages: [],
    cuts: [],
    faultWindows: [],
    clockErrorMs: new Map(),
    convergedViews: [knowledge, knowledge],
    final: knowledge,
    ...changes,
    runs,
  };
}

function rulesIn(breaches: readonly Breach[]): string[] {
  return [...new Set(breaches.map(({ rule }) => rule))].toSorted();
}

const sixth = beginning + 6 * minute;
const good = flawless();
const without = (instant: number): Run[] => good.runs.filter(({ tick }) => tick !== tickAt(instant));

test("a story without a flaw passes every checker", () => {
  assert.deepEqual(checkAll(good), []);
});

test("I1: a tick that never ran is found", () => {
  assert.ok(rulesIn(checkAll(flawless({ runs: without(sixth) }))).includes("I1"));
});

test("I4: a start on a peer that the job's target doesn't admit is found", () => {
  const ofAll = [asked({ kind: "put", rules: { ...rules, peers } }, 1_000)];
  const ofTwo = [asked({ kind: "put", rules: { ...rules, peers: [ann, cyd] } }, 1_000)];
  assert.deepEqual(rulesIn(checkAll(flawless({ operations: ofAll }))), []);
  assert.ok(rulesIn(checkAll(flawless({ operations: ofTwo }))).includes("I4"));
});

test("I1: a tick that ran a quarter of an hour late is found", () => {
  const runs = [...without(sixth), runOf(sixth, ann, { start: sixth + 8 * minute, end: sixth + 9 * minute })];
  assert.ok(rulesIn(checkAll(flawless({ runs }))).includes("I1"));
});

test("I1: a run with the id of a missing tick doesn't hide that the tick never ran", () => {
  // Both ids have a run, but only one process really started in these two minutes.
  const runs = [...without(sixth), runOf(sixth, ann, { start: sixth - 2 * minute })];
  const found = checkAll(flawless({ runs })).filter(({ rule }) => rule === "I1");
  assert.match(found.map(({ what }) => what).join(), /no start remains/);
});

test("I1: a tick that ran early by a clock that was ahead is not required again, unless it was early or late by that clock too", () => {
  const early = sixth - 5 * minute;
  const stepped = (steppedMs: number, ...edits: Operation[]) =>
    rulesIn(
      checkLoss(
        flawless({
          operations: [...good.operations, ...edits],
          runs: [...without(sixth), runOf(sixth, ann, { start: early + 5, end: early + 10 })],
          faultWindows: [
            { kind: "clock step", peer: ann, from: early - 30_000, to: early + 60_000, steppedMs },
          ],
        }),
      ),
    );
  assert.deepEqual(stepped(5 * minute), []);
  assert.deepEqual(stepped(12 * minute), []);
  assert.deepEqual(stepped(3 * minute), ["I1"]);
  assert.deepEqual(stepped(30 * minute), ["I1"]);
  const narrow = { ...rules, catchUp: { policy: "latest", windowMs: minute } } as const;
  const edit = asked({ kind: "put", rules: narrow }, 4 * minute);
  assert.deepEqual(stepped(12 * minute, edit), [], "its window was narrowed after it had run");
});

test("I1: a tick is not required if no peer was well around it", () => {
  const outages = peers.map((peer) => ({
    peer,
    kind: "down" as const,
    from: sixth - 10_000,
    to: sixth + 10_000,
  }));
  assert.deepEqual(rulesIn(checkAll(flawless({ runs: without(sixth), outages }))), ["I6"]);
});

test("I1: the slower of two clocks counts if its peer was restarted since it was set, so a tick that only the other peer may run is not required", () => {
  const setAt = sixth - 3 * minute;
  const story = (steppedMs: number, restartedAt: number, only: readonly PeerId[] | undefined) =>
    rulesIn(
      checkLoss(
        flawless({
          peers: [ann, ben],
          runs: without(sixth).map((run) => ({ ...run, peer: ann })),
          operations: [asked({ kind: "put", rules: { ...rules, peers: only } }, 1_000)],
          outages: [{ peer: ben, kind: "down", from: restartedAt, to: restartedAt }],
          faultWindows: [{ kind: "clock step", peer: ben, from: setAt, to: sixth + 2 * minute, steppedMs }],
        }),
      ),
    );
  assert.deepEqual(story(-2_000, setAt, [ann]), []);
  assert.deepEqual(story(-2_000, setAt, undefined), ["I1"], "the peer whose clock counts may run it");
  assert.deepEqual(story(-2_000, setAt - minute, [ann]), ["I1"], "its process knows that it was set");
  assert.deepEqual(story(2_000, setAt, [ann]), ["I1"], "the clock that is ahead is doubted");
  assert.deepEqual(story(-500, setAt, [ann]), ["I1"], "the clocks count as equal");
});

test("I1: a tick is not required if the clock that counts leaps over it when it is set right, too late to catch it up", () => {
  const [setAt, rightAt] = [sixth - 3 * minute, sixth + 2 * minute];
  const story = (steppedMs: number, catchUp: JobRules["catchUp"], overlap: JobRules["overlap"] = "allow") =>
    rulesIn(
      checkLoss(
        flawless({
          peers: [ann, ben],
          runs: without(sixth).map((run) => ({ ...run, peer: ann })),
          operations: [asked({ kind: "put", rules: { ...rules, catchUp, overlap } }, 1_000)],
          outages: [{ peer: ben, kind: "down", from: setAt, to: setAt }],
          faultWindows: [{ kind: "clock step", peer: ben, from: setAt, to: rightAt, steppedMs }],
        }),
      ),
    );
  const none = { policy: "none", windowMs: 10 * minute } as const;
  assert.deepEqual(story(-10 * minute, none), []);
  assert.deepEqual(story(-10 * minute, { policy: "latest", windowMs: minute }), []);
  assert.deepEqual(story(-10 * minute, rules.catchUp), ["I1"], "the job catches it up");
  assert.deepEqual(story(-10 * minute, rules.catchUp, "skip"), [], "another tick is caught up at that time");
  assert.deepEqual(story(-minute, none), ["I1"], "its clock had reached the tick");
});

test("I1: the slower of two clocks counts if the other was set too, even if it is right since then", () => {
  const setAt = sixth - 3 * minute;
  const story = (other: { from: number; to: number; steppedMs: number }, annsRestart: number) =>
    rulesIn(
      checkLoss(
        flawless({
          peers: [ann, ben],
          runs: without(sixth).map((run) => ({ ...run, peer: ann })),
          operations: [asked({ kind: "put", rules: { ...rules, peers: [ann] } }, 1_000)],
          outages: [{ peer: ann, kind: "down", from: annsRestart, to: annsRestart }],
          faultWindows: [
            { kind: "clock step", peer: ben, from: setAt, to: sixth + 2 * minute, steppedMs: -2_000 },
            { kind: "clock step", peer: ann, ...other },
          ],
        }),
      ),
    );
  const wrong = { from: setAt + 30_000, to: setAt + minute, steppedMs: 2_000 };
  assert.deepEqual(story(wrong, wrong.from), [], "it knows only that it was set back");
  assert.deepEqual(story(wrong, beginning), ["I1"], "it was set and set back");
  assert.deepEqual(story(wrong, wrong.to + 10_000), ["I1"], "its process does not know of it");
  assert.deepEqual(story({ ...wrong, steppedMs: 1_000 }, wrong.from), ["I1"], "it was set by little");
  const before = { ...wrong, from: beginning, to: setAt - minute };
  assert.deepEqual(story(before, before.from), ["I1"], "the clocks agreed afterwards");
});

test("I1: the slower of two clocks counts if both were set while one of the hosts was suspended, whichever was set first", () => {
  const setAt = sixth - 3 * minute;
  const [annsSet, bensSet] = [setAt - minute, setAt];
  const story = (suspended: PeerId, from: number) =>
    rulesIn(
      checkLoss(
        flawless({
          peers: [ann, ben],
          runs: without(sixth).map((run) => ({ ...run, peer: ann })),
          operations: [
            {
              ...asked({ kind: "put", rules: { ...rules, peers: [ann] } }, 1_000),
              knownAt: beginning + 2_000,
            },
          ],
          outages: [{ peer: suspended, kind: "paused", from, to: setAt + 30_000 }],
          faultWindows: [
            { kind: "clock step", peer: ann, from: beginning, to: annsSet, steppedMs: 10_000 },
            { kind: "clock step", peer: ben, from: bensSet, to: sixth + 2 * minute, steppedMs: -2_000 },
          ],
        }),
      ),
    );
  assert.deepEqual(story(ann, annsSet - 10_000), []);
  assert.deepEqual(story(ben, annsSet - 10_000), []);
  assert.deepEqual(story(ben, annsSet + 10_000), ["I1"], "the clocks agreed before");
});

test("I1: the wrong one of two clocks counts if only the other one's process knows that its clock was set", () => {
  const setAt = sixth - 3 * minute;
  const story = (annsRestart: number, bensRestart: number, only: readonly PeerId[] = [ann]) =>
    rulesIn(
      checkLoss(
        flawless({
          peers: [ann, ben],
          runs: without(sixth).map((run) => ({ ...run, peer: ann })),
          operations: [asked({ kind: "put", rules: { ...rules, peers: only } }, 1_000)],
          outages: [
            { peer: ann, kind: "down", from: annsRestart, to: annsRestart },
            { peer: ben, kind: "down", from: bensRestart, to: bensRestart },
          ],
          faultWindows: [
            { kind: "clock step", peer: ben, from: setAt, to: sixth + 2 * minute, steppedMs: 60 * minute },
            { kind: "clock step", peer: ann, from: setAt + 1_000, to: setAt + minute, steppedMs: -minute },
          ],
        }),
      ),
    );
  assert.deepEqual(
    story(setAt + 1_000, setAt),
    [],
    "ann knows only that its clock was set, to the right time",
  );
  assert.deepEqual(story(setAt + 1_000, setAt, [ann, ben]), ["I1"], "the peer whose clock counts may run it");
  assert.deepEqual(story(beginning, setAt), ["I1"], "ann's clock was set and set back");
  assert.deepEqual(story(setAt + 1_000, beginning), ["I1"], "ben knows that its clock was set, too");
});

test("I1: a tick is not required of a peer whose cluster key was replaced, with proof, while no peer that accepts it is up", () => {
  const span = { from: sixth - 5 * minute, to: sixth + 5 * minute };
  const refusal = { sender: ann, receiver: ben, ...span };
  const back = { sender: ben, receiver: ann, ...span };
  const cydIsAway = [{ peer: cyd, kind: "down" as const, ...span }];
  const found = (changes: Partial<Evidence>) =>
    rulesIn(
      checkLoss(
        flawless({
          runs: without(sixth).map((run) => ({ ...run, peer: ann })),
          operations: [asked({ kind: "put", rules: { ...rules, peers: [ann] } }, 1_000)],
          outages: cydIsAway,
          cuts: [{ ...refusal, isProved: true }, back],
          ...changes,
        }),
      ),
    );
  assert.deepEqual(found({}), []);
  assert.deepEqual(found({ outages: [] }), ["I1"], "cyd accepts its key");
  assert.deepEqual(found({ cuts: [refusal, back] }), ["I1"], "nothing proves that its key was replaced");
  assert.deepEqual(
    found({ cuts: [refusal, { ...back, isProved: true }] }),
    ["I1"],
    "it is ben's key that was replaced",
  );
});

test("I1: a tick is not required if the peer's folder was restored to when it was drained, or a copy of it was undrained", () => {
  const drain = (on: boolean, atMs: number) => asked({ kind: "drain", target: ann, on }, atMs);
  const evidence = flawless({
    peers: [ann],
    runs: without(sixth).map((run) => ({ ...run, peer: ann })),
    operations: [asked({ kind: "put", rules }, 1_000), drain(true, 60_500), drain(false, 121_000)],
  });
  const restored = (copiedAt: number, startedAt: number) =>
    rulesIn(checkLoss({ ...evidence, rollbacks: [{ peer: ann, kind: "old disk", copiedAt, startedAt }] }));
  assert.deepEqual(rulesIn(checkLoss(evidence)), ["I1"]);
  assert.deepEqual(restored(beginning + 120_000, beginning + 122_000), []);
  assert.deepEqual(restored(beginning + 122_000, beginning + 124_000), ["I1"]);
  assert.deepEqual(restored(beginning + 62_000, beginning + 90_000), ["I1"], "it was drained then, too");

  const copied = (from: number, to: number) =>
    rulesIn(checkLoss({ ...evidence, faultWindows: [{ peer: ann, kind: "duplicate identity", from, to }] }));
  assert.deepEqual(copied(beginning + 100_000, beginning + 130_000), []);
  assert.deepEqual(copied(beginning + 70_000, beginning + 100_000), ["I1"], "the copy was gone before");
});

test("I1: a peer that is cut off must run the tick by itself", () => {
  const cut = [ben, cyd].map((other) => ({ sender: ann, receiver: other, from: beginning, to: ending }));
  const outages = [ben, cyd].map((peer) => ({ peer, kind: "down" as const, from: beginning, to: ending }));
  const evidence = flawless({ runs: without(sixth), cuts: cut, outages });
  // Nothing is surely known to all while two peers are down, so nothing is required either …
  assert.ok(!rulesIn(checkAll(evidence)).includes("I1"));
  // … but the tick is required if they went down only after all peers knew the job.
  const later = { from: sixth - 5_000, to: sixth + minute };
  const shorter = flawless({
    runs: without(sixth),
    cuts: cut.map((one) => ({ ...one, ...later })),
    outages: outages.map((one) => ({ ...one, ...later })),
  });
  assert.ok(rulesIn(checkAll(shorter)).includes("I1"));
});

test("I3: a tick that ran twice in a connected mesh is found", () => {
  const runs = [
    ...good.runs,
    runOf(sixth, ben, { start: sixth + 900 }),
    runOf(sixth, cyd, { start: sixth + 900 }),
  ];
  assert.ok(rulesIn(checkAll(flawless({ runs }))).includes("I3"));
});

test("I3: a tick may run once on each side of a split, but not twice on one side", () => {
  const seventh = sixth + minute;
  const cuts = [ben, cyd].flatMap((other) =>
    [
      [ann, other],
      [other, ann],
    ].map(([sender, receiver]) => ({
      sender: sender ?? ann,
      receiver: receiver ?? ann,
      from: sixth,
      to: seventh + minute,
    })),
  );
  const rest = good.runs.filter(({ tick }) => tick !== tickAt(seventh));
  const both = flawless({ runs: [...rest, runOf(seventh, ann), runOf(seventh, ben)], cuts });
  assert.deepEqual(checkAll(both), []);
  const thrice = flawless({ runs: [...rest, runOf(seventh, cyd), runOf(seventh, ben)], cuts });
  assert.ok(rulesIn(checkAll(thrice)).includes("I3"));
});

test("I3: a tick that ran on two peers whose only link is by way of a third is found, unless the third had been forgotten", () => {
  const runs = [...without(sixth), runOf(sixth, ann), runOf(sixth, ben)];
  const cuts = [{ sender: ann, receiver: ben, from: sixth - minute, to: sixth + minute }];
  const found = (...more: Operation[]) =>
    rulesIn(checkDuplicates(flawless({ runs, cuts, operations: [...good.operations, ...more] })));
  assert.deepEqual(found(), ["I3"]);
  assert.deepEqual(found(asked({ kind: "forget", target: cyd }, 5 * minute)), []);
});

test("I3, I9: a tick that a forgotten peer started too is found, unless its old cluster key keeps it from being told", () => {
  const last = ending - 2 * minute;
  const byAnn = good.runs.map((run) => ({ ...run, peer: ann }));
  const runs = [...byAnn, runOf(sixth, cyd), runOf(last, cyd)];
  const found = (from: number, to: number) => {
    const stranded = [{ peer: cyd, from: beginning + from, to: beginning + to }];
    const evidence = flawless({ runs, stranded });
    return [...checkDuplicates(evidence), ...checkResumption(evidence)].map(({ rule }) => rule);
  };
  assert.deepEqual(found(0, 20 * minute), []);
  assert.deepEqual(found(0, 10 * minute), ["I3", "I9"]);
  assert.deepEqual(found(0, minute), ["I3", "I3", "I9"]);
});

test("I3: a tick that one peer started twice is found, whatever faults there were", () => {
  const runs = [...good.runs, runOf(sixth, ann, { life: 2, start: sixth + 20_000 })];
  const byOne = runs.map((run) => (run.tick === tickAt(sixth) ? { ...run, peer: ann } : run));
  const outages = [{ peer: ann, kind: "down" as const, from: sixth + 1_000, to: sixth + 2_000 }];
  assert.ok(rulesIn(checkAll(flawless({ runs: byOne, outages }))).includes("I3"));
});

test("I4: a start at an instant that is not a tick of the schedule is found", () => {
  const runs = [...good.runs, runOf(sixth + 30_000, ann)];
  assert.ok(rulesIn(checkAll(flawless({ runs }))).includes("I4"));
});

test("I4: a start before its tick is found, unless the host's clock was that far off", () => {
  const runs = [...without(sixth), runOf(sixth, ann, { start: sixth - 400 })];
  assert.ok(rulesIn(checkAll(flawless({ runs }))).includes("I4"));
  assert.deepEqual(checkAll(flawless({ runs, clockErrorMs: new Map([[ann, 500]]) })), []);
});

test("I4: a start is found that is early or late by more than its tick's own jitter", () => {
  const jittered: JobRules = { ...rules, jitterMs: 50_000, catchUp: { policy: "none", windowMs: 0 } };
  const operations = [asked({ kind: "put", rules: jittered }, 1_000)];
  const jitterOf = (at: number) => dueOfTick(jittered, at) - at;
  const tick = ticksOf(everyMinute, sixth, ending).find((at) => Math.abs(jitterOf(at) - 25_000) < 15_000);
  assert.ok(tick !== undefined, "neither end of its jitter is near");
  const due = dueOfTick(jittered, tick);
  const found = (start: number): string[] => {
    const others = without(tick).map((run) => {
      const at = dueOfTick(jittered, instantOf(run.tick));
      return { ...run, start: at + 5, end: at + 500 };
    });
    const runs = [...others, runOf(tick, ann, { start, end: start + 500 })];
    return rulesIn(checkPhantoms(flawless({ runs, operations })));
  };
  assert.deepEqual(found(due + 5), []);
  assert.deepEqual(found(tick + 5), ["I4"], "as if the job had no jitter");
  assert.deepEqual(found(due - 400), ["I4"]);
  assert.deepEqual(found(due + 39_000), []);
  assert.deepEqual(found(due + 41_000), ["I4"], "late for its tick, though another tick may be so late");
});

test("I4: an edit leaves a tick that waits for its jitter only if it has the tick as well", () => {
  const jittered: JobRules = { ...rules, jitterMs: 240_000 };
  const tick = ticksOf(everyMinute, sixth, ending).find((at) => dueOfTick(jittered, at) > at + 120_000);
  assert.ok(tick !== undefined);
  const due = dueOfTick(jittered, tick);
  const found = (schedule: JobRules["schedule"]): string[] => {
    const edit = asked({ kind: "put", rules: { ...jittered, schedule } }, tick + 30_000 - beginning);
    const runs = [runOf(tick, ann, { start: due + 5, end: due + 500 })];
    const operations = [asked({ kind: "put", rules: jittered }, 1_000), edit];
    return rulesIn(checkPhantoms(flawless({ runs, operations })));
  };
  assert.deepEqual(found(jittered.schedule), []);
  assert.deepEqual(found({ ...jittered.schedule, offsetMs: 30_000 }), ["I4"]);
});

test("I4: an edit that widens the window while a tick waits for its jitter counts for that tick", () => {
  const narrow = { policy: "latest", windowMs: minute } as const;
  const jittered: JobRules = { ...rules, jitterMs: 240_000, catchUp: narrow };
  const tick = ticksOf(everyMinute, sixth, ending).find((at) => dueOfTick(jittered, at) > at + 120_000);
  assert.ok(tick !== undefined);
  const start = dueOfTick(jittered, tick) + 5 * minute;
  const found = (windowMs: number): string[] => {
    const wider = { ...jittered, catchUp: { ...narrow, windowMs } };
    const edit = asked({ kind: "put", rules: wider }, tick + 30_000 - beginning);
    const operations = [asked({ kind: "put", rules: jittered }, 1_000), edit];
    const runs = [runOf(tick, ann, { start, end: start + 500 })];
    return rulesIn(checkPhantoms(flawless({ runs, operations })));
  };
  assert.deepEqual(found(10 * minute), []);
  assert.deepEqual(found(minute), ["I4"]);
});

test("I4: a start after its catch-up window is found", () => {
  const late = { start: sixth + 11 * minute, end: sixth + 11 * minute + 100 };
  const runs = [...without(sixth), runOf(sixth, ann, late)];
  assert.ok(rulesIn(checkAll(flawless({ runs }))).includes("I4"));
});

function sealed(to: readonly PeerId[], atMs: number): Operation {
  return asked({ kind: "secret", peers: to }, atMs);
}

test("I4: a start on a peer that doesn't have the job's secret is found, once all peers know to whom it is sealed", () => {
  const found = (...changes: Operation[]) => {
    const put = asked({ kind: "put", rules: { ...rules, secret: true } }, 1_000);
    return rulesIn(checkSecrets(flawless({ operations: [put, ...changes], runs: [runOf(sixth, ben)] })));
  };
  assert.deepEqual(found(sealed([ann, ben], 500)), []);
  assert.deepEqual(found(sealed([ann], 500)), ["I4"]);
  assert.deepEqual(found(sealed([ann, ben], 500), sealed([ann], 5 * minute)), ["I4"], "it had it before");
  assert.deepEqual(found(sealed([ann, ben], 500), sealed([ann], 6 * minute - 500)), [], "just before");
  assert.deepEqual(found(sealed([ann], 500), sealed([ben], 6 * minute - 500)), [], "it may have it already");
});

test("a change of a group or a calendar is one of each of its jobs that is there, also for what is written later", () => {
  const quiet = (from: number) => [{ from, to: from + minute }];
  const except = { texts: ["calendar:quiet"], spans: quiet(1), phases: [], isCalendar: true } as const;
  const member: JobRules = { ...rules, group: true, schedule: { ...everyMinute, except } };
  const other: JobRules = { ...rules, id: "other" as JobId };
  const all = { policy: "all", windowMs: minute } as const;
  const changes = asChangesOfJobs([
    asked({ kind: "put", rules: member }, 1),
    asked({ kind: "put", rules: other }, 2),
    asked({ kind: "group", overlap: "queue", catchUp: all }, 3),
    { ...asked({ kind: "calendar", spans: quiet(2) }, 4), accepted: false },
    { ...asked({ kind: "delete", id: job }, 4.5), accepted: false, answeredAt: undefined },
    asked({ kind: "calendar", spans: quiet(3) }, 5),
    asked({ kind: "delete", id: job }, 6),
    asked({ kind: "calendar", spans: quiet(4) }, 7),
    asked({ kind: "put", rules: member }, 8),
    asked({ kind: "delete", id: job }, 9),
    { ...asked({ kind: "calendar", spans: quiet(5) }, 10), accepted: false, answeredAt: undefined },
    asked({ kind: "put", rules: member }, 11),
  ]).flatMap(({ request, askedAt }) =>
    request.kind === "put" && request.rules.id === job
      ? [[askedAt - beginning, request.rules.overlap, request.rules.schedule.except?.spans[0]?.from]]
      : [],
  );
  assert.deepEqual(changes, [
    [1, "allow", 1],
    [3, "queue", 1],
    [5, "queue", 3],
    [8, "queue", 4],
    [11, "queue", 4],
    [11, "queue", 5],
  ]);
});

test("a change of a group concerns a job as it may be, if an edit of it was not answered", () => {
  const all = { policy: "all", windowMs: minute } as const;
  const edited = { ...rules, group: true, schedule: everySeconds(30) } as const;
  const changes = asChangesOfJobs([
    asked({ kind: "put", rules: { ...rules, group: true } }, 1),
    { ...asked({ kind: "put", rules: edited }, 2), accepted: false, answeredAt: undefined },
    asked({ kind: "group", overlap: "queue", catchUp: all }, 3),
    asked({ kind: "put", rules: edited }, 4),
    asked({ kind: "group", overlap: "skip", catchUp: all }, 5),
  ]).flatMap(({ request, askedAt }) =>
    request.kind === "put" ? [[askedAt - beginning, request.rules.overlap, request.rules.schedule.text]] : [],
  );
  const [before, after] = [everyMinute.text, edited.schedule.text];
  assert.deepEqual(changes, [
    [1, "allow", before],
    [2, "allow", after],
    [3, "queue", before],
    [3, "queue", after],
    [4, "queue", after],
    [5, "skip", after],
  ]);
});

test("I4: a tick from before the job was made is found", () => {
  const runs = [...good.runs, runOf(beginning - 3 * minute, ann, { start: beginning + 2 * minute })];
  assert.ok(rulesIn(checkAll(flawless({ runs }))).includes("I4"));
});

test("I4: a manual run is found if no client requested it", () => {
  const tick = "manual-01ARZ3NDEKTSV4RRFFQ69G5FAV" as TickId;
  const at = { start: sixth + 2_000, end: sixth + 2_100 };
  const runs = [...good.runs, { ...runOf(sixth, ann, at), tick }];
  assert.ok(rulesIn(checkAll(flawless({ runs }))).includes("I4"));
  const order = { ...asked({ kind: "run", id: job }, 6 * minute + 1_000), tick };
  assert.deepEqual(checkAll(flawless({ runs, operations: [...good.operations, order] })), []);
});

test("I5: a start of a tick that was skipped is found, unless the skip was taken back", () => {
  const skip = asked({ kind: "skip", id: job, tick: sixth }, 3 * minute);
  const back = asked({ kind: "unskip", id: job, tick: sixth }, 4 * minute);
  const late = asked({ kind: "skip", id: job, tick: sixth }, 6 * minute - 20);
  const found = [[skip], [{ ...skip, accepted: false }], [skip, back], [late]].map((requests) =>
    rulesIn(checkSkips(flawless({ operations: [...good.operations, ...requests] }))),
  );
  assert.deepEqual(found, [["I5"], [], [], []], "the last one was with its launcher");
});

test("I5: a start just after its skip was confirmed is found, unless its peer was out of reach", () => {
  const claimed = asked({ kind: "skip", id: job, tick: sixth }, 6 * minute - 500);
  const runner = good.runs.find(({ tick }) => tick === tickAt(sixth))?.peer;
  assert.ok(runner !== undefined && runner !== claimed.peer);
  const cuts = peers
    .filter((peer) => peer !== runner)
    .flatMap((peer) => [
      { sender: peer, receiver: runner, from: sixth - minute, to: sixth + minute },
      { sender: runner, receiver: peer, from: sixth - minute, to: sixth + minute },
    ]);
  const operations = [...good.operations, claimed];
  assert.deepEqual(rulesIn(checkSkips(flawless({ operations }))), ["I5"]);
  assert.deepEqual(rulesIn(checkSkips(flawless({ operations, cuts }))), []);
});

test("I5: a start after its own peer confirmed the skip is found, unless a copy of the peer ran beside it", () => {
  const own = asked({ kind: "skip", id: job, tick: sixth }, 5 * minute);
  const runs = [...without(sixth), runOf(sixth, own.peer)];
  const beside = {
    kind: "duplicate identity",
    peer: own.peer,
    from: sixth - minute,
    to: sixth + minute,
  } as const;
  const found = (changes: Partial<Evidence>) =>
    rulesIn(checkSkips(flawless({ operations: [...good.operations, own], runs, ...changes })));
  assert.deepEqual(found({}), ["I5"]);
  assert.deepEqual(found({ faultWindows: [beside] }), []);
});

/** The sixth tick was cancelled. With `count: 2` one run of it never began, and with one run it didn't. */
function cancelled(changes: Partial<JobRules>): Evidence {
  const operations = [
    asked({ kind: "put", rules: { ...rules, ...changes } }, 1_000),
    asked({ kind: "cancel", id: job, tick: tickAt(sixth) }, 6 * minute - 20),
  ];
  const slots = changes.count === undefined ? [undefined] : ["0", "1"];
  const runs = good.runs.flatMap((run) => {
    const all = slots.map((slot) => (slot === undefined ? run : { ...run, slot }));
    return run.tick === tickAt(sixth) ? all.slice(1) : all;
  });
  return flawless({ operations, runs });
}

test("I1: the runs of a tick that was cancelled need not all begin, but one that is its tick's only run has to", () => {
  assert.deepEqual(rulesIn(checkLoss(cancelled({ count: 2 }))), []);
  assert.deepEqual(rulesIn(checkLoss(cancelled({}))), ["I1"]);
});

test("I1: a tick that was skipped need not run", () => {
  const operations = [...good.operations, asked({ kind: "skip", id: job, tick: sixth }, 3 * minute)];
  assert.deepEqual(rulesIn(checkLoss(flawless({ runs: without(sixth), operations }))), []);
});

test("I5: a start after a delete that all peers knew is found", () => {
  const operations = [...good.operations, asked({ kind: "delete", id: job }, 5 * minute + 1_000)];
  const final = peers.map((peer) => ({ ...knows(peer, good.runs), jobs: new Map() }));
  assert.ok(rulesIn(checkAll(flawless({ operations, final }))).includes("I5"));
});

test("I5: a start after a pause that all peers knew is found, but not one after the resume", () => {
  const paused = asked({ kind: "pause", id: job }, 5 * minute + 1_000);
  const resumed = asked({ kind: "resume", id: job }, 9 * minute + 1_000);
  const found = checkAll(flawless({ operations: [...good.operations, paused, resumed] }));
  const instants = found.filter(({ rule }) => rule === "I5").map(({ at }) => at);
  assert.deepEqual(
    instants,
    [6, 7, 8, 9].map((after) => beginning + after * minute + 5),
  );
});

test("I5: a start in a pause that ends by itself is found, and a tick of that time that is made up for afterwards", () => {
  const paused = asked({ kind: "pause", id: job, forMs: 3 * minute }, 5 * minute + 1_000);
  const startedIn = (runs: readonly Run[]) =>
    checkRevocation(flawless({ runs, operations: [...good.operations, paused] })).map(
      ({ at }) => at - beginning,
    );
  assert.deepEqual(
    startedIn(good.runs),
    [6, 7, 8].map((after) => after * minute + 5),
  );
  const late = { start: beginning + 10 * minute, end: beginning + 10 * minute + 500 };
  const seventh = runOf(beginning + 7 * minute, ann, late);
  assert.deepEqual(startedIn([seventh]), [10 * minute]);
  assert.deepEqual(startedIn([runOf(beginning + 9 * minute, ann)]), []);
});

test("I5: a run after a parent that ended in a pause is found, whenever it starts, and one after a parent that ended afterwards is not", () => {
  const child = "report" as JobId;
  const chained: JobRules = {
    ...rules,
    id: child,
    schedule: noSchedule,
    after: { jobs: [job], on: "success" },
  };
  const operations = [
    ...good.operations,
    asked({ kind: "put", rules: chained }, 1_000),
    asked({ kind: "pause", id: child }, 5 * minute + 1_000),
    asked({ kind: "resume", id: child }, 9 * minute + 1_000),
  ];
  const found = (parentEnds: number) => {
    const start = beginning + 10 * minute;
    const parent = runOf(sixth, ann, { end: beginning + parentEnds, outcome: "succeeded" });
    const run = runOf(sixth, ben, { job: child, start, end: start + 500 });
    return rulesIn(checkRevocation(flawless({ runs: [parent, run], operations })));
  };
  assert.deepEqual(found(8 * minute), ["I5"]);
  assert.deepEqual(found(9 * minute + 30_000), []);
});

test("I10: more runs of a pool's jobs at once than it has slots are found, but not on two sides of a split, nor when one ends first", () => {
  const other = "restore" as JobId;
  const pooled = (slots: number) => [
    asked({ kind: "put", rules: { ...rules, pool: { name: "db", slots } } }, 1_000),
    asked({ kind: "put", rules: { ...rules, id: other, pool: { name: "db", slots } } }, 1_000),
  ];
  const long = runOf(sixth, ann, { end: sixth + 30_000 });
  const beside = runOf(sixth, ben, { job: other, start: sixth + 20_000, end: sixth + 21_000 });
  const found = (slots: number, runs: readonly Run[], changes: Partial<Evidence> = {}) =>
    rulesIn(checkPools(flawless({ runs, operations: pooled(slots), ...changes })));
  assert.deepEqual(found(1, [long, beside]), ["I10"]);
  assert.deepEqual(found(2, [long, beside]), []);
  const afterwards = { ...beside, start: sixth + 30_000, end: sixth + 31_000 };
  assert.deepEqual(found(1, [long, afterwards]), []);
  const cuts = [
    { sender: ann, receiver: ben, from: sixth - 60_000, to: sixth + 60_000 },
    { sender: ann, receiver: cyd, from: sixth - 60_000, to: sixth + 60_000 },
  ];
  assert.deepEqual(found(1, [long, beside], { cuts }), []);
  assert.deepEqual(found(1, [long, { ...beside, peer: ann }], { cuts }), ["I10"], "one peer alone");
});

test("I10: a run that starts in the same moment as one whose peer could not know of all others is no breach, but a later one is", () => {
  const others = ["restore", "vacuum", "index"] as JobId[];
  const pool = { name: "db", slots: 3 };
  const operations = [job, ...others].map((id) =>
    asked({ kind: "put", rules: { ...rules, id, pool } }, 1_000),
  );
  const long = { end: sixth + minute };
  const inSplit = runOf(sixth, ann, long);
  const beside = runOf(sixth, cyd, { ...long, job: others[0] as JobId, start: sixth + 25_000 });
  const outOfTurn = runOf(sixth, ben, { ...long, job: others[1] as JobId, start: sixth + 30_000 });
  const last = (afterMs: number) =>
    runOf(sixth, cyd, {
      job: others[2] as JobId,
      start: sixth + 30_000 + afterMs,
      end: sixth + 31_000 + afterMs,
    });
  const cuts = [ann, cyd].map((other) => ({
    sender: ben,
    receiver: other,
    from: sixth - minute,
    to: sixth + 9_000,
  }));
  const found = (afterMs: number) =>
    rulesIn(checkPools(flawless({ operations, cuts, runs: [inSplit, beside, outOfTurn, last(afterMs)] })));
  assert.deepEqual(found(30), []);
  assert.deepEqual(found(5_000), ["I10"]);
});

test("I1: a tick whose pool has a free slot and that never starts is found, but not one that waits while the pool is full", () => {
  const other = "restore" as JobId;
  const operations = (slots: number) => [
    asked({ kind: "put", rules: { ...rules, pool: { name: "db", slots } } }, 1_000),
    asked(
      { kind: "put", rules: { ...rules, id: other, schedule: noSchedule, pool: { name: "db", slots } } },
      1_000,
    ),
    asked({ kind: "pool", name: "db", slots }, 1_000),
  ];
  const rest = good.runs.filter(({ tick }) => tick !== tickAt(sixth));
  const held = (changes: Partial<Run>) => runOf(sixth, ben, { job: other, ...changes });
  const missing = (slots: number, ...others: Run[]) =>
    rulesIn(checkLoss(flawless({ runs: [...rest, ...others], operations: operations(slots) })));
  assert.deepEqual(missing(1), ["I1"]);
  assert.deepEqual(
    missing(1, held({ start: sixth - 10_000, end: sixth + 40_000, outcome: "succeeded" })),
    [],
  );
  assert.deepEqual(
    missing(2, held({ start: sixth - 10_000, end: sixth + 40_000, outcome: "succeeded" })),
    ["I1"],
    "it has another slot",
  );
  assert.deepEqual(
    missing(1, held({ start: sixth - 10_000, end: sixth + 20_000, outcome: "succeeded" })),
    ["I1"],
    "free for long",
  );
  assert.deepEqual(
    missing(1, held({ start: sixth - 10_000, end: sixth + 20_000, outcome: "killed" })),
    [],
    "until its peer is dead for all",
  );
});

test("I5: a start in a maintenance that all peers knew is found, and a tick of that time that is made up for afterwards", () => {
  const [from, to] = [beginning + 5 * minute, beginning + 8 * minute];
  const operations = [...good.operations, asked({ kind: "maintain", from, to }, 1_000)];
  const outside = good.runs.filter(({ start }) => start < from || start >= to);
  assert.deepEqual(checkAll(flawless({ operations, runs: outside })), [], "its ticks are not missed");
  const found = (runs: readonly Run[]) => rulesIn(checkMaintenance(flawless({ operations, runs })));
  assert.deepEqual(found(good.runs), ["I5"]);
  const late = { start: beginning + 10 * minute, end: beginning + 10 * minute + 500 };
  assert.deepEqual(found([...outside, runOf(beginning + 7 * minute, ann, late)]), ["I5"]);
});

test("I5: a run that goes on after a confirmed cancel is found, also behind a cut, unless its own peer could not act on it", () => {
  const tick = tickAt(sixth);
  const runs = [...without(sixth), runOf(sixth, ben, { end: sixth + 2 * minute })];
  const cancel = asked({ kind: "cancel", id: job, tick }, 6.5 * minute);
  const found = (changes: Partial<Evidence>) =>
    rulesIn(checkCancels(flawless({ runs, operations: [...good.operations, cancel], ...changes })));
  assert.deepEqual(found({}), ["I5"]);
  const span = { from: sixth + 20_000, to: sixth + 2 * minute };
  const cuts = [{ sender: ann, receiver: ben, ...span }];
  assert.deepEqual(found({ cuts }), ["I5"]);
  assert.deepEqual(found({ cuts, operations: [{ ...cancel, accepted: false }] }), []);
  assert.deepEqual(found({ outages: [{ peer: ben, kind: "paused", ...span }] }), []);
});

test("I6: a range of missed ticks that covers one which all peers knew to have run is found, unless a clock was set", () => {
  const range = {
    job,
    tick: tickAt(sixth + 2 * minute),
    attempt: 1,
    peer: ann,
    state: "missed",
    writing: "range",
    rangeFrom: sixth,
  };
  const found = (writtenAt: number, faultWindows: Evidence["faultWindows"] = []): string[] => {
    const records = new Map([["range", { ...range, writtenAt }]]);
    const final = good.final.map((one) => ({ ...one, records: new Map([...one.records, ...records]) }));
    return rulesIn(checkRanges({ ...good, final, faultWindows }));
  };
  assert.deepEqual(found(sixth + 5 * minute), ["I6"]);
  assert.deepEqual(found(sixth + 20_000), [], "its peer may not have heard of the run yet");
  const step = { kind: "clock step", peer: ann, from: beginning, to: sixth, steppedMs: minute } as const;
  assert.deepEqual(found(sixth + 5 * minute, [step]), []);
});

test("I13: a peer that remembers tick by tick what was over long ago is found, unless a clock was set", () => {
  const step = { kind: "clock step", peer: ann, from: beginning, to: sixth, steppedMs: minute } as const;
  const sizesOf = (settled: number) => ({ sizes: [{ peer: ann, at: ending, sizes: { settled } }] });
  const [few, many, set] = [sizesOf(20), sizesOf(200), { ...sizesOf(200), faultWindows: [step] }].map(
    (changes) => rulesIn(checkBounded(flawless(changes))),
  );
  assert.deepEqual([few, many, set], [[], ["I13"], []]);
  const waiting = [6, 1].map((orders) => {
    const sizes = [{ peer: ann, at: ending, sizes: { settled: 75, orders } }];
    return rulesIn(checkBounded(flawless({ sizes })));
  });
  assert.deepEqual(waiting, [[], ["I13"]], "other runs of its ticks are still in the book");
});

test("I13: a job that runs after another may have all ticks of that one within its own window in the book", () => {
  const child = { ...rules, id: "child" as JobId, after: { jobs: [job], on: "success" as const } };
  const found = (windowMs: number): string[] => {
    const catchUp = { ...rules.catchUp, windowMs };
    const operations = [...good.operations, asked({ kind: "put", rules: { ...child, catchUp } }, 2_000)];
    const sizes = [{ peer: ann, at: beginning + minute, sizes: { orders: 60 } }];
    return rulesIn(checkBounded(flawless({ sizes, operations })));
  };
  assert.deepEqual(
    [60, 1].map((minutes) => found(minutes * minute)),
    [[], ["I13"]],
  );
});

test("I13: a forgotten peer, which decides no ticks any more, may keep what it remembered, but is found if that grows", () => {
  const operations = [...good.operations, asked({ kind: "forget", target: ann }, 5 * minute)];
  const back = asked({ kind: "unforget", target: ann }, 6 * minute);
  const found = (before: number, last: number, asks: readonly Operation[]): string[] => {
    const sizes = [ending - minute, ending].map((at) => ({
      peer: ann,
      at,
      sizes: { settled: at === ending ? last : before },
    }));
    return rulesIn(checkBounded(flawless({ sizes, operations: [...asks] })));
  };
  assert.deepEqual(found(200, 200, operations), []);
  assert.deepEqual(found(199, 200, operations), ["I13"]);
  assert.deepEqual(found(200, 200, [...operations, back]), ["I13"], "it decides ticks again");
});

test("I16: a record that a peer has taken again after it was pruned is found, unless a clock was set", () => {
  const takenAgain = [{ peer: ann, record: `${job}@${tickAt(sixth)}` }];
  const step = { kind: "clock step", peer: ben, from: beginning, to: sixth, steppedMs: minute } as const;
  assert.deepEqual(rulesIn(checkPruned(flawless({ takenAgain }))), ["I16"]);
  assert.deepEqual(rulesIn(checkPruned(flawless({ takenAgain, faultWindows: [step] }))), []);
});

test("I6: a start without a record is found", () => {
  const hidden = peers.map((peer) => knows(peer, without(sixth)));
  assert.ok(rulesIn(checkAll(flawless({ final: hidden }))).includes("I6"));
});

test("I6: a start without a record is found, unless all clocks were so far ahead that it may have been pruned", () => {
  const hour = 60 * minute;
  const to = beginning + 90 * hour;
  const keep = { runs: 5, ageMs: 1_000 * hour };
  const hourly = { ...rules, schedule: { text: "0 * * * *", periodMs: hour, offsetMs: 0 }, keep };
  const runs = Array.from({ length: 89 }, (_, i) => runOf(beginning + (i + 1) * hour, ann));
  const operations = [asked({ kind: "put", rules: hourly }, 1_000)];
  const found = (futureTicks: number, holders = peers) => {
    const kept = (future: number) =>
      Array.from({ length: 1 + future }, (_, i) => runOf(to + (i - 1) * hour, ann));
    const final = peers.map((peer) => knows(peer, kept(holders.includes(peer) ? futureTicks : 0)));
    const breaches = checkAccounts(flawless({ to, runs, operations, final }));
    return breaches.filter(({ what }) => what.includes("no record says so")).length;
  };
  assert.equal(found(0), 1);
  assert.equal(found(3), 0, "by the clocks that were ahead it is old");
  assert.equal(found(3, [ann]), 1, "only ann's clock was ahead, and nobody prunes by it");
});

test("I6: a start without a record is found, unless ticks that ran early by a wrong clock have taken its place", () => {
  const hour = 60 * minute;
  const to = beginning + 90 * hour;
  const keep = { runs: 5, ageMs: 1_000 * hour };
  const hourly = { ...rules, schedule: { text: "0 * * * *", periodMs: hour, offsetMs: 0 }, keep };
  const onTime = Array.from({ length: 40 }, (_, i) => runOf(beginning + (i + 1) * hour, ann));
  const early = Array.from({ length: 6 }, (_, i) =>
    runOf(beginning + (50 + i) * hour, ann, { start: beginning + 41 * hour, end: beginning + 41 * hour + 5 }),
  );
  const operations = [
    asked({ kind: "put", rules: hourly }, 1_000),
    asked({ kind: "put", rules: { ...hourly, enabled: false } }, 41.5 * hour),
  ];
  const found = (runs: Run[], kept: Run[]) => {
    const final = peers.map((peer) => knows(peer, kept));
    const breaches = checkAccounts(flawless({ to, healedAt: to - 2 * minute, runs, operations, final }));
    return breaches.filter(({ what }) => what.includes("no record says so")).length;
  };
  assert.equal(found([...onTime, ...early], early), 0);
  assert.equal(found(onTime, []), 1, "the last one must be there");
  assert.equal(found([...onTime, ...early], early.slice(0, -1)), 1, "an early one must be there, too");
});

test("I6: a start without a record is found, unless its peer was forgotten before all had to know of it", () => {
  const other = peers.find(
    (peer) => !good.runs.some((run) => run.tick === tickAt(sixth) && run.peer === peer),
  );
  const twice = [...good.runs, runOf(sixth, other ?? ann)];
  const forgottenAt = (atMs: number) => {
    const forget = asked({ kind: "forget", target: other ?? ann }, atMs);
    return rulesIn(
      checkAccounts(flawless({ runs: twice, final: good.final, operations: [...good.operations, forget] })),
    );
  };
  assert.deepEqual(forgottenAt(5 * minute), []);
  assert.deepEqual(forgottenAt(8 * minute), ["I6"]);
});

test("I6: a tick without any record is found, unless only a drained peer was up until the job was deleted", () => {
  const until = 9 * minute;
  const operations = [
    ...good.operations,
    asked({ kind: "drain", target: ann, on: true }, 4 * minute),
    asked({ kind: "delete", id: job }, until),
  ];
  const runs = good.runs.filter(({ tick }) => instantOf(tick) < sixth);
  const found = (downMs: number): string[] => {
    const outages = [ben, cyd].map((peer) => ({
      peer,
      kind: "down" as const,
      from: sixth - minute / 2,
      to: sixth + downMs,
    }));
    return rulesIn(checkAccounts(flawless({ runs, operations, outages })));
  };
  assert.deepEqual(found(4 * minute), []);
  assert.deepEqual(found(1_000), ["I6"]);
});

/** Each tick has run on all three peers, except the one that is so many minutes after the beginning. */
function onAllExcept(minutes: number, more: Partial<JobRules>): Evidence {
  const onAll = { offlineMs: 0 };
  const operations = [asked({ kind: "put", rules: { ...rules, onAll, ...more } }, 1_000)];
  const ticks = ticksOf(everyMinute, beginning + minute, ending);
  const run = ticks.filter((instant) => instant !== beginning + minutes * minute);
  const runs = run.flatMap((instant) => peers.map((peer) => runOf(instant, peer, { slot: peer })));
  return flawless({ operations, runs });
}

test("I6: a tick on all peers without any record is found, unless its voters have until the end of its window", () => {
  const majority = { partition: "majority" } as const;
  assert.deepEqual(rulesIn(checkAccounts(onAllExcept(15, {}))), ["I6"]);
  assert.deepEqual(rulesIn(checkAccounts(onAllExcept(15, majority))), []);
  assert.deepEqual(rulesIn(checkAccounts(onAllExcept(5, majority))), ["I6"]);
});

test("I6: a tick without any record is found, unless only a peer with a doubted clock could run it until the job was deleted", () => {
  const operations = [
    asked({ kind: "put", rules: { ...rules, peers: [ann] } }, 1_000),
    asked({ kind: "delete", id: job }, 9 * minute),
  ];
  const runs = good.runs.filter(({ tick }) => instantOf(tick) < sixth).map((run) => ({ ...run, peer: ann }));
  const found = (steppedMs: number, wrong: readonly PeerId[], toMs = 4 * minute): string[] => {
    const faultWindows = wrong.map((peer) => ({
      kind: "clock step" as const,
      peer,
      from: sixth - minute / 2,
      to: sixth + toMs,
      steppedMs,
    }));
    return rulesIn(checkAccounts(flawless({ runs, operations, faultWindows })));
  };
  assert.deepEqual(found(-10 * minute, [ann]), []);
  assert.deepEqual(found(-1_000, [ann]), ["I6"], "nobody doubts it");
  assert.deepEqual(found(-10 * minute, [ann, ben]), ["I6"], "most clocks are like it");
  assert.deepEqual(found(-10 * minute, [ann], 1_000), ["I6"], "it was set right soon");
});

test("I6: a tick without a run or a record is found, unless all clocks were behind until the job was changed", () => {
  const found = (behindMs: number, behind: readonly PeerId[]) => {
    const faultWindows: Evidence["faultWindows"] = behind.map((peer) => ({
      kind: "clock step",
      peer,
      from: sixth - 3 * minute,
      to: beginning + 11 * minute,
      steppedMs: -behindMs,
    }));
    const edit = asked({ kind: "put", rules: { ...rules, overlap: "skip" } }, 9.5 * minute);
    const operations = [...good.operations, edit];
    const runs = without(sixth);
    return checkAccounts(flawless({ runs, faultWindows, operations })).filter(({ what }) =>
      what.includes("there is no record of"),
    );
  };
  assert.equal(found(60 * minute, peers).length, 0);
  assert.equal(found(60 * minute, [ann, ben]).length, 1);
  assert.equal(found(minute, peers).length, 1);
});

test("I6: a tick that is only in a withdrawn range of the future is found, unless its job has been changed since", () => {
  const range = {
    job,
    tick: tickAt(ending + minute),
    attempt: 1,
    peer: ann,
    state: "withdrawn",
    writing: "range",
  };
  const found = (rangeFrom: number, ...edits: Operation[]) => {
    const runs = without(sixth);
    const final = peers.map((peer) => {
      const { records, ...known } = knows(peer, runs);
      return { ...known, records: new Map([...records, ["range", { ...range, rangeFrom }]]) };
    });
    const operations = [...good.operations, ...edits];
    return checkAccounts(flawless({ runs, operations, final })).filter(({ what }) =>
      what.includes("there is no record of"),
    ).length;
  };
  const edit = asked({ kind: "put", rules: { ...rules, overlap: "skip" } }, 9.5 * minute);
  assert.equal(found(sixth), 1);
  assert.equal(found(sixth, edit), 0);
  assert.equal(found(sixth + minute, edit), 1, "the range begins later");
});

test("I6: a tick without a record is found beside a range of other ticks, and counts as reported by one that ends with it, whatever its jitter", () => {
  const found = (rangeTo: number) => {
    const missed = {
      job,
      tick: tickAt(rangeTo),
      attempt: 1,
      slot: "range",
      peer: ann,
      state: "missed",
      writing: "range",
      rangeFrom: sixth - minute,
    };
    const final = peers.map((peer) => {
      const { records, ...known } = knows(peer, without(sixth));
      return { ...known, records: new Map([...records, ["range", missed]]) };
    });
    const operations = [asked({ kind: "put", rules: { ...rules, jitterMs: 50_000 } }, 1_000)];
    return checkAccounts(flawless({ runs: without(sixth), operations, final })).filter(({ what }) =>
      what.includes("there is no record of"),
    ).length;
  };
  assert.equal(found(sixth), 0);
  assert.equal(found(sixth - 1), 1);
});

test("I6: a record that stays open although its run is over is found", () => {
  const final = peers.map((peer) => {
    const knowledge = knows(peer, good.runs);
    const records = [...knowledge.records].map(
      ([key, record]) =>
        [key, record.tick === tickAt(sixth) ? { ...record, state: "running" } : record] as const,
    );
    return { ...knowledge, records: new Map(records) };
  });
  assert.ok(rulesIn(checkAll(flawless({ final }))).includes("I6"));
});

test("I6: two peers that tell different stories at the end are found", () => {
  const final = [knows(ann, good.runs), knows(ben, without(sixth)), knows(cyd, good.runs)];
  assert.ok(rulesIn(checkAll(flawless({ final }))).includes("I6"));
});

test("I7: an acknowledged job that is gone from one peer is found", () => {
  const final = [good.final[0], good.final[1], { ...knows(cyd, good.runs), jobs: new Map<JobId, string>() }];
  const knowledge = final.filter((one) => one !== undefined);
  assert.ok(rulesIn(checkAll(flawless({ final: knowledge }))).includes("I7"));
});

test("I8: peers that still differ half a minute after the heal are found, unless the difference was on its way", () => {
  const behind = [knows(ann, good.runs), knows(ben, without(sixth)), knows(cyd, good.runs)];
  assert.ok(rulesIn(checkAll(flawless({ convergedViews: [behind, behind] }))).includes("I8"));
  assert.deepEqual(checkAll(flawless({ convergedViews: [behind, good.final] })), []);
});

/** Ann has one more record than the others. */
function annHasMore(instant: number): string[] {
  const [first, ...others] = good.final;
  const views =
    first === undefined ? [] : [knows(first.peer, [...good.runs, runOf(instant, ann)]), ...others];
  return rulesIn(checkConvergence(flawless({ convergedViews: [views, views] })));
}

test("I8: a record that only one peer has is found, unless its tick is in the future", () => {
  assert.deepEqual(annHasMore(beginning + 90_000), ["I8"]);
  assert.deepEqual(annHasMore(beginning + 365 * 24 * 60 * minute), []);
});

/** The rules that are broken if one peer alone has this state of a record, which is missed for the others. */
function brokenByRecordOfOne(instant: number, state: string): string[] {
  const views = peers.map((peer, index) => {
    const known = knows(peer, good.runs);
    const record = { job, tick: tickAt(instant), attempt: 1, slot: "0", peer: ann };
    const written = index === 0 ? { state, writing: "later" } : { state: "missed", writing: "earlier" };
    return { ...known, records: new Map([...known.records, ["one", { ...record, ...written }]]) };
  });
  return rulesIn(checkConvergence(flawless({ convergedViews: [views, views] })));
}

test("I8: a record that one peer alone has withdrawn is found, unless its tick is too old to be exchanged", () => {
  const day = 24 * 60 * minute;
  assert.deepEqual(brokenByRecordOfOne(beginning - day, "withdrawn"), ["I8"]);
  assert.deepEqual(brokenByRecordOfOne(beginning - 4 * day, "withdrawn"), []);
  assert.deepEqual(brokenByRecordOfOne(beginning - 4 * day, "lost"), ["I8"]);
});

test("I8: an update that waits for another after the heal is found", () => {
  const stuck = good.final.map((one) => (one.peer === ben ? { ...one, complaint: "pending update" } : one));
  assert.ok(rulesIn(checkAll(flawless({ convergedViews: [stuck, stuck] }))).includes("I8"));
});

test("I8: a peer that can start nothing after the heal is found, unless its host had recovered just before", () => {
  const views = good.final.map((one) => (one.peer === ben ? { ...one, complaint: "host" } : one));
  const found = (peer: PeerId, agoMs: number) => {
    const to = flawless({}).healedAt - agoMs;
    const faultWindows = [{ kind: "starved host" as const, peer, from: to - 10_000, to }];
    return rulesIn(checkConvergence(flawless({ faultWindows, convergedViews: [views, views] })));
  };
  assert.deepEqual(found(ben, minute), []);
  assert.deepEqual(found(ben, 6 * minute), ["I8"]);
  assert.deepEqual(found(ann, minute), ["I8"]);
});

test("I9: a tick that is late long after the heal is found", () => {
  const eleventh = beginning + 11 * minute;
  const runs = [
    ...without(eleventh),
    runOf(eleventh, ann, { start: eleventh + 4_000, end: eleventh + 5_000 }),
  ];
  assert.deepEqual(rulesIn(checkAll(flawless({ runs }))), ["I9"]);
});

test("I10: two simultaneous runs of a job that forbids overlap are found, unless they were on two sides of a split", () => {
  const operations = [asked({ kind: "put", rules: { ...rules, overlap: "queue" } }, 1_000)];
  const runs = good.runs.map((run) => (run.tick === tickAt(sixth) ? { ...run, end: sixth + 90_000 } : run));
  assert.ok(rulesIn(checkAll(flawless({ runs, operations }))).includes("I10"));
  const [long] = runs.filter(({ tick }) => tick === tickAt(sixth));
  const [next] = runs.filter(({ tick }) => tick === tickAt(sixth + minute));
  assert.ok(long !== undefined && next !== undefined);
  const cuts = peers
    .filter((peer) => peer !== next.peer)
    .map((peer) => ({ sender: peer, receiver: next.peer, from: sixth + 10_000, to: sixth + 2 * minute }));
  assert.ok(!rulesIn(checkAll(flawless({ runs, operations, cuts }))).includes("I10"));
  const forgotten = (atMs: number) => {
    const forget = asked({ kind: "forget", target: long.peer }, atMs);
    return rulesIn(checkOverlap(flawless({ runs, operations: [...operations, forget] })));
  };
  assert.deepEqual(forgotten(sixth - beginning + 30_000), [], "its peer was forgotten meanwhile");
  assert.deepEqual(forgotten(sixth - beginning + 80_000), ["I10"], "its peer was forgotten later");
});

test("I10: of two runs of a job that forbids overlap, one that starts moments after the other is no breach while some gossip is lost", () => {
  const operations = [asked({ kind: "put", rules: { ...rules, overlap: "queue" } }, 1_000)];
  const found = (afterMs: number, gossipIsLost: boolean) => {
    const long = runOf(sixth, ann, { end: sixth + 5 * minute });
    const next = runOf(sixth + minute, ben, { start: long.start + afterMs, end: sixth + 4 * minute });
    return rulesIn(checkOverlap(flawless({ operations, gossipIsLost, runs: [long, next] })));
  };
  assert.deepEqual(found(1_000, true), []);
  assert.deepEqual(found(10_000, true), ["I10"], "heartbeats have made up for what was lost");
  assert.deepEqual(found(1_000, false), ["I10"]);
});

test("I11: a peer that starts after its pause a tick that another had started meanwhile is found", () => {
  const runs = [
    ...without(sixth),
    runOf(sixth, ann, { start: sixth + 6_000 }),
    runOf(sixth, ben, { start: sixth + 21_000 }),
  ];
  const outages = [{ peer: ben, kind: "paused" as const, from: sixth - 5_000, to: sixth + 20_000 }];
  assert.ok(rulesIn(checkAll(flawless({ runs, outages }))).includes("I11"));
});

test("the simulator's schedules know their ticks", () => {
  const every45 = everySeconds(45);
  const ticks = ticksOf(every45, beginning, beginning + 3 * minute);
  assert.deepEqual(
    ticks.map((tick) => tick - beginning),
    [0, 45_000, 90_000, 135_000],
  );
  assert.ok(isTickOf(every45, beginning + 45_000) && !isTickOf(every45, beginning + 44_000));
});

test("a component is a set of peers that could talk all the time, directly or by way of others", () => {
  const cuts = [{ sender: ann, receiver: cyd, from: sixth, to: sixth + 1_000 }];
  assert.deepEqual(components(flawless({ cuts }), sixth - 500, sixth), [[ann, ben, cyd]]);
  const outages = [{ peer: ben, kind: "paused" as const, from: sixth, to: sixth + 100 }];
  assert.deepEqual(components(flawless({ cuts, outages }), sixth - 500, sixth), [[ann], [ben], [cyd]]);
});

test("all peers know what one peer knew after 35 s without any fault", () => {
  const outages = [
    { peer: ben, kind: "down" as const, from: beginning + 20_000, to: beginning + 30_000 },
    { peer: ben, kind: "down" as const, from: beginning + 60_000, to: beginning + 70_000 },
  ];
  assert.equal(knownToAll(flawless(), beginning), beginning + 35_000);
  assert.equal(knownToAll(flawless({ outages }), beginning), beginning + 105_000);
});

/** The peer is down from that instant to the end. */
function away(peer: PeerId, from: number): Partial<Evidence> {
  return { outages: [{ peer, from, to: ending, kind: "down" }] };
}

test("I17: too many attempts, one that comes too early, and one that never comes are found", () => {
  const retry = { attempts: 1, backoffMs: 10_000 };
  const operations = [asked({ kind: "put", rules: { ...rules, retry } }, 1_000)];
  const failed = runOf(sixth, ann, { outcome: "failed" });
  const again = (attempt: number, afterMs: number) =>
    runOf(sixth, ben, {
      attempt,
      start: sixth + 500 + afterMs,
      end: sixth + 600 + afterMs,
      outcome: "failed",
    });
  const found = (runs: Run[], changes: Partial<Evidence> = {}) =>
    rulesIn(checkRetries(flawless({ operations, runs: [...without(sixth), ...runs], ...changes })));
  assert.deepEqual(found([failed, again(2, 10_000)]), []);
  assert.deepEqual(found([failed, again(2, 5_000)]), ["I17"], "too early");
  assert.deepEqual(found([failed, again(2, 10_000), again(3, 40_000)]), ["I17"], "one too many");
  assert.deepEqual(
    found([{ ...failed, outcome: "succeeded" }, again(2, 10_000)]),
    ["I17"],
    "none had failed",
  );
  assert.deepEqual(found([failed]), ["I17"], "it never came");
  assert.deepEqual(found([failed], away(ann, sixth + 12_000)), ["I17"], "the others must carry on");
  assert.deepEqual(found([failed], away(ann, sixth + 1_000)), [], "they may not have heard of its end");
  assert.deepEqual(found([failed], away(ben, sixth + 12_000)), [], "ben was to repeat it, perhaps");
  const paused = [...operations, asked({ kind: "pause", id: job }, 7 * minute - 55_000)];
  assert.deepEqual(found([failed], { operations: paused }), [], "a pause holds it back");
});

test("I17: a child on the wrong branch, one that is too early, and one that never comes or has no record are found", () => {
  const child = "report" as JobId;
  type On = "success" | "failure" | "always";
  const chained = (on: On): JobRules => ({
    ...rules,
    id: child,
    schedule: noSchedule,
    after: { jobs: [job], on },
  });
  const only = (on: On, runs: Run[], changes: Partial<Evidence> = {}, stories: Run[] = runs) => {
    const operations = [
      asked({ kind: "put", rules }, 1_000),
      asked({ kind: "put", rules: chained(on) }, 1_000),
    ];
    const final = peers.map((peer) => knows(peer, stories));
    return rulesIn(checkChains(flawless({ operations, runs, final, ...changes })));
  };
  const parent = (outcome: "succeeded" | "failed"): Run => runOf(sixth, ann, { outcome });
  const start = (afterMs: number, changes: Partial<Run> = {}): Run =>
    runOf(sixth, ben, { job: child, start: sixth + 500 + afterMs, end: sixth + 900 + afterMs, ...changes });
  const of = (outcome: "succeeded" | "failed", ...runs: Run[]) => [parent(outcome), ...runs];
  assert.deepEqual(only("success", of("succeeded", start(30))), []);
  assert.deepEqual(only("success", of("failed", start(30))), ["I17"], "the wrong branch");
  assert.deepEqual(only("failure", of("succeeded", start(30))), ["I17"], "the other wrong branch");
  assert.deepEqual(only("success", of("succeeded", start(-100))), ["I17"], "before its parent's end");
  assert.deepEqual(only("success", [start(30)]), ["I17"], "its parent never ran");
  assert.deepEqual(only("success", of("succeeded"), {}, [start(30)]), ["I17"], "it never came");
  const skipped = of("failed");
  assert.deepEqual(only("success", skipped, {}, [start(30)]), [], "it was skipped, and a record says so");
  assert.deepEqual(only("success", skipped, {}, []), ["I17"], "nothing says why it did not run");
  const elsewhere = { ...chained("success"), peers: [cyd] };
  const putElsewhere = [
    asked({ kind: "put", rules }, 1_000),
    asked({ kind: "put", rules: elsewhere }, 1_000),
  ];
  const pending = { operations: putElsewhere, witnesses: [cyd] };
  assert.deepEqual(only("success", of("succeeded"), { ...pending, to: sixth + 9 * minute }, []), []);
  assert.deepEqual(
    only("success", of("succeeded"), { ...pending, to: sixth + 13 * minute }, []),
    ["I17"],
    "no peer can run it, and nobody has said so by the end of its window",
  );
  assert.deepEqual(
    only("success", of("succeeded"), away(ann, sixth + 5_000), [start(30)]),
    ["I17"],
    "the others must carry on",
  );
  assert.deepEqual(
    only("success", of("succeeded"), away(ann, sixth + 600), [start(30)]),
    [],
    "they may not have heard of the end",
  );
  assert.deepEqual(
    only("failure", of("succeeded", start(30_000)), away(ann, sixth + 100)),
    [],
    "it may count as lost",
  );
  const repeated = [
    parent("failed"),
    start(30),
    runOf(sixth, cyd, { attempt: 2, start: sixth + 9_000, end: sixth + 9_500 }),
  ];
  assert.deepEqual(only("failure", repeated), ["I17"], "the parent's tick was not over");
  const parents = (RUN: string): Partial<Run> => {
    const run = `${job}@${tickAt(sixth)}~1@ann`;
    return { parentsJson: JSON.stringify({ [job]: { run, state: "succeeded", outputs: { RUN } } }) };
  };
  assert.deepEqual(only("success", of("succeeded", start(30, parents(`${job}@${tickAt(sixth)}~1@ann`)))), []);
  assert.deepEqual(
    only("success", of("succeeded", start(30, parents("another")))),
    ["I17"],
    "outputs of another run",
  );
  const withoutOutputs = JSON.stringify({
    [job]: { run: `${job}@${tickAt(sixth)}~1@ann`, state: "succeeded", outputs: {} },
  });
  const [ended] = of("succeeded");
  assert.ok(ended !== undefined);
  assert.deepEqual(
    only("success", [ended, start(30, { parentsJson: withoutOutputs })]),
    ["I17"],
    "lost outputs",
  );
  const ofRequest = [{ ...ended, asks: true as const }, start(30, { parentsJson: withoutOutputs })];
  assert.deepEqual(only("success", ofRequest), [], "a request has none");
});

test("I17 and I3: of a past tick that was asked for at several parents, a child that never comes, comes before the last end, or comes twice is found", () => {
  const [other, child] = ["clean", "report"] as [JobId, JobId];
  const past = beginning - 60 * minute;
  const [first, second] = [backfillTick(sixth, past, 0), backfillTick(sixth + 1, past, 0)];
  const parents: Run[] = [
    runOf(sixth, ann, { tick: first, outcome: "succeeded" }),
    runOf(sixth, ben, { job: other, tick: second, end: sixth + 900, outcome: "succeeded" }),
  ];
  const start = (atMs: number, tick: TickId = second): Run =>
    runOf(sixth, cyd, { job: child, tick, start: sixth + atMs, end: sixth + atMs + 100 });
  let on: "success" | "always" = "success";
  const operations = () => [
    asked({ kind: "put", rules }, 1_000),
    asked({ kind: "put", rules: { ...rules, id: other } }, 1_000),
    asked(
      {
        kind: "put",
        rules: { ...rules, id: child, schedule: noSchedule, after: { jobs: [job, other], on } },
      },
      1_000,
    ),
    ...[job, other].map((id) => asked({ kind: "backfill", id, ticks: [past] }, 4 * minute)),
  ];
  const broken = (...children: Run[]) => {
    const runs = [...parents, ...children];
    const final = peers.map((peer) => knows(peer, runs));
    const evidence = flawless({ operations: operations(), runs, final });
    return rulesIn([...checkChains(evidence), ...checkBackfills(evidence)]);
  };
  assert.deepEqual(broken(start(1_000)), []);
  assert.deepEqual(broken(), ["I17"], "it never came, and nothing says why");
  assert.deepEqual(broken(start(600)), ["I17"], "before the last end");
  assert.deepEqual(broken(start(1_000), start(3_000, first)), ["I3"], "under the names of both requests");
  on = "always";
  assert.deepEqual(
    broken(start(1_000), start(3_000, first)),
    [],
    "it may have followed a request that was lost, and then the next one",
  );
});

test("I17: a child need not come while its pool is full", () => {
  const [child, other] = ["report", "restore"] as [JobId, JobId];
  const pool = { name: "db", slots: 1 };
  const operations = [
    asked({ kind: "put", rules }, 1_000),
    asked({ kind: "put", rules: { ...rules, id: other, schedule: noSchedule, pool } }, 1_000),
    asked(
      {
        kind: "put",
        rules: { ...rules, id: child, schedule: noSchedule, after: { jobs: [job], on: "success" }, pool },
      },
      1_000,
    ),
  ];
  const parent = runOf(sixth, ann, { outcome: "succeeded" });
  const beside = (forMs: number, since: number) =>
    runOf(sixth, ben, { job: other, start: since, end: sixth + forMs, outcome: "succeeded" });
  const found = (forMs: number, since = sixth - minute) =>
    checkChains(flawless({ operations, runs: [parent, beside(forMs, since)] })).flatMap(
      ({ what }) => /never started/.exec(what)?.[0] ?? [],
    );
  assert.deepEqual(found(10 * minute), []);
  assert.deepEqual(found(10 * minute, sixth), [], "the slot was free only before the child came");
  assert.deepEqual(found(-50_000), ["never started"], "it has a free slot");
});

test("I10: a tick on all peers is one unit, but one that only waits for a drained peer holds up no other", () => {
  const seventh = sixth + minute;
  const runs = [
    runOf(sixth, ann, { slot: ann }),
    runOf(seventh, ann, { slot: ann }),
    runOf(sixth, ben, { slot: ben, start: seventh + 2 * minute, end: seventh + 2 * minute + 1_000 }),
  ];
  const drain = (on: boolean, atMs: number) => asked({ kind: "drain", target: ben, on }, atMs);
  const drained = [drain(true, 5 * minute), drain(false, 8 * minute)];
  const found = (offlineMs: number, more: readonly Operation[]) => {
    const put = asked({ kind: "put", rules: { ...rules, overlap: "queue", onAll: { offlineMs } } }, 1_000);
    return rulesIn(checkOverlap(flawless({ operations: [put, ...more], runs })));
  };
  assert.deepEqual(found(10 * minute, drained), [], "it waited for the drained peer");
  assert.deepEqual(found(10 * minute, []), ["I10"], "its peer was there");
  assert.deepEqual(found(0, drained), ["I10"], "it doesn't await a peer");
});

test("I17: a notice may say that a tick that goes from peer to peer failed, if a run of it may have been taken for lost", () => {
  const rolling = { max: 1, pauseMs: 0, stopAfter: 1 };
  const key = `${job}@${tickAt(sixth)}:failed`;
  const runs = [...without(sixth), runOf(sixth, ann)];
  const found = (one: Partial<typeof rolling> | undefined, changes: Partial<Evidence> = {}) => {
    const onAll = one === undefined ? { offlineMs: 0 } : { offlineMs: 0, rolling: { ...rolling, ...one } };
    const operations = [asked({ kind: "put", rules: { ...rules, notifies: true, onAll } }, 1_000)];
    const notices = [{ key, by: ben, at: sixth + 2_000 }];
    return rulesIn(checkNotices(flawless({ operations, runs, notices, ...changes })));
  };
  const dies = away(ann, sixth + 100);
  assert.deepEqual(found({}, dies), [], "its rest was stopped");
  assert.deepEqual(found({}), ["I17"], "its peer was well");
  assert.deepEqual(found({ stopAfter: 0 }, dies), ["I17"], "nothing stops it");
  assert.deepEqual(found(undefined, dies), ["I17"], "it runs on all at once, so it was lost");
  const finalOf = (states: Record<string, PeerId>) => {
    const records = Object.entries(states).map(([state, peer]): [string, RecordSeen] => [
      state,
      { job, tick: tickAt(sixth), attempt: 1, slot: peer, peer, state, writing: state },
    ]);
    return good.final.map((known) => ({ ...known, records: new Map(records) }));
  };
  const none = { runs: without(sixth), final: finalOf({ lost: ann }) };
  assert.deepEqual(found({}, { ...none, ...dies }), [], "its launcher may have had the run");
  assert.deepEqual(found({}, none), ["I17"], "no process died");
  assert.deepEqual(
    found({}, { ...none, ...dies, final: good.final }),
    ["I17"],
    "nothing says that it was lost",
  );
  const back = { runs: without(sixth), final: finalOf({ missed: ann, skipped: ben }) };
  const hangs: Partial<Evidence> = {
    outages: [{ peer: ann, kind: "paused", from: sixth - 1_000, to: sixth + 1_000 }],
  };
  assert.deepEqual(found({}, { ...back, ...hangs }), [], "it was back after the rest had been stopped");
  const unheard = (sender: PeerId, receiver: PeerId): Partial<Evidence> => ({
    cuts: [{ sender, receiver, from: sixth - 1_000, to: sixth + 1_000 }],
  });
  assert.deepEqual(found({}, { ...back, ...unheard(ann, ben) }), [], "it was not heard in the meantime");
  assert.deepEqual(found({}, { ...back, ...unheard(ben, ann) }), ["I17"], "it was heard all the time");
  assert.deepEqual(found({}, back), ["I17"], "it was never away");
  assert.deepEqual(
    found({}, { ...back, ...hangs, final: finalOf({ missed: ann }) }),
    ["I17"],
    "nothing was stopped",
  );
});

test("I17: a failed tick without a notice, one with two notices, and a notice about nothing are found", () => {
  const operations = [asked({ kind: "put", rules: { ...rules, notifies: true } }, 1_000)];
  const failed = runOf(sixth, ann, { outcome: "failed" });
  const key = `${job}@${tickAt(sixth)}:failed`;
  const notice = (by: PeerId, afterMs = 2_000) => ({ key, by, at: sixth + afterMs });
  const found = (changes: Partial<Evidence>) =>
    rulesIn(checkNotices(flawless({ operations, runs: [...without(sixth), failed], ...changes })));
  assert.deepEqual(found({ notices: [notice(ann)] }), []);
  assert.deepEqual(found({ notices: [notice(ben, 100_000)] }), [], "a channel may be down for a while");
  assert.deepEqual(found({}), ["I17"], "never told");
  assert.deepEqual(found({ notices: [notice(ann), notice(ben)] }), ["I17"], "told twice");
  const dies = away(ann, sixth + 1_000);
  assert.deepEqual(
    found({ ...dies, notices: [notice(ann), notice(ben)] }),
    [],
    "its sender may have died between",
  );
  assert.deepEqual(found(dies), [], "the runner died before anybody heard of it, perhaps");
  assert.deepEqual(found({ ...away(ben, sixth + 1_000) }), ["I17"], "another peer's death is no excuse");
  const step = (from: number) => ({ kind: "clock step" as const, peer: ben, from, to: from + minute });
  assert.deepEqual(found({ faultWindows: [step(sixth)] }), [], "clocks disagree, and none may be right");
  assert.deepEqual(
    found({ faultWindows: [step(sixth + 5 * minute)] }),
    ["I17"],
    "they agreed until it was told",
  );
  const paused = [...operations, asked({ kind: "put", rules }, 8 * minute)];
  assert.deepEqual(found({ operations: paused }), [], "an edit may have come before");
  const well = runOf(sixth, ann);
  assert.deepEqual(
    found({ runs: [...without(sixth), well], notices: [notice(ann)] }),
    ["I17"],
    "none has failed",
  );
  const silent = [asked({ kind: "put", rules }, 1_000)];
  assert.deepEqual(found({ operations: silent }), [], "nobody asked to be told");
});

test("I18: a peer with an old cluster key that starts a run is found, once a member with the new key could have told it", () => {
  const at = beginning + 10 * minute;
  const run = runOf(at, ben);
  const missed = { kind: "missed rotation", peer: ben, from: at - 5 * minute, to: at + 5 * minute } as const;
  const found = (changes: Partial<Evidence>): string[] =>
    checkEligibility(flawless({ runs: [run], faultWindows: [missed], ...changes })).map(({ rule }) => rule);
  assert.deepEqual(found({}), ["I18"]);
  assert.deepEqual(found({ faultWindows: [{ ...missed, to: at - 1 }] }), []);
  const cuts = [ann, cyd].map((sender) => ({ sender, receiver: ben, from: beginning, to: ending }));
  assert.deepEqual(found({ cuts }), []);
  const everybody = peers.map((peer) => ({ ...missed, peer }));
  assert.deepEqual(found({ faultWindows: everybody }), []);
  const forget = (peer: PeerId) => asked({ kind: "forget", target: peer }, minute);
  assert.deepEqual(found({ operations: [forget(ann)] }), ["I18"]);
  assert.deepEqual(
    found({ operations: [forget(ann), forget(cyd)] }),
    [],
    "no peer accepts a forgotten peer's proof",
  );
  const refused = [ann, cyd].map((peer) => ({ ...forget(peer), accepted: false }));
  assert.deepEqual(found({ operations: refused }), ["I18"], "ann and cyd are members still");
  assert.deepEqual(found({ faultWindows: [{ ...missed, from: at - 10_000 }] }), [], "it could not know yet");
  const companions = [missed, { ...missed, peer: cyd }];
  assert.deepEqual(found({ faultWindows: companions }), ["I18"]);
  const slowDisk = { kind: "slow disk", peer: cyd, from: beginning, to: ending } as const;
  assert.deepEqual(
    found({ faultWindows: [...companions, slowDisk] }),
    [],
    "cyd may not have been told, and accepts it",
  );
  const cut = { sender: ann, receiver: cyd, from: beginning, to: ending };
  assert.deepEqual(
    found({ faultWindows: companions, cuts: [cut] }),
    [],
    "ben forwards ann's proof to no other",
  );
});

test("I18: the older of two processes with one identity that starts a run is found, unless it received no heartbeats; a restarted peer is not the older one", () => {
  const faultWindows = [
    { kind: "duplicate identity" as const, peer: ann, from: sixth - minute, to: sixth + 30_000 },
  ];
  const found = (changes: Partial<Run>, ...restartedAt: number[]) => {
    const outages = restartedAt.map((to) => ({ peer: ann, kind: "down" as const, from: to - 5_000, to }));
    const runs = [...without(sixth), runOf(sixth, ann, changes)];
    return rulesIn(checkEligibility(flawless({ faultWindows, outages, runs })));
  };
  assert.ok(found({}).includes("I18"));
  assert.ok(found({ heardOthers: true }).includes("I18"));
  assert.ok(!found({ heardOthers: false }).includes("I18"));
  assert.ok(!found({}, sixth - 50_000).includes("I18"));
  assert.ok(found({}, sixth - 2 * minute).includes("I18"), "it was restarted before its copy was started");
  assert.ok(found({}, sixth + 20_000).includes("I18"), "it was restarted after the run had started");
});

test("I18: of two processes that are left of three, either may start runs, because it outlived the third; both may not", () => {
  const copied = (fromMs: number, toMs: number) => ({
    kind: "duplicate identity" as const,
    peer: ann,
    from: sixth + fromMs,
    to: sixth + toMs,
  });
  const first = copied(-5 * minute, 10 * minute);
  const before = sixth - minute;
  const found = (windows: Evidence["faultWindows"], ...more: Run[]) => {
    const runs = [
      ...without(sixth).filter(({ start }) => start < before - minute),
      runOf(sixth, ann),
      ...more,
    ];
    return rulesIn(checkEligibility(flawless({ faultWindows: windows, runs })));
  };
  const third = copied(-4 * minute, -2 * minute);
  assert.deepEqual(found([first, third]), []);
  assert.deepEqual(found([first]), ["I18"], "there was no third");
  assert.deepEqual(found([first, copied(-4 * minute, 2 * minute)]), ["I18"], "the third was still there");
  assert.deepEqual(found([copied(-minute, 10 * minute), third]), ["I18"], "the copy came after the third");
  const byCopy = runOf(before, ann, { life: livesOfCopies });
  assert.deepEqual(found([first, third], byCopy), ["I18"], "the copy has started one as well");
});

test("a clock that is ahead for as long as its peer waits may prune what is younger by so much", () => {
  const hour = 60 * minute;
  const to = beginning + 90 * hour;
  const runs = Array.from({ length: 89 }, (_, i) => runOf(beginning + (i + 1) * hour, ann));
  const put = asked({ kind: "put", rules: { ...rules, keep: { runs: 10_000, ageMs: 20 * hour } } }, 1_000);
  const isRetained = (hoursOld: number, lastedMs?: number): boolean => {
    const ahead = {
      kind: "clock step",
      peer: ann,
      from: to - (lastedMs ?? 0),
      to,
      steppedMs: 12 * hour,
    } as const;
    const faultWindows = lastedMs === undefined ? [] : [ahead];
    return retainedTicks(flawless({ to, runs, operations: [put], faultWindows }))(
      rules.id,
      tickAt(to - hoursOld * hour),
    );
  };
  assert.deepEqual(
    [10, 18, 22].map((hours) => isRetained(hours)),
    [true, true, false],
  );
  assert.ok(isRetained(10, hour), "its peer still waits");
  assert.deepEqual(
    [6, 10].map((hours) => isRetained(hours, 13 * hour)),
    [true, false],
  );
});

test("I16: history that should have been pruned is found, unless the peer was away and hasn't been back for as long", () => {
  const hour = 60 * minute;
  const to = beginning + 90 * hour;
  const keep = { runs: 1_000, ageMs: 10 * hour };
  const runs = Array.from({ length: 89 }, (_, i) => runOf(beginning + (i + 1) * hour, ann));
  const down = (fromHour: number, toHour: number) => ({
    peer: ann,
    kind: "down" as const,
    from: beginning + fromHour * hour,
    to: beginning + toHour * hour,
  });
  const step = (fromHour: number, toHour: number, steppedMs: number) => ({
    ...down(fromHour, toHour),
    kind: "clock step" as const,
    steppedMs,
  });
  /** True if a breach is found with records of that many last hours. */
  const found = (hours: number, changes: Partial<Evidence> = {}): boolean => {
    const kept = runs.filter(({ tick }) => instantOf(tick) >= to - hours * hour);
    const operations = [asked({ kind: "put", rules: { ...rules, keep } }, 1_000)];
    const evidence = flawless({ to, runs, operations, final: [knows(ann, kept)], ...changes });
    return rulesIn(checkPruned(evidence)).includes("I16");
  };
  assert.ok(!found(10));
  assert.ok(found(20), "never away");
  assert.ok(!found(35, { outages: [down(66, 80)] }), "back for 10 h after 14 h");
  assert.ok(found(60, { outages: [down(66, 80)] }), "what was too old before the absence must be pruned");
  const byNumber = { ...rules, keep: { runs: 40, ageMs: 1_000 * hour } };
  const many = { operations: [asked({ kind: "put", rules: byNumber }, 1_000)] };
  assert.ok(found(70, many));
  assert.ok(!found(70, { ...many, outages: [down(40, 80)] }), "they have become too many while it was away");
  assert.ok(found(35, { outages: [down(62, 70)] }), "back for 20 h after 8 h");
  assert.ok(
    !found(35, { outages: [down(66, 82), down(83, 84)] }),
    "a second, short absence doesn't end the wait",
  );
  assert.ok(found(35, { outages: [down(50, 66), down(74, 75)] }), "nor does it begin anew");
  assert.ok(!found(35, { outages: [down(66, 72), down(72, 78)] }), "the two absences are one of 12 h");
  assert.ok(found(35, { outages: [down(66, 72), down(72.1, 78)] }), "it had begun to wait for 6 h");
  assert.ok(!found(35, { faultWindows: [step(66, 67, 8_760 * hour)] }), "its clock was wrong by a year");
  assert.ok(found(35, { faultWindows: [step(66, 67, 2_000)] }), "by two seconds");
  const arrived = (atHour: number) => {
    const { peer, records, ...rest } = knows(ann, runs.slice(55));
    const arrivedAt = beginning + atHour * hour;
    const late = [...records].map(([key, record]) => [key, { ...record, arrivedAt }] as const);
    return { outages: [down(80, 89)], final: [{ ...rest, peer, records: new Map(late) }] };
  };
  assert.ok(found(35, arrived(79)), "it has not been back for long, and had them before");
  assert.ok(!found(35, arrived(89)), "it got them only when it was back");
  const mostlyAway = { outages: [down(60, 80)] };
  assert.ok(
    !found(35, { ...mostlyAway, faultWindows: [step(50, 51, 8_760 * hour)] }),
    "it may have pruned while a clock was wrong, and then waits for the 20 h in which it was away",
  );
  assert.ok(
    found(35, { outages: [down(40, 51), ...mostlyAway.outages] }),
    "it waited already, for what is left of 11 h",
  );
  assert.ok(
    !found(35, { outages: [down(41.7, 50.8), ...mostlyAway.outages] }),
    "its wait for 9.1 h may have ended just before it was away again",
  );
  const later = [down(49, 62), down(68, 88)];
  assert.ok(!found(89, { outages: [down(0, 26), ...later] }), "it was new, and then away for longer than up");
  assert.ok(
    found(89, { outages: [down(1, 26), ...later] }),
    "it waited, and was up for the rest of its wait",
  );
  const lives = (upForMs: number) => ({
    outages: [down(2, 30)],
    operations: [
      asked({ kind: "put", rules: { ...rules, keep } }, 2 * hour - upForMs),
      asked({ kind: "delete", id: job }, 10 * hour),
      asked({ kind: "put", rules: { ...rules, keep } }, 20 * hour),
      asked({ kind: "delete", id: job }, 28 * hour),
    ],
  });
  assert.ok(!found(80, lives(5 * minute)), "of a job that was deleted, it may not know the `keep`");
  assert.ok(found(80, lives(hour)), "it has noted the `keep` of the first life");
});

test("I18: of two clocks, the one that is ahead starts nothing early, unless the right one alone was set since they agreed or met", () => {
  const steppedMs = 60 * minute;
  const step = (peer: PeerId, from: number, to: number, ms = steppedMs) => ({
    kind: "clock step" as const,
    peer,
    from: beginning + from,
    to: beginning + to,
    steppedMs: ms,
  });
  const at = beginning + 10 * minute;
  const run = { ...runOf(at + steppedMs, ann), start: at, end: at + 10 };
  const cydIsAway = [{ peer: cyd, kind: "down" as const, from: beginning, to: ending }];
  const found = (...faultWindows: Evidence["faultWindows"]): string[] =>
    rulesIn(checkEligibility(flawless({ runs: [run], outages: cydIsAway, faultWindows })));
  const annIsAhead = step(ann, minute, 20 * minute);
  assert.deepEqual(found(annIsAhead), ["I18"]);
  const benIsForgotten = asked({ kind: "forget", target: ben }, minute);
  assert.deepEqual(
    rulesIn(
      checkEligibility(
        flawless({
          runs: [run],
          outages: cydIsAway,
          faultWindows: [annIsAhead],
          operations: [asked({ kind: "put", rules }, 1_000), benIsForgotten],
        }),
      ),
    ),
    [],
    "the mesh has forgotten the peer whose clock is right",
  );
  assert.deepEqual(found(annIsAhead, step(ben, 2 * minute, 5 * minute)), []);
  assert.deepEqual(
    found(annIsAhead, step(ben, 2 * minute, 5 * minute, minute)),
    ["I18"],
    "they never agreed",
  );
  assert.deepEqual(found(step(ann, 6 * minute, 20 * minute), step(ben, 2 * minute, 5 * minute)), ["I18"]);
  assert.deepEqual(
    found(
      step(ann, minute, 6 * minute),
      step(ben, 2 * minute, 5 * minute),
      step(ann, 8 * minute, 20 * minute),
    ),
    ["I18"],
    "they agreed again while both were right",
  );
  const restart = (peer: PeerId, afterMs: number) => ({
    peer,
    kind: "down" as const,
    from: beginning + afterMs,
    to: beginning + afterMs,
  });
  const benWasBehind = step(ben, 4 * minute, 5 * minute, -24 * 60 * minute);
  const restarted = (...outages: Evidence["outages"]): string[] => {
    const faultWindows = [annIsAhead, benWasBehind];
    return rulesIn(
      checkEligibility(flawless({ runs: [run], outages: [...cydIsAway, ...outages], faultWindows })),
    );
  };
  const both = [restart(ann, 3 * minute), restart(ben, 4 * minute)];
  assert.deepEqual(restarted(...both), [], "only ben knows that its clock was set, to the right time");
  assert.deepEqual(restarted(restart(ben, 4 * minute)), ["I18"], "ann knows that of its own clock, too");
  assert.deepEqual(restarted(...both, restart(ben, 6 * minute)), ["I18"], "neither knows it");
  const met = (...outages: Evidence["outages"]): string[] => {
    const steps = [step(ben, minute, 5 * minute, 2_000), step(ann, 3 * minute, 20 * minute)];
    const gone = [...cydIsAway, ...outages];
    return rulesIn(checkEligibility(flawless({ runs: [run], outages: gone, faultWindows: steps })));
  };
  assert.deepEqual(
    met(restart(ann, 3 * minute)),
    [],
    "ben's was set right since they met, by more than clocks may differ",
  );
  assert.deepEqual(met(), ["I18"], "ann knows that its clock was set");
  const benIsDoubled = { kind: "duplicate identity", peer: ben, from: beginning, to: ending } as const;
  assert.deepEqual(found(annIsAhead, benIsDoubled), ["I18"], "a peer beside its copy has a clock");
  const bothAreAhead = flawless({ runs: [run], faultWindows: [annIsAhead, step(ben, minute, 20 * minute)] });
  assert.deepEqual(rulesIn(checkEligibility(bothAreAhead)), []);
  const faultWindows = [...bothAreAhead.faultWindows, benIsDoubled];
  assert.deepEqual(rulesIn(checkEligibility({ ...bothAreAhead, faultWindows })), []);
});

test("I18: a peer that starts a run early is found, unless a wrong clock that was back for a moment made most clocks wrong", () => {
  const steppedMs = 60 * minute;
  const ahead = (peer: PeerId) => ({
    kind: "clock step" as const,
    peer,
    from: beginning + minute,
    to: ending,
    steppedMs,
  });
  const at = beginning + 10 * minute;
  const run = { ...runOf(at + steppedMs, ann), start: at, end: at + 10 };
  const found = (cutUntil: number, ...faultWindows: Evidence["faultWindows"]) => {
    const cuts = [ann, cyd].map((peer) => ({ sender: peer, receiver: ben, from: beginning, to: cutUntil }));
    return rulesIn(checkEligibility(flawless({ runs: [run], cuts, faultWindows })));
  };
  assert.deepEqual(found(at - 5_000, ahead(ann), ahead(ben)), []);
  assert.deepEqual(found(at + 5_000, ahead(ann), ahead(ben)), ["I18"], "it was still cut off");
  assert.deepEqual(found(at - 5_000, ahead(ann)), ["I18"], "its clock was right");
  const isFull = { ...ahead(ben), kind: "full disk" as const };
  assert.deepEqual(
    found(at - 5_000, ahead(ann), ahead(ben), isFull),
    [],
    "a peer with a full disk has a clock",
  );

  const cydIsAway = { peer: cyd, kind: "down" as const, from: beginning + 2 * minute, to: at + minute };
  const restored = {
    peer: cyd,
    kind: "old disk",
    copiedAt: cydIsAway.from,
    startedAt: cydIsAway.to,
  } as const;
  const withCyd = (rollbacks: Evidence["rollbacks"]) =>
    rulesIn(
      checkEligibility(
        flawless({
          runs: [run],
          outages: [cydIsAway],
          faultWindows: [ahead(ann), ahead(cyd)],
          ...(rollbacks === undefined ? {} : { rollbacks }),
        }),
      ),
    );
  assert.deepEqual(withCyd([restored]), [], "cyd was there: only what it did was lost later");
  assert.deepEqual(withCyd(undefined), ["I18"]);
});

test("I18: a copy of a peer doesn't know that the peer's clock was set, so it may start runs early if the other clock was set since", () => {
  const steppedMs = 60 * minute;
  const at = beginning + 10 * minute;
  const found = (life: number, copiedMs: number) => {
    const run = { ...runOf(at + steppedMs, ann), start: at, end: at + 10, life };
    const step = (peer: PeerId, fromMs: number, toMs: number, ms: number) => ({
      kind: "clock step" as const,
      peer,
      from: beginning + fromMs,
      to: beginning + toMs,
      steppedMs: ms,
    });
    return rulesIn(
      checkEligibility(
        flawless({
          runs: [run],
          outages: [
            { peer: cyd, kind: "down", from: beginning, to: ending },
            { peer: ben, kind: "down", from: beginning + 4 * minute, to: beginning + 4 * minute },
          ],
          faultWindows: [
            step(ann, minute, 20 * minute, steppedMs),
            step(ben, 4 * minute, 5 * minute, -24 * 60 * minute),
            { kind: "duplicate identity", peer: ann, from: beginning + copiedMs, to: at + 5_000 },
          ],
        }),
      ),
    );
  };
  assert.deepEqual(found(livesOfCopies, 9.8 * minute), []);
  assert.deepEqual(found(1, 9.8 * minute), ["I18"], "the original knows it");
  assert.deepEqual(found(livesOfCopies, 30_000), ["I18"], "so does a copy from before");
});

test("I18: a drained peer that starts a run is found, unless a second process with its identity may have confirmed the drain", () => {
  const drain = { ...asked({ kind: "drain", target: ann, on: true }, 2 * minute), peer: ann };
  const found = (changes: Partial<Evidence>) =>
    rulesIn(checkEligibility(flawless({ operations: [...good.operations, drain], ...changes })));
  const beside = (from: number, to: number) => ({
    faultWindows: [
      { kind: "duplicate identity" as const, peer: ann, from: beginning + from, to: beginning + to },
    ],
  });
  assert.ok(found({}).includes("I18"));
  assert.ok(!found(beside(minute, 2.5 * minute)).includes("I18"));
  assert.ok(found(beside(0, minute)).includes("I18"));
});

/** A run that its peer started twice, with these outcomes. */
function startedTwice(first: NonNullable<Run["outcome"]>, second: NonNullable<Run["outcome"]>): Evidence {
  return flawless({
    runs: [
      ...without(sixth),
      runOf(sixth, ann, { outcome: first }),
      runOf(sixth, ann, { outcome: second, start: sixth + 60_000, end: sixth + 60_500, life: 2 }),
    ],
  });
}

test("I6: a record that describes neither of a run's two starts is found", () => {
  assert.deepEqual(rulesIn(checkStories(startedTwice("failed", "succeeded"))), []);
  assert.deepEqual(rulesIn(checkStories(startedTwice("failed", "timeout"))), ["I6"]);
});

test("I6: a run that is recorded as lost although its child succeeded is found, unless its peer was forgotten meanwhile", () => {
  const to = beginning + 30 * minute;
  const runs = [runOf(sixth, ann, { outcome: "succeeded", end: sixth + 40_000 })];
  const lost = knows(ben, runs);
  const records = new Map([...lost.records].map(([key, record]) => [key, { ...record, state: "lost" }]));
  const found = (...operations: Operation[]): string[] =>
    rulesIn(
      checkStories(
        flawless({
          to,
          runs,
          final: [{ ...lost, records }],
          operations: [...good.operations, ...operations],
        }),
      ),
    );
  assert.deepEqual(found(), ["I6"]);
  assert.deepEqual(found(asked({ kind: "forget", target: ann }, 6.2 * minute)), []);
  assert.deepEqual(found(asked({ kind: "forget", target: ann }, 12 * minute)), ["I6"]);
});

test("I6: a run that its own peer records as lost or never started while it goes on is found, unless the two processes could not know of each other", () => {
  const on = runOf(sixth, ann, { end: sixth + 30_000 });
  const seen = {
    job,
    tick: on.tick,
    attempt: 1,
    peer: ann,
    at: sixth + 10_000,
    state: "lost",
    heardOthers: true,
  };
  const found = (changes: Partial<typeof seen> = {}, more: Partial<Evidence> = {}) => {
    const runs = [...without(sixth), on];
    return rulesIn(checkDisowned(flawless({ runs, disowned: [{ ...seen, ...changes }], ...more })));
  };
  assert.deepEqual(found(), ["I6"]);
  assert.deepEqual(found({ state: "withdrawn" }), ["I6"]);
  assert.deepEqual(found({ at: sixth + 29_500 }), [], "a child may outlive its peer's process for a moment");
  assert.deepEqual(found({ attempt: 2 }), [], "it is another run");
  assert.deepEqual(found({ heardOthers: false }), []);
  const cuts = [ben, cyd].map((other) => ({
    sender: ann,
    receiver: other,
    from: sixth - minute,
    to: sixth + minute,
  }));
  assert.deepEqual(found({}, { cuts }), [], "no third peer heard both");
  assert.deepEqual(found({}, { cuts: cuts.slice(1) }), ["I6"]);
  const copied = (from: number) => ({
    faultWindows: [{ kind: "duplicate identity" as const, peer: ann, from, to: sixth + minute }],
  });
  assert.deepEqual(found({}, copied(sixth - minute)), ["I6"]);
  assert.deepEqual(found({}, copied(sixth)), [], "the second process has only just begun");
});
