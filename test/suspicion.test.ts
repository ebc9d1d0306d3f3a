/** When silence means death: tables of cases for the limits, the hears-graph and the clocks. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { checkedJob } from "../src/core/checks/job.ts";
import { inSight, noteAcks } from "../src/core/members/members.ts";
import { stretch } from "../src/core/members/members-state.ts";
import { tooFarAheadToWrite } from "../src/core/members/clocks.ts";
import {
  clockOffset,
  clockSamplesKept,
  componentOf,
  deadAfterMs,
  stretchMax,
  stretchOf,
  suspectAfterMs,
  type ClockSample,
} from "../src/core/members/suspicion.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import { Cores } from "./kit/cores.ts";

/** `"a": "bc"` means: a's heartbeat is fresh and says that a hears b and c. */
function hearsGraph(words: Readonly<Record<string, string>>): Map<PeerId, Set<PeerId>> {
  return new Map(
    Object.entries(words).map(([peer, heard]) => [peer as PeerId, new Set([...heard] as PeerId[])]),
  );
}

function component(self: string, words: Readonly<Record<string, string>>): string {
  return [...componentOf(self as PeerId, hearsGraph(words))].toSorted().join("");
}

describe("a peer that finds itself slow waits longer before it suspects another", () => {
  const cases: [lagMs: number, lateAcks: number, times: number][] = [
    [0, 0, 1],
    [249, 0, 1],
    [250, 0, 2],
    [0, 1, 2],
    [600, 2, 5],
    [60_000, 0, stretchMax],
    [0, 1_000, stretchMax],
    [-50, -3, 1],
  ];
  for (const [lagMs, lateAcks, times] of cases) {
    test(`lag ${lagMs} ms and ${lateAcks} late acks wait ${times} times as long`, () => {
      assert.equal(stretchOf({ lagMs, lateAcks }), times);
    });
  }
});

test("a member is suspect after 5 s of silence, longer when the observer is slow", () => {
  assert.equal(suspectAfterMs(1), 5_000);
  assert.equal(suspectAfterMs(8), 40_000);
});

describe("a member outside the component is dead later in a larger mesh", () => {
  const cases: [members: number, times: number, ms: number][] = [
    [1, 1, 10_000],
    [10, 1, 10_000],
    [11, 1, 15_000],
    [50, 1, 15_000],
    [51, 1, 20_000],
    [5_000, 1, 20_000],
    [3, 8, 80_000],
  ];
  for (const [members, times, ms] of cases) {
    test(`${members} members, stretch ${times}: ${ms} ms`, () => {
      assert.equal(deadAfterMs(members, times), ms);
    });
  }
});

describe("a member counts as connected while any peer in reach hears it", () => {
  const cases: [title: string, self: string, words: Record<string, string>, connected: string][] = [
    ["a lone peer is connected with itself", "a", {}, "a"],
    ["a peer is connected with those that it hears", "a", { a: "bc", b: "ac", c: "ab" }, "abc"],
    [
      "a cut between a and b alone splits nothing while c hears both: a's side",
      "a",
      { a: "c", c: "ab" },
      "abc",
    ],
    [
      "a cut between a and b alone splits nothing while c hears both: b's side",
      "b",
      { b: "c", c: "ab" },
      "abc",
    ],
    ["a host that no peer hears any more is outside", "a", { a: "b", b: "a" }, "ab"],
    ["two halves: each sees its own half", "a", { a: "b", b: "a", c: "d", d: "c" }, "ab"],
    ["a one-way cut between two: the one that still hears keeps the other", "a", { a: "b", b: "" }, "ab"],
    ["a one-way cut between two: the one that hears nothing is alone", "b", { b: "" }, "b"],
    [
      "a peer that sends but hears no other is connected with those that hear it",
      "a",
      { a: "bc", b: "ac", c: "" },
      "abc",
    ],
    ["a peer is connected with each that says that it hears the peer", "a", { a: "", b: "a" }, "ab"],
  ];
  for (const [title, self, words, connected] of cases) {
    test(title, () => assert.equal(component(self, words), connected));
  }

  test("being connected is mutual if both have the same heartbeats", () => {
    const name = fc.constantFrom(..."abcdef");
    const words = fc.dictionary(
      name,
      fc.array(name, { maxLength: 4 }).map((heard) => heard.join("")),
    );
    fc.assert(
      fc.property(words, name, name, (graph, a, b) => {
        assert.equal(component(a, graph).includes(b), component(b, graph).includes(a));
      }),
    );
  });

  test("one more fresh heartbeat never disconnects a peer", () => {
    const name = fc.constantFrom(..."abcdef");
    const heard = fc.array(name, { maxLength: 4 }).map((names) => names.join(""));
    fc.assert(
      fc.property(fc.dictionary(name, heard), name, heard, name, (graph, speaker, more, self) => {
        const before = component(self, graph);
        const after = component(self, { ...graph, [speaker]: (graph[speaker] ?? "") + more });
        for (const peer of before) assert.ok(after.includes(peer), `${peer} was lost`);
      }),
    );
  });
});

/** An exchange with a peer whose clock is `ahead`, that took `there` and `back` ms on the way. */
function exchange(at: number, ahead: number, there: number, back: number, held = 40): ClockSample {
  return {
    sentAt: at,
    theirHeardAt: at + there + ahead,
    theirSentAt: at + there + held + ahead,
    heardAt: at + there + held + back,
  };
}

