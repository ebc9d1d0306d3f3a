/**
 * What is decided about an order (core/orders/decide.ts), and which of its stages may follow which
 * (core/claims/order.ts).
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createBook } from "../src/core/claims/book-state.ts";
import { noStage, transition, type Ask, type LocalStage, type Order } from "../src/core/claims/order.ts";
import type { Plan } from "../src/core/job/plan.ts";
import type { Eligibility, Failover } from "../src/core/members/failover.ts";
import { decide } from "../src/core/orders/decide.ts";
import type { Decision, Facts } from "../src/core/orders/decision.ts";
import { AssertionFailed } from "../src/errors.ts";
import { orderKey, tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";
import type { JobSpec } from "../src/schema/job.ts";
import type { RequestedOrder, RunRecord, Trigger } from "../src/schema/run.ts";
import { planOfJob, storedJob } from "./kit/planned-job.ts";

const due = Date.UTC(2026, 10, 28, 12, 0, 0);
const job = "j" as JobId;
const [self, other] = ["self", "other"] as PeerId[];

function planOf(spec: Partial<JobSpec>, createdAt = 0): Plan {
  return planOfJob(storedJob(job, { schedule: "* * * * *", ...spec }, { createdAt }));
}

const available = planOf({});
const majority = planOf({ partition: "majority" });
const repeated = planOf({ overlap: "replace", retry: { attempts: 2 } });
const catchesNothingUp = planOf({ catchUp: { policy: "none" } });

function claimOf(peer: PeerId | undefined, rest: Partial<RunRecord> = {}): RunRecord {
  return {
    job,
    tick: tickAt(due),
    attempt: 1,
    slot: "0",
    peer: peer ?? ("" as PeerId),
    state: "claimed",
    version: 1,
    revision: "r",
    trigger: "schedule",
    rank: 0,
    due,
    view: 2,
    signature: "",
    ...rest,
  };
}

const first: Failover = { rank: 0, delayMs: 0, skippedPeers: [] };
const second: Failover = { rank: 1, delayMs: 5_000, skippedPeers: [] };

/** The facts of an order that is due now and that this peer may run at once. */
const plain: Facts = {
  wall: due,
  mono: 1_000,
  plan: available,
  isOver: false,
  isTick: true,
  chain: undefined,
  awaitsParents: false,
  isReporter: true,
  mayReport: true,
  isForgotten: false,
  isSuperseded: false,
  isWarmingUp: false,
  warmedUpAt: due - 3_600_000,
  awaitsSync: false,
  absence: "none",
  isFixed: false,
  turn: { kind: "go" },
  isToBeSkipped: false,
  skipStandsAt: due,
  lacksCalendar: false,
  isBackfill: false,
  isBackfilledBefore: false,
  skippedBy: undefined,
  stop: undefined,
  isQueued: false,
  hasNoSlot: false,
  joinsPool: false,
  lacksAnswers: false,
  eligibility: "alive",
  failover: first,
  isFirstForAll: true,
  admittedRank: 0,
  rival: undefined,
  hasForeignClaim: false,
  isFull: false,
  hasNoPlace: false,
  isFirstWhenAllFull: false,
  canBeRepeated: true,
  isInProgress: false,
  replacedAt: Infinity,
  choice: "none",
  overlap: "go",
  questionsEnd: Infinity,
  skipsAsking: false,
  skipsRecheck: false,
};

interface Case {
  isChained?: boolean;
  instant?: number;
  attempt?: number;
  round?: number;
  facts?: Partial<Facts>;
  local?: LocalStage;
  trigger?: Trigger;
  requested?: Partial<RequestedOrder>;
}

function decided({
  isChained = false,
  instant = due,
  attempt = 1,
  round = 0,
  facts = {},
  local = noStage,
  trigger: given,
  requested,
}: Case): Decision {
  const trigger = given ?? (requested === undefined ? "schedule" : "manual");
  const asked: RequestedOrder = {
    job,
    tick: tickAt(due),
    trigger: "manual",
    requestedAt: due,
    by: "",
    ...requested,
  };
  const order = {
    due,
    instant,
    isChained,
    local,
    trigger,
    attempt,
    round,
    requested: requested === undefined ? undefined : asked,
  };
  return decide(order, { ...plain, ...facts }).decision;
}

