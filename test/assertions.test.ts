/** Assertions about orders, members and votes; each can fail. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AssertionFailed } from "../src/errors.ts";
import { launch } from "../src/core/claims/launch.ts";
import { removeOrder } from "../src/core/claims/order-book.ts";
import type { Order } from "../src/core/claims/order.ts";
import type { State } from "../src/core/state.ts";
import { raiseVoteCount, raiseVotesStored } from "../src/core/voting/memory.ts";
import { accept, assertBinds, promise, type Ballot, type Vote } from "../src/core/voting/paxos.ts";
import { assertFollows, firstEpoch, hashOfEpoch } from "../src/core/voting/roster.ts";
import { createVoting } from "../src/core/voting/voting-state.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { Cores } from "./kit/cores.ts";
import { settle } from "../src/core/records/history.ts";

function ballot(round: number): Ballot {
  return { round, peer: "a" as PeerId, incarnation: 1 };
}

function bound(promised: number, accepted?: number): Vote<string> {
  return {
    promised: ballot(promised),
    accepted: accepted === undefined ? undefined : { ballot: ballot(accepted), value: "x" },
  };
}

/** A peer with one place: a run of the first job holds it, and a manual order of the second job waits for it. */
function fullPeer(): { cores: Cores; state: State; waiting: Order } {
  const cores = new Cores(["a"], { capacity: 1, runMs: Infinity });
  cores.put({ id: "first", command: "true" });
  cores.put({ id: "second", command: "true" });
  for (const id of ["first", "second"]) {
    cores.ask("a", { kind: "run-job", id: id as never, by: "eve" });
    cores.pass(1_000);
  }
  const state = cores.state("a");
  const [waiting] = state.book.capacityQueue;
  assert.ok(waiting !== undefined && state.book.orders.has(waiting.key));
  return { cores, state, waiting };
}

describe("the order book and the runs", () => {
  /** What is corrupted, and what the next step then asserts. */
  const corrupted: [what: string, spoil: (book: State["book"], order: Order) => void, asserted: RegExp][] = [
    ["an order is missing from its job's index", (book, { job }) => book.byJob.delete(job), /as many orders/],
    [
      "an order is in the index of another job",
      (book, order) => book.byJob.set("first" as never, new Set([order])) && book.byJob.delete(order.job),
      /not in its job's index/,
    ],
    [
      "an order is in its job's index but not in the book",
      (book, { key }) => book.orders.delete(key),
      /as many orders as the book/,
    ],
    [
      "a first attempt is among the retries",
      (book, order) => book.retries.set(order.job, new Set([order])),
      /among the retries if and only if/,
    ],
    [
      "a retry is not in the book",
      (book, order) => book.retries.set(order.job, new Set([{ ...order, attempt: 2 }])),
      /a retry that is not in the book/,
    ],
    ["a requested order is not counted", (book) => book.requestedCount--, /are counted/],
  ];
  for (const [what, spoil, asserted] of corrupted) {
    test(`asserted in the simulator when ${what}`, () => {
      const { cores, state, waiting } = fullPeer();
      spoil(state.book, waiting);
      assert.throws(() => cores.pass(2_000), failing(asserted));
    });
  }

  test("asserted in the simulator when an order that is over stays in the book", () => {
    const { cores, state, waiting } = fullPeer();
    settle(state.ledger.history, waiting);
    assert.throws(() => cores.pass(2_000), failing(/over, but still in the book/));
  });

  test("asserted when an order is removed that only the book or only its job's index has", () => {
    const { state, waiting } = fullPeer();
    state.book.byJob.get(waiting.job)?.delete(waiting);
    assert.throws(() => removeOrder(state, waiting), failing(/if and only if/));
    const another = fullPeer();
    another.state.book.orders.delete(another.waiting.key);
    assert.throws(() => removeOrder(another.state, another.waiting), failing(/if and only if/));
  });

  test("asserted when more requested orders leave the book than entered it", () => {
    const { state, waiting } = fullPeer();
    state.book.requestedCount = 0;
    assert.throws(() => removeOrder(state, waiting), failing(/more requested orders/));
  });

  test("asserted when more runs are launched than the peer has places for", () => {
    const { state, waiting } = fullPeer();
    const plan = state.jobs.plans.get(waiting.job);
    assert.ok(plan !== undefined);
    assert.equal(state.book.runs.size, 1);
    assert.throws(() => launch(state, plan, waiting), failing(/more runs than/));
  });
});

function failing(what: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof AssertionFailed && what.test(error.message);
}

describe("a voter's promises only grow", () => {
  const cases: [what: string, before: Vote<string> | undefined, after: Vote<string>, holds: boolean][] = [
    ["a first promise", undefined, bound(1), true],
    ["the same promise again", bound(2), bound(2), true],
    ["a higher promise keeps what was accepted", bound(2, 2), bound(3, 2), true],
    ["a lower promise", bound(2), bound(1), false],
    ["an accepted ballot above the promise", bound(1), bound(1, 2), false],
    ["an acceptance that is forgotten", bound(2, 2), bound(3), false],
  ];
  for (const [what, before, after, holds] of cases) {
    test(`${what}: ${holds ? "fine" : "asserted"}`, () => {
      if (holds) assertBinds(before, after);
      else assert.throws(() => assertBinds(before, after), AssertionFailed);
    });
  }

  test("every answer that the voter's rules give keeps this", () => {
    const rounds = [1, 2, 3];
    for (const before of [undefined, ...rounds.flatMap((round) => [bound(round), bound(round, round)])]) {
      for (const round of rounds) {
        assertBinds(before, promise(before, ballot(round)).vote);
        assertBinds(before, accept(before, ballot(round), "y").vote);
      }
    }
  });
});

describe("a voter's counts in one life", () => {
  test("votes given never shrink", () => {
    const { voter } = createVoting();
    assert.equal(raiseVoteCount(voter, 3), 3);
    assert.throws(() => raiseVoteCount(voter, -1), AssertionFailed);
  });

  test("a voter never stores more votes than it gave", () => {
    const { voter } = createVoting();
    raiseVoteCount(voter, 3);
    raiseVotesStored(voter, 3);
    assert.throws(() => raiseVotesStored(voter, 4), AssertionFailed);
  });
});

describe("an epoch of the chain follows its predecessor", () => {
  const first = firstEpoch("a" as PeerId);
  const second = { ...first, number: 1, from: 10, previous: hashOfEpoch(first) };

  test("as the first epoch and its successor do", () => {
    assertFollows(undefined, first);
    assertFollows(first, second);
  });

  for (const [what, epoch] of [
    ["a number is left out", { ...second, number: 2 }],
    ["it names another predecessor", { ...second, previous: "0".repeat(64) }],
    ["it begins no later", { ...second, from: first.from }],
  ] as const) {
    test(`asserted when ${what}`, () => {
      assert.throws(() => assertFollows(first, epoch), AssertionFailed);
    });
  }

  test("asserted when the first of the chain isn't a first epoch", () => {
    assert.throws(() => assertFollows(undefined, second), AssertionFailed);
  });
});

test("asserted when a member is known under an id that isn't its own", () => {
  const cores = new Cores(["a", "b", "c"]);
  const { byId } = cores.state("a").members;
  const other = byId.get("b" as PeerId);
  assert.ok(other !== undefined);
  byId.set("c" as PeerId, other);
  assert.throws(() => cores.pass(2_000), AssertionFailed);
});