describe("how far another peer's clock is off is read from exchanged heartbeats", () => {
  test("without an exchange there is no offset", () => assert.equal(clockOffset([]), undefined));

  test("a symmetric exchange gives the exact offset, however long the answer was held", () => {
    assert.equal(clockOffset([exchange(1_000, 2_500, 7, 7, 990)]), 2_500);
    assert.equal(clockOffset([exchange(1_000, -300, 20, 20)]), -300);
  });

  test("the quickest exchange counts, not the last one or the mean", () => {
    const samples = [exchange(0, 100, 400, 2), exchange(1_000, 100, 1, 1), exchange(2_000, 100, 3, 900)];
    assert.equal(clockOffset(samples), 100);
  });

  test("only the last eight exchanges count", () => {
    const old = exchange(0, 9_000, 0, 0);
    const recent = Array.from({ length: clockSamplesKept }, (_, i) => exchange(1_000 * i, 50, 5, 5));
    assert.equal(clockOffset([old, ...recent]), 50);
  });

  test("an exchange during which a clock was set back doesn't count", () => {
    const stepped: ClockSample = {
      sentAt: 10_000,
      theirHeardAt: 10_001,
      theirSentAt: 10_002,
      heardAt: 4_000,
    };
    assert.equal(clockOffset([stepped]), undefined);
    assert.equal(clockOffset([stepped, exchange(5_000, 10, 4, 4)]), 10);
  });

  test("the error is at most half the round trip, whatever the delays", () => {
    const delay = fc.integer({ min: 0, max: 5_000 });
    fc.assert(
      fc.property(fc.integer({ min: -60_000, max: 60_000 }), delay, delay, (ahead, there, back) => {
        const offset = clockOffset([exchange(0, ahead, there, back)]);
        assert.ok(offset !== undefined && Math.abs(offset - ahead) <= (there + back) / 2);
      }),
    );
  });
});

test("each end of a chain of four peers counts the other end as connected, until the chain breaks", () => {
  const cores = new Cores(["a", "b", "c", "d"]);
  cores.cutLink("a", "c");
  cores.cutLink("a", "d");
  cores.cutLink("b", "d");
  cores.pass(30_000);
  assert.ok(inSight(cores.state("a"), "d" as PeerId));
  assert.ok(inSight(cores.state("d"), "a" as PeerId));
  cores.cutLink("c", "d");
  cores.pass(30_000);
  assert.equal(cores.state("a").members.byId.get("d" as PeerId)?.state, "dead");
  assert.ok(inSight(cores.state("a"), "c" as PeerId));
});

describe("a peer whose clock is over a minute ahead of the right ones refuses to write the table", () => {
  for (const [aheadMs, refused] of [
    [59_000, false],
    [61_000, true],
    [-61_000, false],
  ] as const) {
    test(`${aheadMs / 1_000} s ahead: ${refused ? "refused" : "written"}`, () => {
      const cores = new Cores(["a", "b", "c"], { clockAhead: { b: aheadMs } });
      cores.pass(5_000);
      assert.equal(tooFarAheadToWrite(cores.state("b")) !== undefined, refused);
      assert.equal(tooFarAheadToWrite(cores.state("a")), undefined);
      if (!refused) return;
      const spec = checkedJob({ id: "beat" as JobId, schedule: "@daily", command: "true" });
      cores.ask("b", { kind: "put-job", spec, mode: "create", by: "ann" });
      const [answer] = cores.answers;
      assert.ok(answer?.kind === "refused" && answer.error.code === "CLOCK_AHEAD");
    });
  }
});

describe("acknowledgements of this peer's heartbeats", () => {
  for (const [what, trips, expected] of [
    ["in time say nothing against it", [5, 40, 900], 1],
    ["that one member sends late are that member's fault", [5, 40, 9_000], 1],
    ["that come late from most members show that it is slow itself", [9_000, 40, 9_000], 2],
    ["that come late from all stretch its limits for each", [3_000, 3_000, 3_000], 4],
  ] as const) {
    test(what, () => {
      const cores = new Cores(["a", "b", "c", "d"]);
      const state = cores.state("a");
      // One exchange with each of the others, of which the way there and back took so long.
      for (const [index, member] of [...state.members.byId.values()].entries()) {
        const heardAt = state.now.wall;
        const sentAt = heardAt - (trips[index] ?? 0) - 500;
        member.clockSamples.push({ sentAt, theirHeardAt: sentAt, theirSentAt: sentAt + 500, heardAt });
      }
      noteAcks(state);
      assert.equal(stretch(state), expected);
      cores.pass(3_000);
      assert.equal(stretch(state), 1, "it is over as soon as they come in time again");
    });
  }

  test("of members that have fallen silent don't count", () => {
    const cores = new Cores(["a", "b", "c"]);
    const state = cores.state("a");
    for (const member of state.members.byId.values()) {
      const { wall } = state.now;
      member.clockSamples.push({
        sentAt: wall - 9_000,
        theirHeardAt: wall,
        theirSentAt: wall,
        heardAt: wall,
      });
    }
    cores.kill("b");
    cores.kill("c");
    cores.pass(7_000);
    assert.equal(stretch(state), 1);
  });
});