/** A decision in one line: what is let go, then what is done. */
function describeDecision(decision: Decision): string {
  switch (decision.kind) {
    case "wait":
      return decision.until === Infinity ? "wait" : `wait ${decision.until - due}`;
    case "let-go":
      return `let go (${decision.reason}), ${describeDecision(decision.next)}`;
    case "claim":
      return ["claim", decision.waiting, decision.hasAsked === true ? "after asking" : undefined]
        .filter(Boolean)
        .join(" ");
    case "hold":
      return `hold for ${decision.why}${decision.replace === true ? " and replace" : ""}`;
    case "close":
      return `close (${decision.reason})${decision.as === undefined ? "" : ` as ${decision.as}`}`;
    case "nothing":
    case "again":
    case "decline":
    case "ask":
    case "elect":
    case "follow-election":
    case "follow-choice":
    case "close-lost":
    case "start":
      return decision.kind;
  }
}

const ask: Ask = { id: 1, untilMono: 2_000, orders: [], waiting: new Set([other as PeerId]) };
const answered: Ask = { ...ask, waiting: new Set() };
const asking: LocalStage = { stage: "asking", ask };
const hasAsked: LocalStage = { stage: "asking", ask: answered };
const claimed = (rest: Partial<RunRecord> = {}, mayStartAt = 0): LocalStage => ({
  stage: "claimed",
  claim: claimOf(self, rest),
  mayStartAt,
});
const claiming: LocalStage = { stage: "claiming", claim: claimOf(self), waitMs: 0 };
const rivalTo = (until: number, rest: Partial<RunRecord> = {}): Partial<Facts> => ({
  rival: { claim: claimOf(other, rest), until: due + until },
});
const minute = 60_000;
const pausedFor = (ms = Infinity): Facts["stop"] => ({ why: "paused", until: due + ms });

