/** Ticks that go from peer to peer (`target.rolling`): the rules (core/job/rolling.ts), and in cores (INTERFACE, target). */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { dueInTurn, placesOf, rollingOf, turnOf, type SlotNow } from "../src/core/job/rolling.ts";
import { finalWordOf, storyOf } from "../src/core/records/records.ts";
import { describeTick } from "../src/core/records/why.ts";
import { isTickOver } from "../src/core/claims/slots.ts";
import { slotsInOrder } from "../src/core/job/slots.ts";
import { pendingOf } from "../src/core/view.ts";
import type { JobId, PeerId, TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { noon, someRecord } from "./kit/contract/disk.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;
const minute = 60 * second;

describe("how many peers run a rolling tick at once", () => {
  const cases: [what: string, max: number | `${number}%` | undefined, peers: number, expected: number][] = [
    ["one by default", undefined, 10, 1],
    ["so many", 3, 10, 3],
    ["a share of them", "20%", 10, 2],
    ["a share is rounded down", "20%", 14, 2],
    ["but never to none", "20%", 3, 1],
    ["all of them", "100%", 7, 7],
  ];
  for (const [what, max, peers, expected] of cases)
    it(what, () => assert.equal(placesOf(rollingOf(max === undefined ? {} : { max }), peers), expected));
});

describe("the turn of a slot", () => {
  const due = 1_000_000;
  /**
   * `.` to come, `~` its peer is away, `o` on, `v` succeeded, `x` failed, `-` skipped; those that are over ended at `due + 10
   * s`.
   */
  const slotsOf = (text: string): SlotNow[] =>
    [...text].map((letter) => {
      const at = due + 10_000;
      if (letter === "o") return { kind: "on" };
      if (letter === "." || letter === "~") return { kind: "waiting", isAway: letter === "~" };
      return { kind: "over", ran: letter !== "-", isFailure: letter === "x", at };
    });
  const cases: [
    what: string,
    slots: string,
    place: number,
    rolling: Parameters<typeof rollingOf>[0],
    expected: string,
  ][] = [
    ["the first goes with the tick", "....", 0, { max: 1 }, "go"],
    ["the next waits for it", "....", 1, { max: 1 }, "wait"],
    ["… also while it runs", "o...", 1, { max: 1 }, "wait"],
    ["… and goes when it has ended", "v...", 1, { max: 1 }, "go"],
    ["one that was skipped takes no place", "-...", 1, { max: 1 }, "go"],
    ["with two places two go", "....", 1, { max: 2 }, "go"],
    ["… and not the third", "....", 2, { max: 2 }, "wait"],
    ["the third goes when the second has ended", "ov..", 2, { max: 2 }, "go"],
    ["a peer that is away lets the next one go first", "~...", 1, { max: 1 }, "go"],
    ["one that is back waits for the one that went first", ".o..", 0, { max: 1 }, "wait"],
    ["after a pause", "v...", 1, { max: 1, pause: "5s" }, "go"],
    ["but not during it", "v...", 1, { max: 1, pause: "30s" }, "wait until 40"],
    ["no pause follows one that was skipped", "-...", 1, { max: 1, pause: "30s" }, "go"],
    ["after a failure the rest is stopped", "x...", 2, {}, "stopped"],
    ["… those that run beside it go on", "xo..", 2, { max: 2 }, "stopped"],
    ["as many failures as it says", "x...", 1, { stopAfter: 2 }, "go"],
    ["… are too many", "xx..", 2, { stopAfter: 2 }, "stopped"],
    ["with stopAfter 0 never", "xxx.", 3, { stopAfter: 0 }, "go"],
  ];
  for (const [what, slots, place, rolling, expected] of cases)
    it(what, () => {
      const turn = turnOf(rollingOf(rolling), slotsOf(slots), place, due + 20_000);
      const until =
        turn.kind === "wait" && turn.until < Infinity ? ` until ${(turn.until - due) / 1_000}` : "";
      assert.equal(turn.kind + until, expected);
    });

  const dues: [
    what: string,
    slots: string,
    place: number,
    rolling: Parameters<typeof rollingOf>[0],
    s: number,
  ][] = [
    ["the first is due with its tick", "....", 0, {}, 0],
    ["the second when the first has ended", "v...", 1, {}, 10],
    ["… and the pause has passed", "v...", 1, { pause: "30s" }, 40],
    ["with two places the second is due with its tick", "v...", 1, { max: 2 }, 0],
    ["… and the third when one has ended", "vo..", 2, { max: 2 }, 10],
    ["one that was skipped has no pause", "-...", 1, { pause: "30s" }, 10],
    ["after a peer that is away it is due with its tick", "~...", 1, {}, 0],
  ];
  for (const [what, slots, place, rolling, s] of dues)
    it(what, () => assert.equal(dueInTurn(rollingOf(rolling), slotsOf(slots), place, due) - due, s * 1_000));
});

type Spec = Parameters<Cores["put"]>[0];
const beat = "beat" as JobId;
const names = ["a", "b", "c", "d", "e"];

/** A few seconds before a tick, with the peers in the order of their turns. */
function beforeTick(
  rolling: NonNullable<NonNullable<Spec["target"]>["rolling"]>,
  spec: Partial<Spec> = {},
  options: ConstructorParameters<typeof Cores>[1] = { runMs: 10 * second },
): { cores: Cores; order: string[]; tick: TickId } {
  const cores = new Cores(names, options);
  cores.pass(minute);
  cores.put({
    id: beat,
    schedule: "@every 10m",
    command: "true",
    ...spec,
    target: { count: "all", rolling, ...spec.target },
  });
  cores.pass(10 * minute - (cores.wall(cores.now) % (10 * minute)) - 5 * second);
  const tick = `${new Date(cores.wall(cores.now) + 5 * second).toISOString().slice(0, 19)}Z` as TickId;
  return { cores, order: slotsInOrder(beat, tick, names), tick };
}

function recordsOf(cores: Cores, peer: string, tick: TickId): RunRecord[] {
  return cores.recordsOf(peer).filter((record) => record.tick === tick);
}

function storiesOf(cores: Cores, peer: string, tick: TickId): string {
  const bySlot = Map.groupBy(recordsOf(cores, peer, tick), ({ slot }) => slot);
  return slotsInOrder(beat, tick, names)
    .map((slot) => {
      const { state, reason } = storyOf(bySlot.get(slot) ?? []) ?? {};
      return state === "skipped" ? reason : state;
    })
    .join(" ");
}

/** When each peer's run began, seconds after the tick. */
function beginnings({ cores, order, tick }: ReturnType<typeof beforeTick>): (number | undefined)[] {
  return order.map((peer) => {
    const start = cores.starts.find((one) => one.peer === peer && one.tick === tick);
    return start === undefined ? undefined : (cores.wall(start.at) - Date.parse(tick)) / second;
  });
}

/** The most runs that were on at once, without those of a peer that has died meanwhile. */
function mostAtOnce(cores: Cores, runMs: number, dead = ""): number {
  const starts = cores.starts.filter(({ peer }) => peer !== dead);
  return Math.max(
    ...starts.map(({ at }) => starts.filter((one) => one.at <= at && at < one.at + runMs).length),
  );
}

test("a rolling tick goes from peer to peer in order of rank, one at a time", () => {
  const world = beforeTick({});
  const { cores, order, tick } = world;
  cores.pass(2 * minute);
  assert.deepEqual(
    cores.starts.map(({ peer }) => peer),
    order,
  );
  assert.equal(mostAtOnce(cores, 10 * second), 1);
  for (const [place, at] of beginnings(world).entries())
    assert.ok(at !== undefined && at >= place * 10 && at < place * 10 + 5, `place ${place} began at ${at} s`);
  for (const peer of names) {
    assert.equal(storiesOf(cores, peer, tick), "succeeded succeeded succeeded succeeded succeeded");
    assert.equal(cores.state(peer).book.orders.size, 0);
  }
  const due = recordsOf(cores, "a", tick).map((record) => (record.startedAt ?? 0) - record.due);
  assert.ok(
    due.every((ms) => ms < 5 * second),
    "each is due when its turn comes, so none counts as late",
  );
});

test("with max 2 no more than two run at once", () => {
  const { cores } = beforeTick({ max: 2 });
  cores.pass(2 * minute);
  assert.equal(cores.starts.length, 5);
  assert.equal(mostAtOnce(cores, 10 * second), 2);
});

test("the pause passes between the runs", () => {
  const world = beforeTick({ pause: "20s" });
  world.cores.pass(4 * minute);
  for (const [place, at] of beginnings(world).entries())
    assert.ok(at !== undefined && at >= place * 30 && at < place * 30 + 5, `place ${place} began at ${at} s`);
});

test("after as many failures as stopAfter says the rest is skipped, and the tick has failed", () => {
  const { cores, order, tick } = beforeTick({ stopAfter: 2 });
  cores.exitCodeOf = ({ peer }) => (peer === order[1] || peer === order[2] ? 1 : 0);
  cores.pass(2 * minute);
  for (const peer of names) {
    assert.equal(storiesOf(cores, peer, tick), "succeeded failed failed stopped stopped");
    assert.equal(storyOf(recordsOf(cores, peer, tick))?.state, "failed");
    assert.equal(isTickOver(cores.state(peer), beat, tick), true);
  }
});

test("a peer that fails is repeated before the next one has its turn", () => {
  const { cores, order, tick } = beforeTick({}, { retry: { attempts: 1, backoff: "20s" } });
  cores.exitCodeOf = ({ peer, env }) => (peer === order[1] && env["CICADA_ATTEMPT"] === "1" ? 1 : 0);
  cores.pass(4 * minute);
  assert.deepEqual(
    cores.starts.map(({ peer, env }) => `${order.indexOf(peer)}.${env["CICADA_ATTEMPT"]}`),
    ["0.1", "1.1", "1.2", "2.1", "3.1", "4.1"],
  );
  assert.equal(storyOf(recordsOf(cores, "a", tick))?.state, "succeeded");
});

test("whoever is alive carries it on: a peer that dies in its turn is lost, and one that dies before it is skipped", () => {
  const { cores, order, tick } = beforeTick({ stopAfter: 0 }, {}, { runMs: 20 * second });
  cores.pass(10 * second);
  cores.kill(order[0] ?? "");
  cores.kill(order[2] ?? "");
  cores.pass(4 * minute);
  const alive = names.filter((name) => name !== order[0] && name !== order[2]);
  for (const peer of alive)
    assert.equal(storiesOf(cores, peer, tick), "lost succeeded offline succeeded succeeded");
  assert.equal(mostAtOnce(cores, 20 * second, order[0]), 1);
});

test("the death of a peer in its turn is a failure, which stops the rest by default: the tick has failed", () => {
  const { cores, order, tick } = beforeTick({});
  cores.pass(8 * second);
  cores.kill(order[0] ?? "");
  cores.pass(2 * minute);
  for (const peer of order.slice(1)) {
    assert.equal(storiesOf(cores, peer, tick), "lost stopped stopped stopped stopped");
    const described = describeTick(tick, recordsOf(cores, peer, tick), (id) => `host-${id}`);
    assert.equal(described.state, "failed");
    assert.equal(described.why[0], "It has 5 runs: 1 lost, 4 skipped.");
  }
});

test("a tick that was stopped because of a dead peer runs what runs after failures, and nothing that runs after a success", () => {
  const { cores, order, tick } = beforeTick({});
  cores.put({ id: "alarm", command: "true", after: { jobs: [beat], on: "failure" } });
  cores.put({ id: "report", command: "true", after: { jobs: [beat] } });
  cores.pass(8 * second);
  cores.kill(order[0] ?? "");
  cores.pass(2 * minute);
  assert.deepEqual(
    cores.starts.filter(({ run }) => run.startsWith("alarm@")).map((start) => start.tick),
    [tick],
  );
  assert.ok(cores.starts.every(({ run }) => !run.startsWith("report@")));
  const ofReport = cores.recordsOf(order[1] ?? "").find((record) => record.job === "report");
  assert.equal(`${ofReport?.state} ${ofReport?.reason}`, "skipped parent beat failed");
});

test("ticks that were stopped count as failed for pauseAfterFailures, also if the run that was lost was well", () => {
  const { cores, order, tick } = beforeTick({}, { pauseAfterFailures: 2 }, { runMs: 40 * second });
  cores.pass(8 * second);
  const [first = ""] = order;
  cores.split([first], order.slice(1));
  for (const other of order.slice(1)) {
    cores.feed(other as PeerId, { kind: "linkDown", peer: first as PeerId, why: "reset" });
    for (const times of [1, 2])
      cores.feed(other as PeerId, { kind: "redialRefused", peer: first as PeerId, times });
  }
  cores.pass(20 * second);
  assert.equal(storiesOf(cores, order[1] ?? "", tick), "lost stopped stopped stopped stopped");
  cores.heal();
  cores.link(first as PeerId);
  cores.pass(minute);
  for (const peer of order) {
    assert.equal(storiesOf(cores, peer, tick), "succeeded stopped stopped stopped stopped");
    assert.equal(finalWordOf(recordsOf(cores, peer, tick))?.state, "failed");
  }
  assert.equal(cores.pauses.get(beat)?.size ?? 0, 0, "one tick has failed");
  cores.exitCodeOf = () => 1;
  cores.pass(10 * minute);
  const [pause, ...others] = cores.pauses.get(beat)?.values() ?? [];
  assert.equal(pause?.failedTick, Date.parse(tick) + 10 * minute);
  assert.deepEqual(others, []);
});

describe("the final word about a tick that goes from peer to peer", () => {
  const set = ["a", "b", "c"];
  const ran = { startedAt: noon, finishedAt: noon + 1_000 };
  const cases: [what: string, slots: readonly Partial<RunRecord>[], expected: string][] = [
    ["one failed and the rest was stopped", [{ state: "failed", ...ran }], "failed: stopped"],
    ["one was lost and the rest was stopped", [{ state: "lost", ...ran }], "failed: stopped"],
    ["one timed out and the rest was stopped", [{ state: "timeout", ...ran }], "failed: stopped"],
    ["the one that was taken for lost was well", [{ state: "succeeded", ...ran }], "failed: stopped"],
    [
      "one could not be started and the rest was stopped",
      [{ state: "failed", ...ran, reason: "not started: no such file" }],
      "failed: not started: no such file",
    ],
    [
      "one runs on",
      [
        { state: "lost", ...ran },
        { state: "running", startedAt: noon },
      ],
      "running",
    ],
    [
      "what was recorded as stopped did run",
      [
        { state: "lost", ...ran },
        { state: "succeeded", ...ran },
        { state: "succeeded", ...ran },
      ],
      "lost",
    ],
    [
      "one was lost and others were away",
      [
        { state: "lost", ...ran },
        { state: "skipped", reason: "offline" },
        { state: "skipped", reason: "offline" },
      ],
      "lost",
    ],
  ];
  for (const [what, slots, expected] of cases)
    it(`${what}: ${expected}`, () => {
      const records = set.flatMap((slot, place) => {
        const ofSlot = { slot, of: set.length, set, peer: slot as PeerId };
        const stopped = someRecord({ ...ofSlot, peer: "d" as PeerId, state: "skipped", reason: "stopped" });
        const own = slots[place];
        if (own === undefined) return [stopped];
        return place === 0
          ? [someRecord({ ...ofSlot, ...own })]
          : [stopped, someRecord({ ...ofSlot, ...own })];
      });
      const { state, reason } = finalWordOf(records) ?? {};
      assert.equal(`${state}${reason === undefined ? "" : `: ${reason}`}`, expected);
    });
});

test("a peer that is awaited lets the others go first, and has its turn when it is back", () => {
  const { cores, order, tick } = beforeTick({}, { target: { offline: "5m" } });
  cores.kill(order[0] ?? "");
  cores.pass(2 * minute);
  assert.deepEqual(
    cores.starts.map(({ peer }) => peer),
    order.slice(1),
  );
  const [pending] = pendingOf(cores.state(order[1] ?? ""), cores.state(order[1] ?? "").now, beat);
  assert.match(pending?.why ?? "", /is away; its run is skipped unless it is back by/);
  cores.up(order[0] as PeerId);
  cores.pass(minute);
  assert.equal(cores.starts.at(-1)?.peer, order[0]);
  assert.equal(storiesOf(cores, "a", tick), "succeeded succeeded succeeded succeeded succeeded");
});

test("a rolling tick that takes longer than its window still reaches every peer", () => {
  const { cores, tick } = beforeTick(
    {},
    { catchUp: { policy: "none" }, schedule: "0 * * * *" },
    { runMs: 2 * minute },
  );
  cores.pass(60 * minute - (cores.wall(cores.now) % (60 * minute)) + 11 * minute);
  assert.equal(cores.starts.length, 5);
  assert.equal(cores.state("a").book.orders.size, 0);
  assert.ok(tick.length > 0);
});

test("an edit of the job stops nothing that rolls, and a pause holds back the next ones until it ends", () => {
  const { cores, order, tick } = beforeTick({});
  cores.pass(20 * second);
  const [plan] = cores.state("a").jobs.plans.values();
  assert.ok(plan);
  const { id, spec } = plan.job;
  cores.put({ ...spec, id }, { ...plan.job, pauses: [{ by: "ann", at: 0 }] });
  cores.pass(minute);
  assert.equal(cores.starts.length, 2);
  cores.put({ ...spec, id }, { ...plan.job, resumedAt: cores.wall(cores.now) });
  cores.pass(minute);
  assert.deepEqual(
    cores.starts.map(({ peer }) => peer),
    order,
  );
  assert.equal(storyOf(recordsOf(cores, "b", tick))?.state, "succeeded");
});

test("all are restarted in the middle of a rolling tick: what has run is over, and the rest goes on in turn", () => {
  const { cores, order, tick } = beforeTick({ stopAfter: 0 });
  cores.pass(18 * second);
  assert.equal(cores.starts.length, 2);
  const kept = names.map((name) => ({
    peer: name as PeerId,
    records: cores.recordsOf(name),
    watermarks: cores.watermarksOf(name),
  }));
  for (const { peer } of kept) cores.kill(peer);
  cores.pass(2 * second);
  for (const { peer, ...loaded } of kept)
    cores.up(peer, {
      ...loaded,
      expected: names.filter((name) => name !== peer),
      lastAlive: cores.wall(cores.now) - 2 * second,
    });
  cores.pass(3 * minute);
  assert.deepEqual(
    cores.starts.map(({ peer }) => peer),
    order,
  );
  assert.equal(storiesOf(cores, "a", tick), "succeeded lost succeeded succeeded succeeded");
});

test("a run holds its place although the other side of a split has skipped its peer's slot", () => {
  const cores = new Cores(["a", "b", "c"], { runMs: Infinity });
  cores.put({
    id: "roll",
    schedule: "@every 1h",
    command: "true",
    target: { count: "all", rolling: { max: 1, stopAfter: 0 } },
  });
  cores.pass(61 * minute);
  const [first] = cores.starts;
  assert.ok(first !== undefined && cores.starts.length === 1);
  const running = cores.recordsOf(first.peer).find(({ state }) => state === "running");
  const others = (["a", "b", "c"] as PeerId[]).filter((peer) => peer !== first.peer);
  assert.ok(running !== undefined && others[0] !== undefined);
  const { startedAt: _, ...part } = running;
  const skipped = {
    ...part,
    peer: others[0],
    state: "skipped",
    reason: "offline",
    finishedAt: cores.now,
  } as const;
  for (const peer of others) cores.learn(peer, [skipped]);
  cores.pass(2 * minute);
  assert.equal(cores.starts.length, 1);
  cores.end("roll", 0);
  cores.pass(minute);
  assert.equal(cores.starts.length, 2);
});