const unclaimed: [title: string, one: Case, expected: string][] = [
  [
    "before it is in sight, the order waits until two seconds before it is due",
    { facts: { wall: due - 5_000 } },
    "wait -2000",
  ],
  ["two seconds before it is due, the first in rank claims it", { facts: { wall: due - 2_000 } }, "claim"],
  [
    "a moment later the first in rank still claims it without asking",
    { facts: { wall: due - 1_750 } },
    "claim",
  ],
  [
    "a peer that may take it only later, such as one that has just been undrained, asks the others first",
    { facts: { wall: due - 1_749 } },
    "ask",
  ],
  [
    "the first in rank claims a manual order up to two seconds late without asking",
    { requested: {}, facts: { wall: due + 2_000 } },
    "claim",
  ],
  ["later than that, the others are asked first", { requested: {}, facts: { wall: due + 2_001 } }, "ask"],
  [
    "if another peer's claim is known, even one that no longer holds, the others are asked first",
    { facts: { wall: due - 2_000, hasForeignClaim: true } },
    "ask",
  ],
  ["while another peer's claim holds, the order waits for its end", { facts: rivalTo(5_000) }, "wait 5000"],
  ["the second in rank waits for the first", { facts: { failover: second } }, "wait 5000"],
  [
    "the second in rank asks the others first when its time has come",
    { facts: { failover: second, wall: due + 5_000 } },
    "ask",
  ],
  [
    "about a tick that was due before this peer had warmed up, the others are asked first",
    { facts: { warmedUpAt: due + 1, wall: due + 100 } },
    "ask",
  ],
  [
    "such a tick waits for the records of peers that have returned",
    { facts: { warmedUpAt: due + 1, wall: due + 100, awaitsSync: true } },
    "wait 600",
  ],
  [
    "a timely tick doesn't wait for peers that have returned",
    { facts: { wall: due - 2_000, awaitsSync: true } },
    "claim",
  ],
  ["about a tick that is caught up, the others are asked first", { trigger: "catch-up" }, "ask"],
  [
    "a tick that is caught up waits for the records of peers that have returned",
    { trigger: "catch-up", facts: { awaitsSync: true } },
    "wait 500",
  ],
  [
    "more than 30 s overdue, a scheduled tick is left to the sweep",
    { facts: { wall: due + 30_001 } },
    "wait",
  ],
  [
    "a manual order may still start within its window",
    { requested: {}, facts: { wall: due + 30 * minute } },
    "ask",
  ],
  [
    "past its window a manual order is left to the sweep",
    { requested: {}, facts: { wall: due + 61 * minute } },
    "wait",
  ],
  [
    "a peer that is first only because another one has claimed another slot asks: that one may have claimed this slot, too",
    { facts: { isFirstForAll: false } },
    "ask",
  ],
  ["a peer without a free place declines", { facts: { isFull: true } }, "decline"],
  [
    "when chosen runners have given it back eight times, nobody is chosen any more, and one peer reports it",
    { round: 8, facts: { plan: majority, isReporter: true } },
    "close (given-back) as missed",
  ],
  [
    "the other peers wait for that report",
    { round: 8, facts: { plan: majority, isReporter: false } },
    "wait",
  ],
  ["after seven times the voters choose once more", { round: 7, facts: { plan: majority } }, "elect"],
  [
    "a peer that can't run the order waits until it is due, to see which peer does",
    { facts: { failover: undefined, wall: due - 1_000 } },
    "wait 0",
  ],
  ["a peer that can't run the order then waits for the others", { facts: { failover: undefined } }, "wait"],
  [
    "when all are at capacity, the first in rank claims the order and holds it",
    { facts: { failover: undefined, isFirstWhenAllFull: true } },
    "claim capacity",
  ],
  [
    "when all are at capacity, the first in rank asks the voters of a majority job",
    { facts: { failover: undefined, isFirstWhenAllFull: true, plan: majority } },
    "elect",
  ],
  ["the voters of a majority job are asked even for a timely tick", { facts: { plan: majority } }, "elect"],
  ["while this peer warms up, nothing is decided", { facts: { isWarmingUp: true } }, "wait 500"],
  [
    "a peer whose cluster key was replaced lets go",
    { facts: { isSuperseded: true } },
    "let go (draining), wait",
  ],
  ["a peer that the mesh has forgotten lets go", { facts: { isForgotten: true } }, "let go (draining), wait"],
];

const closing: [title: string, one: Case, expected: string][] = [
  [
    "an order that others have started or decided leaves the book",
    { facts: { isOver: true } },
    "close (out-claimed)",
  ],
  [
    "a claim to an order that others have started is taken back",
    { facts: { isOver: true }, local: claimed() },
    "close (out-claimed)",
  ],
  [
    "a chosen runner that others reported as lost says that it never started",
    { facts: { isOver: true }, local: claimed({ epoch: 1 }) },
    "close (late) as missed",
  ],
  ["the tick of a deleted job leaves the book", { facts: { plan: undefined } }, "close (job-changed)"],
  [
    "an order that is not a tick of the edited schedule leaves the book",
    { facts: { isTick: false } },
    "close (job-changed)",
  ],
  [
    "… and is reported as missed if it had been due for long",
    { facts: { isTick: false, wall: due + minute } },
    "close (job-changed) as missed",
  ],
  [
    "… by only one peer",
    { facts: { isTick: false, wall: due + minute, isReporter: false } },
    "close (job-changed)",
  ],
  [
    "… but not by a peer that had claimed it",
    { facts: { isTick: false, wall: due + minute }, local: claimed() },
    "close (job-changed)",
  ],
  ["a manual order outlives an edit of the schedule", { requested: {}, facts: { isTick: false } }, "claim"],
  [
    "a manual order ends when its job is disabled",
    { requested: {}, facts: { plan: planOf({ enabled: false }) } },
    "close (job-changed)",
  ],
  [
    "… unless it was forced",
    { requested: { force: true }, facts: { plan: planOf({ enabled: false }) } },
    "claim",
  ],
  [
    "a tick of a paused job is skipped when it is due",
    { facts: { skippedBy: "paused" } },
    "close (paused) as skipped",
  ],
  ["… not before", { facts: { skippedBy: "paused", wall: due - 1_000 } }, "wait 0"],
  ["… by only one peer", { facts: { skippedBy: "paused", isReporter: false } }, "wait"],
  [
    "a claim to a tick of a job that has been paused is taken back",
    { facts: { skippedBy: "paused" }, local: claimed() },
    "let go (paused), close (paused) as skipped",
  ],
  [
    "a tick that was about to start when its job was paused is skipped",
    { facts: { stop: pausedFor() }, local: claimed() },
    "let go (paused), close (paused) as skipped",
  ],
  [
    "a tick of a backfill is queued from the beginning: it waits until the pause ends, whether or not it was claimed",
    { facts: { stop: pausedFor(60_000), isBackfill: true }, requested: { trigger: "backfill" } },
    "wait 60000",
  ],
  [
    "… and lets go of a claim that was about to start",
    {
      facts: { stop: pausedFor(60_000), isBackfill: true },
      requested: { trigger: "backfill" },
      local: claimed(),
    },
    "let go (paused), wait 60000",
  ],
  [
    "a tick that was queued when its job was paused waits until the pause ends, and keeps its claim",
    { facts: { stop: pausedFor(60_000), isQueued: true }, local: claimed({ waiting: "overlap" }) },
    "hold for overlap",
  ],
  [
    "… but not its turn for capacity or a pool's slot, which others need meanwhile",
    { facts: { stop: pausedFor(60_000), isQueued: true }, local: claimed({ waiting: "capacity" }) },
    "hold for overlap",
  ],
  [
    "… also at the peers that don't hold it",
    { facts: { stop: pausedFor(60_000), isQueued: true } },
    "wait 60000",
  ],
  [
    "an attempt is not repeated if the job has been deleted since and made again",
    {
      attempt: 2,
      facts: { isInProgress: true, wall: due + 9, plan: planOf({ retry: { attempts: 3 } }, due + 1) },
    },
    "close (job-changed) as cancelled",
  ],
  [
    "… which one peer reports",
    {
      attempt: 2,
      facts: {
        isInProgress: true,
        isReporter: false,
        wall: due + 9,
        plan: planOf({ retry: { attempts: 3 } }, due + 1),
      },
    },
    "wait",
  ],
  [
    "an attempt that is to be repeated waits until the pause ends",
    {
      attempt: 2,
      facts: { isInProgress: true, stop: pausedFor(60_000), plan: planOf({ retry: { attempts: 3 } }) },
    },
    "wait 60000",
  ],
  [
    "… and gives back a claim that doesn't wait for anything",
    {
      attempt: 2,
      local: claimed(),
      facts: { isInProgress: true, stop: pausedFor(60_000), plan: planOf({ retry: { attempts: 3 } }) },
    },
    "let go (paused), wait 60000",
  ],
  [
    "a forced order runs while the job is paused",
    { requested: { force: true }, facts: { skippedBy: "paused" } },
    "claim",
  ],
  ["a claim on its way to the disk waits for its answer", { local: claiming }, "nothing"],
];

const asked: [title: string, one: Case, expected: string][] = [
  ["while answers are awaited, the order waits", { local: asking }, "wait 1000"],
  [
    "when the time for answers is over, the order is claimed",
    { local: asking, facts: { mono: 2_000 } },
    "let go (answered), claim after asking",
  ],
  [
    "when all have answered, the order is claimed",
    { local: hasAsked },
    "let go (answered), claim after asking",
  ],
  [
    "when another peer has claimed the order meanwhile, this one lets go",
    { local: hasAsked, facts: rivalTo(5_000) },
    "let go (out-claimed), wait 500",
  ],
  [
    "when this peer can't run the order any more, it lets go",
    { local: asking, facts: { failover: undefined } },
    "let go (out-claimed), wait 500",
  ],
  [
    "when the last place has been taken meanwhile, this peer declines",
    { local: hasAsked, facts: { isFull: true } },
    "let go (declined), decline",
  ],
  [
    "when the job has become a majority job meanwhile, its voters are asked",
    { local: hasAsked, facts: { plan: majority } },
    "let go (answered), elect",
  ],
];

const chosen: [title: string, one: Case, expected: string][] = [
  ["the choice of the voters is followed", { facts: { plan: majority, choice: "stands" } }, "follow-choice"],
  ["a chosen runner that is gone is lost", { facts: { plan: majority, choice: "gone" } }, "close-lost"],
  [
    "… and reported by whoever knows it",
    { facts: { plan: majority, choice: "gone", isReporter: false } },
    "close-lost",
  ],
  [
    "… unless the others don't count on this peer",
    { facts: { plan: majority, choice: "gone", isReporter: false, mayReport: false } },
    "wait",
  ],
  [
    "a running election is followed",
    { local: { stage: "electing" }, facts: { plan: majority } },
    "follow-election",
  ],
];

const holding: [title: string, one: Case, expected: string][] = [
  ["a claim waits until it is due", { local: claimed(), facts: { wall: due - 500 } }, "wait 0"],
  ["a claim made late waits for conflicting ones", { local: claimed({}, due + 250) }, "wait 250"],
  ["when a claim is due, the run starts", { local: claimed() }, "start"],
  [
    "a peer that has declined other orders still starts what it had claimed",
    { local: claimed(), facts: { eligibility: "declined" } },
    "start",
  ],
  [
    "a claim that the launcher would start too late is made again",
    { local: claimed(), facts: { wall: due + 2_001 } },
    "let go (late), again",
  ],
  [
    "a claim that was held for a place is not too late",
    { local: claimed({ waiting: "capacity" }), facts: { wall: due + minute } },
    "start",
  ],
  [
    "a stronger claim of another peer goes first",
    { local: claimed({ rank: 1 }), facts: rivalTo(5_000) },
    "let go (out-claimed), wait 5000",
  ],
  [
    "a weaker claim of another peer doesn't",
    { local: claimed(), facts: rivalTo(5_000, { rank: 1 }) },
    "start",
  ],
  [
    "between equal claims the peers' ids decide",
    { local: claimed(), facts: rivalTo(5_000) },
    "let go (out-claimed), wait 5000",
  ],
  [
    "a claim that the voters have chosen has no rival",
    { local: claimed({ epoch: 0, rank: 1 }), facts: { ...rivalTo(5_000), plan: majority } },
    "start",
  ],
  [
    "… is never too late within its window",
    { local: claimed({ epoch: 0 }), facts: { plan: majority, wall: due + minute } },
    "start",
  ],
  [
    "… and is missed after it",
    { local: claimed({ epoch: 0 }), facts: { plan: majority, wall: due + 61 * minute } },
    "close (window) as missed",
  ],
  [
    "… which is short if the job catches nothing up",
    { local: claimed({ epoch: 0 }), facts: { plan: catchesNothingUp, wall: due + 31_000 } },
    "close (window) as missed",
  ],
  [
    "a claim without a vote is taken back when the job becomes a majority job",
    { local: claimed(), facts: { plan: majority } },
    "let go (job-changed), again",
  ],
  [
    "an earlier run of the job skips the order",
    { local: claimed(), facts: { overlap: "skip" } },
    "close (overlap) as skipped",
  ],
  [
    "an earlier run of the job holds the order back",
    { local: claimed(), facts: { overlap: "wait" } },
    "hold for overlap",
  ],
  [
    "a newer tick replaces the attempt that this peer has claimed",
    {
      local: claimed(),
      attempt: 2,
      facts: { plan: repeated, isReporter: false, isInProgress: true, replacedAt: due },
    },
    "close (replaced) as cancelled",
  ],
  [
    "a newer tick replaces an attempt that another peer has claimed, and this peer reports it",
    { attempt: 2, facts: { plan: repeated, isInProgress: true, replacedAt: due } },
    "close (replaced) as cancelled",
  ],
  [
    "… and another peer reports it",
    { attempt: 2, facts: { plan: repeated, isReporter: false, isInProgress: true, replacedAt: due } },
    "wait",
  ],
  [
    "a newer tick will replace the attempt while it waits for another peer's claim",
    {
      attempt: 2,
      facts: {
        plan: repeated,
        isInProgress: true,
        replacedAt: due + 700,
        rival: { claim: claimOf(undefined), until: Infinity },
      },
    },
    "wait 700",
  ],
  [
    "an earlier run of the job is replaced",
    { local: claimed(), facts: { overlap: "replace" } },
    "hold for overlap and replace",
  ],
  [
    "without a free slot in its pool the claim is held",
    { local: claimed(), facts: { hasNoSlot: true } },
    "hold for pool",
  ],
  [
    "a claim that waited for other runs of its job joins its pool's queue before it starts",
    { local: claimed({ waiting: "overlap" }), facts: { joinsPool: true } },
    "hold for pool",
  ],
  [
    "without a free place the claim is held",
    { local: claimed(), facts: { hasNoPlace: true } },
    "hold for capacity",
  ],
];

for (const [title, cases] of Object.entries({ unclaimed, closing, asked, chosen, holding })) {
  describe(`an order that is ${title}`, () => {
    for (const [rule, one, expected] of cases)
      test(rule, () => assert.equal(describeDecision(decided(one)), expected));
  });
}

describe("a claim of a peer that may no longer run the order is taken back", () => {
  const reasons: [Eligibility, string][] = [
    ["clock", "clock"],
    ["draining", "draining"],
    ["untargeted", "job-changed"],
  ];
  for (const [eligibility, reason] of reasons) {
    test(eligibility, () => {
      const decision = decided({ local: claimed(), facts: { eligibility } });
      assert.equal(describeDecision(decision), `let go (${reason}), wait 500`);
    });
  }
});

function orderAt(local: LocalStage): Order {
  const tick = tickAt(due);
  return {
    key: orderKey(job, tick, 1, "0"),
    job,
    tick,
    instant: due,
    isChained: false,
    attempt: 1,
    slot: "0",
    of: 1,
    retriedFrom: undefined,
    round: 0,
    due,
    weight: 1,
    trigger: "schedule",
    requested: undefined,
    declined: new Set(),
    ranks: [],
    memberHashes: undefined,
    local,
    chosen: undefined,
    tries: 0,
  };
}

describe("an order's local stage", () => {
  const stages: readonly LocalStage[] = [noStage, asking, { stage: "electing" }, claiming, claimed()];
  const legal = new Set([
    "none none",
    "none asking",
    "none electing",
    "none claiming",
    "asking asking",
    "asking none",
    "electing none",
    "claiming claimed",
    "claiming none",
    "claimed claimed",
    "claimed none",
  ]);

  for (const from of stages) {
    for (const to of stages) {
      const isLegal = legal.has(`${from.stage} ${to.stage}`);
      test(`${isLegal ? "may" : "may not"} go from ${from.stage} to ${to.stage}`, () => {
        const book = createBook();
        const order = orderAt(from);
        if (from.stage === "claiming" || from.stage === "claimed") {
          book.claims.add(order);
          book.claimedWeight += order.weight;
        }
        if (isLegal) transition(book, order, to);
        else assert.throws(() => transition(book, order, to), AssertionFailed);
        assert.equal(order.local, isLegal ? to : from);
      });
    }
  }

  test("puts each order that holds a claim into exactly the index that says what the claim waits for", () => {
    const book = createBook();
    const order = orderAt(noStage);
    const sizes = (): number[] => [book.claims.size, book.capacityQueue.size, book.overlapQueue.size];
    transition(book, order, claiming);
    assert.deepEqual(sizes(), [1, 0, 0]);
    transition(book, order, claimed({ waiting: "capacity" }));
    assert.deepEqual(sizes(), [0, 1, 0]);
    transition(book, order, claimed({ waiting: "overlap" }));
    assert.deepEqual(sizes(), [0, 0, 1]);
    transition(book, order, noStage);
    assert.deepEqual(sizes(), [0, 0, 0]);
  });

  test("can't leave an index that the order was never in", () => {
    const order = orderAt(claimed());
    assert.throws(() => transition(createBook(), order, noStage), AssertionFailed);
  });
});
