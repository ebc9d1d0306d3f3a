/** Jobs that run on each of their peers (`target.count: "all"`, `target.offline`), in cores (INTERFACE, target). */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { absenceOf, type Absence, type Presence } from "../src/core/job/offline.ts";
import { storyOf } from "../src/core/records/records.ts";
import { describeTick } from "../src/core/records/why.ts";
import { isTickOver } from "../src/core/claims/slots.ts";
import { jobNow, pendingOf } from "../src/core/view.ts";
import { instantOf, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import { ownCapabilities } from "../src/schema/protocol.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

describe("the slot of a peer that is away", () => {
  const due = 10 * hour;
  const cases: [what: string, presence: Presence, offlineMs: number, at: number, expected: Absence][] = [
    ["is decided when the tick is due, and not before", "away", 0, due - 1, "awaited"],
    ["is skipped at once by default", "away", 0, due, "offline"],
    ["is awaited as long as the job says", "away", hour, due + hour - 1, "awaited"],
    ["is skipped when that time is over", "away", hour, due + hour, "offline"],
    ["is skipped at once if the peer was forgotten", "forgotten", hour, due, "forgotten"],
    ["is its own once it is back", "there", 0, due + hour, "none"],
  ];
  for (const [what, presence, offlineMs, at, expected] of cases)
    it(what, () => assert.equal(absenceOf(presence, offlineMs, due, at), expected));
});

type Spec = Parameters<Cores["put"]>[0];
const beat = "beat" as JobId;
const base: Spec = { id: beat, schedule: "@every 1h", command: "true", target: { count: "all" } };

/** Peers a few seconds before a tick of the job, which is hourly unless the spec says otherwise. */
function beforeTick(
  names: readonly string[],
  spec: Partial<Spec> = {},
  options: ConstructorParameters<typeof Cores>[1] = { runMs: second },
): Cores {
  const cores = new Cores(names, options);
  cores.pass(minute);
  cores.put({ ...base, ...spec });
  cores.pass(hour - (cores.wall(cores.now) % hour) - 5 * second);
  return cores;
}

/** Each slot's story, as that peer tells it. */
function storiesOf(cores: Cores, peer: string, tick?: string): string[] {
  return [...Map.groupBy(cores.recordsOf(peer, tick), ({ slot }) => slot)]
    .map(([slot, records]) => {
      const { state, reason } = storyOf(records) ?? {};
      return `${slot} ${state}${state === "skipped" ? ` ${reason}` : ""}`;
    })
    .toSorted();
}

function startsOf(cores: Cores): string[] {
  return cores.starts.map(({ peer, env }) => `${peer}.${env["CICADA_ATTEMPT"]}`).toSorted();
}

test("a tick of a job with count all runs on every peer, on time and once", () => {
  const cores = beforeTick(["a", "b", "c", "d"]);
  cores.pass(10 * second);
  assert.deepEqual(startsOf(cores), ["a.1", "b.1", "c.1", "d.1"]);
  for (const { at, peer, run, env } of cores.starts) {
    assert.ok(cores.wall(at) % hour < 100, "each starts when it is due");
    assert.ok(run.endsWith(`@${peer}#${peer}`), "each run's id names its slot, which is its peer's");
    assert.equal(env["CICADA_SLOT"], peer);
  }
  for (const peer of "abcd") {
    assert.deepEqual(storiesOf(cores, peer), ["a succeeded", "b succeeded", "c succeeded", "d succeeded"]);
    assert.equal(storyOf(cores.recordsOf(peer))?.state, "succeeded");
    assert.ok(cores.recordsOf(peer).every(({ slot, peer: by }) => slot === by));
    assert.equal(cores.state(peer).book.orders.size, 0);
  }
  cores.pass(5 * hour);
  assert.equal(cores.starts.length, 24, "each later tick likewise, and none of them again");
});

test("all peers are shown for a tick to come", () => {
  const cores = beforeTick(["a", "b", "c"]);
  assert.deepEqual(cores.runnersOf("beat", 1)[0]?.toSorted(), ["a", "b", "c"]);
});

test("it runs on the peers that its target admits, and on no other", () => {
  const cores = new Cores(["a", "b", "c"], { tags: { a: { disk: "ssd" }, c: { disk: "ssd" } } });
  cores.pass(minute);
  cores.put({ ...base, target: { count: "all", tags: { disk: "ssd" } } });
  cores.pass(hour);
  assert.deepEqual(startsOf(cores), ["a.1", "c.1"]);
  assert.deepEqual(storiesOf(cores, "b"), ["a succeeded", "c succeeded"]);
});

test("the slot of a peer that is dead is skipped, and the tick succeeds nevertheless", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.kill("c");
  cores.pass(20 * second);
  assert.deepEqual(startsOf(cores), ["a.1", "b.1"]);
  for (const peer of "ab") {
    assert.deepEqual(storiesOf(cores, peer), ["a succeeded", "b succeeded", "c skipped offline"]);
    assert.equal(storyOf(cores.recordsOf(peer))?.state, "succeeded");
    const tick = cores.starts[0]?.tick as TickId;
    assert.equal(isTickOver(cores.state(peer), beat, tick), true);
    const { why } = describeTick(tick, cores.recordsOf(peer), (id) => `host-${id}`);
    assert.equal(why[0], "It has 3 runs: 2 succeeded, 1 skipped.");
    assert.ok(
      why.some((sentence) =>
        /^On host-c: host-[ab] recorded it as skipped: its peer was away/.test(sentence),
      ),
    );
  }
  cores.up("c" as PeerId);
  cores.pass(10 * minute);
  assert.equal(cores.starts.length, 2, "a peer that is back runs nothing of a tick that is over");
});

test("a tick whose peers are all away is skipped", () => {
  const cores = beforeTick(["a", "b"], { target: { count: "all", peers: ["host-b"] } });
  cores.kill("b");
  cores.pass(20 * second);
  assert.deepEqual(storiesOf(cores, "a"), ["b skipped offline"]);
});

test("a peer that is away is awaited as long as target.offline says, and runs its slot when it is back", () => {
  const cores = beforeTick(["a", "b", "c"], {
    target: { count: "all", offline: "3h" },
    schedule: "0 0 * * *",
  });
  cores.pass(24 * hour - (cores.wall(cores.now) % (24 * hour)) - 5 * second);
  cores.kill("c");
  cores.pass(20 * second);
  const tick = cores.starts[0]?.tick as TickId;
  assert.deepEqual(startsOf(cores), ["a.1", "b.1"]);
  assert.equal(isTickOver(cores.state("a"), beat, tick), false);
  const [pending] = pendingOf(cores.state("a"), cores.state("a").now, beat);
  assert.match(
    pending?.why ?? "",
    /^1 of its 3 runs are still to come; the first: host-c is away; its run is skipped unless it is back by 03:00:00 UTC$/,
  );
  cores.pass(2 * hour);
  assert.equal(cores.starts.length, 2);
  cores.up("c" as PeerId, { records: [], loadedSince: cores.wall(cores.now) - minute });
  cores.pass(minute);
  assert.deepEqual(startsOf(cores), ["a.1", "b.1", "c.1"]);
  for (const peer of "abc") {
    assert.deepEqual(storiesOf(cores, peer), ["a succeeded", "b succeeded", "c succeeded"]);
    assert.equal(cores.state(peer).book.orders.size, 0);
  }
});

test("a peer that doesn't come back in time is skipped when that time is over", () => {
  const cores = beforeTick(["a", "b"], { target: { count: "all", offline: "20m" } });
  cores.kill("b");
  cores.pass(19 * minute);
  assert.deepEqual(storiesOf(cores, "a"), ["a succeeded"]);
  cores.pass(2 * minute);
  assert.deepEqual(storiesOf(cores, "a"), ["a succeeded", "b skipped offline"]);
  assert.equal(cores.state("a").book.orders.size, 0);
  cores.up("b" as PeerId);
  cores.pass(10 * minute);
  assert.deepEqual(startsOf(cores), ["a.1"]);
});

test("a tick that only waits for an absent peer holds up no later tick of its job", () => {
  const cores = beforeTick(["a", "b"], { target: { count: "all", offline: "12h" }, overlap: "queue" });
  cores.kill("b");
  cores.pass(3 * hour);
  assert.deepEqual(startsOf(cores), ["a.1", "a.1", "a.1"]);
  cores.pass(10 * minute);
  cores.up("b" as PeerId);
  cores.pass(10 * minute);
  assert.deepEqual(
    startsOf(cores).slice(4),
    ["b.1", "b.1", "b.1", "b.1"],
    "it runs its slot of each of them",
  );
});

test("the set of peers is fixed at the tick: one that joins later has no slot of it", () => {
  const cores = beforeTick(["a", "b"], { retry: { attempts: 1, backoff: "5m" } });
  cores.exitCodeOf = ({ peer, env }) => (peer === "a" && env["CICADA_ATTEMPT"] === "1" ? 1 : 0);
  cores.pass(10 * second);
  cores.up("d" as PeerId);
  cores.pass(20 * minute);
  assert.deepEqual(startsOf(cores), ["a.1", "a.2", "b.1"]);
  for (const peer of "abd") assert.deepEqual(storiesOf(cores, peer), ["a succeeded", "b succeeded"]);
  cores.pass(hour);
  assert.deepEqual(startsOf(cores), ["a.1", "a.1", "a.2", "a.2", "b.1", "b.1", "d.1"]);
});

test("each peer repeats its own run, wherever retry.where points", () => {
  const cores = beforeTick(["a", "b", "c"], { retry: { attempts: 1, backoff: "30s", where: "other" } });
  cores.exitCodeOf = ({ peer, env }) => (peer === "b" && env["CICADA_ATTEMPT"] === "1" ? 1 : 0);
  cores.pass(2 * minute);
  assert.deepEqual(startsOf(cores), ["a.1", "b.1", "b.2", "c.1"]);
  for (const peer of "abc") assert.equal(storyOf(cores.recordsOf(peer))?.state, "succeeded");
});

test("one slot that fails fails the tick, and the others go on", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.exitCodeOf = ({ peer }) => (peer === "b" ? 3 : 0);
  cores.kill("c");
  cores.pass(20 * second);
  const story = storyOf(cores.recordsOf("a"));
  assert.equal(`${story?.state} ${story?.slot}`, "failed b");
});

test("the run of a peer that dies is lost, and no other peer runs its slot", () => {
  const cores = beforeTick(["a", "b", "c"], {}, { runMs: 5 * minute });
  cores.pass(10 * second);
  cores.kill("b");
  cores.pass(10 * minute);
  assert.deepEqual(startsOf(cores), ["a.1", "b.1", "c.1"]);
  assert.deepEqual(storiesOf(cores, "a"), ["a succeeded", "b lost", "c succeeded"]);
});

test("two sides of a split each run their own slots, and tell one story after it", () => {
  const cores = beforeTick(["a", "b", "c", "d"], { target: { count: "all", offline: "30m" } });
  cores.split(["a", "b"], ["c", "d"]);
  cores.pass(minute);
  assert.deepEqual(startsOf(cores), ["a.1", "b.1", "c.1", "d.1"]);
  cores.heal();
  for (const peer of "abcd") cores.link(peer as PeerId);
  cores.pass(minute);
  for (const peer of "abcd") {
    assert.deepEqual(storiesOf(cores, peer), ["a succeeded", "b succeeded", "c succeeded", "d succeeded"]);
    assert.equal(cores.state(peer).book.orders.size, 0);
  }
});

test("a tick that comes before the records of the peers that are back is skipped by nobody", () => {
  const target = { count: "all", offline: "30m" } as const;
  const cores = beforeTick(["a", "b", "c"], { schedule: "@every 1m", overlap: "skip", target });
  cores.split(["a", "b"], ["c"]);
  cores.pass(3 * minute);
  const before = cores.starts.length;
  assert.ok(before >= 9, "each side runs its own parts");
  cores.pass(minute - (cores.wall(cores.now) % minute) - 1_500);
  cores.heal();
  cores.pass(2_500);
  for (const peer of "abc") cores.link(peer as PeerId);
  cores.pass(20 * second);
  const skipped = cores.recordsOf("a").filter(({ state }) => state === "skipped");
  assert.deepEqual(skipped, []);
  assert.equal(cores.starts.length, before + 3);
});

test("a peer that is back lets a newer tick that another is about to start go first", () => {
  const target = { count: "all", offline: "30m" } as const;
  const cores = beforeTick(
    ["a", "c"],
    { schedule: "@every 1m", overlap: "queue-all", target },
    { runMs: 3_000 },
  );
  const drainC = (on: boolean): void => cores.ask("a", { kind: "drain-peer", peer: "c", on, by: "ann" });
  drainC(true);
  cores.pass(minute);
  const before = cores.starts.length;
  // Its claim of the next tick is known to all; it starts late.
  cores.pass(4 * second);
  cores.pause("a", 2_500);
  cores.pass(1_200);
  drainC(false);
  cores.pass(30 * second);
  const later = cores.starts.slice(before).map(({ peer, tick }) => `${peer} ${tick.slice(14, 19)}`);
  assert.deepEqual(later, ["a 01:00", "c 00:00", "c 01:00"]);
});

test("a peer that is back goes on as soon as the other says that its newer tick waits", () => {
  const target = { count: "all", offline: "30m" } as const;
  const cores = beforeTick(["a", "c"], { schedule: "@every 1m", overlap: "queue-all", target });
  const drainC = (on: boolean): void => cores.ask("c", { kind: "drain-peer", peer: "c", on, by: "ann" });
  drainC(true);
  cores.pass(minute + 4 * second);
  cores.pause("a", 8 * second);
  cores.pass(1_200);
  drainC(false);
  const before = cores.starts.length;
  cores.pass(1_500);
  assert.equal(cores.starts.length, before, "its claim may become a run at any moment");
  const claim = cores.recordsOf("c").find((record) => record.peer === "a" && record.state === "claimed");
  assert.ok(claim !== undefined);
  const held = { ...claim, version: claim.version + 1, waiting: "overlap", signature: "held" } as const;
  cores.learn("c" as PeerId, [held]);
  cores.pass(2 * second);
  const later = cores.starts.slice(before).map(({ peer, tick }) => `${peer} ${tick.slice(14, 19)}`);
  assert.equal(later[0], "c 00:00");
});

test("a peer of a mesh of its own is all its peers", () => {
  const cores = beforeTick(["a"]);
  cores.pass(10 * second);
  assert.deepEqual(startsOf(cores), ["a.1"]);
  assert.equal(cores.state("a").book.orders.size, 0);
});

test("a job that admits no peer yet runs on those that come within its window", () => {
  const cores = beforeTick(["a"], { target: { count: "all", peers: ["host-b", "host-c"] } });
  cores.pass(minute);
  assert.equal(cores.starts.length, 0);
  assert.equal(jobNow(cores.state("a"), cores.state("a").now, beat)?.state, "blocked");
  cores.up("b" as PeerId);
  cores.pass(minute);
  assert.deepEqual(startsOf(cores), ["b.1"]);
});

test("a run by hand runs on all peers, or on those that the person names", () => {
  const cores = beforeTick(["a", "b", "c"]);
  cores.ask("a", { kind: "run-job", id: beat, by: "ann" });
  cores.pass(2 * second);
  assert.deepEqual(startsOf(cores), ["a.1", "b.1", "c.1"]);
  cores.ask("a", { kind: "run-job", id: beat, by: "ann", peers: ["host-b"] });
  cores.pass(2 * second);
  assert.deepEqual(startsOf(cores).length, 4);
  assert.equal(cores.starts.at(-1)?.peer, "b");
});

test("a cancel of the tick ends every slot of it, and a cancel of one run only that one", () => {
  const cores = beforeTick(["a", "b", "c"], {}, { runMs: 10 * minute });
  cores.pass(10 * second);
  const one = cores.starts.find(({ peer }) => peer === "b");
  cores.ask("a", { kind: "cancel-run", run: one?.run ?? "", by: "ann", reason: "" });
  cores.pass(10 * second);
  assert.deepEqual(
    cores
      .recordsOf("a")
      .map(({ slot, state }) => `${slot} ${state}`)
      .toSorted(),
    ["a running", "b cancelled", "c running"],
  );
  cores.ask("c", { kind: "cancel-run", run: `beat@${one?.tick ?? ""}`, by: "ann", reason: "" });
  cores.pass(10 * second);
  assert.deepEqual(storiesOf(cores, "a"), ["a cancelled", "b cancelled", "c cancelled"]);
});

test("the skip of a paused job's tick covers each slot, and none is caught up", () => {
  const cores = beforeTick(["a", "b"]);
  const [plan] = cores.state("a").jobs.plans.values();
  assert.ok(plan);
  cores.put(base, { ...plan.job, pauses: [{ by: "ann", at: 0 }] });
  cores.pass(minute);
  cores.put(base, { ...plan.job, resumedAt: cores.wall(cores.now) });
  cores.pass(10 * minute);
  assert.equal(cores.starts.length, 0);
  assert.deepEqual(storiesOf(cores, "b"), ["a skipped paused", "b skipped paused"]);
});

test("the voters of a majority job choose each peer for its own slot", () => {
  const cores = beforeTick(["a", "b", "c"], { partition: "majority" });
  cores.pass(20 * second);
  assert.deepEqual(startsOf(cores), ["a.1", "b.1", "c.1"]);
});

test("a job that runs after one with count all runs once, after the last of its parts", () => {
  const cores = beforeTick(["a", "b", "c"], {}, { runMs: second });
  cores.put({ id: "next", command: "true", after: { jobs: ["beat" as JobId] } });
  cores.kill("c");
  cores.pass(minute);
  const ofNext = cores.starts.filter(({ run }) => run.startsWith("next"));
  assert.equal(ofNext.length, 1);
  const last = Math.max(...cores.starts.filter(({ run }) => run.startsWith("beat")).map(({ at }) => at));
  assert.ok((ofNext[0]?.at ?? 0) >= last + second);
});

test("a job that runs after another one runs on all peers", () => {
  const cores = new Cores(["a", "b", "c"], { runMs: second });
  cores.pass(minute);
  cores.put({ id: "load", schedule: "@every 1h", command: "true" });
  cores.put({ id: beat, command: "true", target: { count: "all" }, after: { jobs: ["load" as JobId] } });
  cores.pass(hour);
  const ofBeat = cores.starts.filter(({ run }) => run.startsWith("beat"));
  assert.deepEqual(ofBeat.map(({ peer }) => peer).toSorted(), ["a", "b", "c"]);
});

test("what is over stays over for each peer when all are restarted", () => {
  const cores = beforeTick(["a", "b"], {}, { runMs: second });
  cores.pass(10 * second);
  const kept = ["a", "b"].map((peer) => ({
    peer: peer as PeerId,
    records: cores.recordsOf(peer),
    watermarks: cores.watermarksOf(peer),
  }));
  for (const { peer } of kept) cores.kill(peer);
  cores.pass(2 * second);
  for (const { peer, ...loaded } of kept)
    cores.up(peer, { ...loaded, lastAlive: cores.wall(cores.now) - 2 * second });
  cores.pass(5 * minute);
  assert.deepEqual(startsOf(cores), ["a.1", "b.1"]);
});

test("an edit of the count changes a tick that has not begun, in both directions", () => {
  const cores = beforeTick(["a", "b", "c"], { target: { count: 2 } });
  const { createdAt = 0, scheduledAt = 0 } = [...cores.state("a").jobs.plans.values()][0]?.job ?? {};
  cores.put({ ...base, target: { count: "all" } }, { createdAt, scheduledAt });
  cores.pass(10 * second);
  assert.deepEqual(startsOf(cores), ["a.1", "b.1", "c.1"]);
  cores.put({ ...base, target: { count: 2 } }, { createdAt, scheduledAt });
  cores.pass(hour);
  assert.equal(cores.starts.length, 5);
});

test("a peer of a version without it has no slot of such a job", () => {
  const capabilities = { c: ownCapabilities.filter((one) => one !== "count:all") };
  const cores = beforeTick(["a", "b", "c"], {}, { capabilities, runMs: second });
  cores.pass(20 * second);
  assert.deepEqual(startsOf(cores), ["a.1", "b.1"]);
  assert.deepEqual(storiesOf(cores, "c"), ["a succeeded", "b succeeded"]);
});

const script = { sha256: "a".repeat(64), interpreter: "python3" };
const notLookedYet = [`script:${script.sha256}`, `interpreter:${script.interpreter}`];
const { command: _, ...withoutCommand } = base;

test("a peer that is just starting when the tick comes, or fetches its script, belongs to the set and runs its slot", () => {
  const cores = new Cores(["a", "b", "c"], { runMs: second });
  cores.pass(hour - (cores.wall(cores.now) % hour) - minute);
  cores.kill("c");
  cores.pass(minute - 3 * second);
  // It hears the others, and their records have not come yet.
  cores.up("c" as PeerId, { unlinked: true });
  for (const peer of ["a", "b"] as PeerId[]) {
    cores.feed(peer, { kind: "linkUp", peer: "c" as PeerId });
    cores.feed("c" as PeerId, { kind: "linkUp", peer });
  }
  cores.feed("c" as PeerId, { kind: "equipment", lacks: notLookedYet });
  cores.feed("b" as PeerId, { kind: "equipment", lacks: notLookedYet.slice(0, 1) });
  cores.pass(second);
  cores.put({ ...withoutCommand, script });
  cores.pass(2_100);
  assert.ok(cores.state("c").upkeep.warmUp !== undefined, "it is still starting");
  assert.deepEqual(startsOf(cores), ["a.1"]);
  for (const peer of ["b", "c"]) cores.feed(peer as PeerId, { kind: "equipment", lacks: [] });
  cores.pass(minute);
  assert.deepEqual(startsOf(cores), ["a.1", "b.1", "c.1"]);
  for (const peer of "abc")
    assert.deepEqual(storiesOf(cores, peer), ["a succeeded", "b succeeded", "c succeeded"]);
});

test("a peer whose settings don't allow the job has no slot of it, also while it is starting", () => {
  const cores = new Cores(["a", "b"], { runMs: second, lacks: { b: ["executor:*"] } });
  cores.pass(hour - (cores.wall(cores.now) % hour) - minute);
  cores.kill("b");
  cores.pass(minute - 3 * second);
  cores.up("b" as PeerId, { unlinked: true });
  cores.feed("a" as PeerId, { kind: "linkUp", peer: "b" as PeerId });
  cores.feed("b" as PeerId, { kind: "linkUp", peer: "a" as PeerId });
  cores.pass(second);
  cores.put(base);
  cores.pass(minute);
  assert.deepEqual(startsOf(cores), ["a.1"]);
  assert.deepEqual(storiesOf(cores, "a"), ["a succeeded"]);
  assert.equal(cores.state("a").book.orders.size, 0);
});

test("the slot of a peer whose host is sick waits for it, in words, and is missed when its time is over", () => {
  const cores = beforeTick(["a", "b", "c"], { catchUp: { policy: "latest", window: "30m" } });
  cores.starved.add("c");
  cores.pass(minute);
  assert.deepEqual(startsOf(cores), ["a.1", "b.1"]);
  const now = (peer: string) => jobNow(cores.state(peer), cores.state(peer).now, beat);
  for (const peer of ["a", "c"]) {
    const [pending] = pendingOf(cores.state(peer), cores.state(peer).now, beat);
    assert.match(
      pending?.why ?? "",
      /^1 of its 3 runs are still to come; the first: host-c can't start runs now, because of a fault of its host; its run is missed unless that ends by \d\d:30:00 UTC$/,
    );
    assert.deepEqual(
      now(peer)?.hindrances.map(({ code, pointer, message }) => `${code} ${pointer} ${message}`),
      [
        "FEW_PEERS /target/count its ticks run on all its peers, but host-c can't start runs now, because of a fault of its host. Runs there wait, and are missed if that lasts",
      ],
    );
  }
  cores.pass(31 * minute);
  assert.deepEqual(storiesOf(cores, "a"), ["a succeeded", "b succeeded", "c missed"]);
  cores.starved.delete("c");
  cores.pass(10 * minute);
  assert.deepEqual(now("a")?.hindrances, []);
});

test("a tick of which only an absent peer's slot is decided has not begun: a person may still have it skipped", () => {
  const cores = beforeTick(["a", "b", "c"]);
  for (const peer of ["a", "b"]) cores.starved.add(peer);
  cores.kill("c");
  cores.pass(20 * second);
  assert.deepEqual(
    storiesOf(cores, "a").filter((story) => story.startsWith("c")),
    ["c skipped offline"],
  );
  const tick = cores.wall(cores.now) - (cores.wall(cores.now) % hour);
  const before = cores.answers.length;
  cores.ask("a", { kind: "skip-ticks", id: beat, which: { tick }, by: "ann" });
  cores.pass(5 * second);
  assert.deepEqual(
    cores.answers.slice(before).map(({ kind }) => kind),
    ["skips"],
  );
  assert.deepEqual(storiesOf(cores, "b"), ["a skipped asked", "b skipped asked", "c skipped offline"]);
});

test("a tick that one peer ran before its time, by a clock that was ahead, holds up none that come before it", () => {
  const cores = new Cores(["a", "b"], { synchronised: ["a"], runMs: 40 * second });
  cores.put({ ...base, schedule: "* * * * *" });
  cores.pass(1.75 * minute);
  cores.setClock("a", 10 * minute);
  cores.pass(minute / 2);
  const early = cores.starts.filter(({ tick, at }) => instantOf(tick as TickId) > cores.wall(at) + minute);
  assert.ok(early.length > 0, "a runs its share of ticks that are ten minutes ahead");
  cores.setClock("a", 0);
  cores.pass(minute);
  const from = cores.now;
  cores.pass(3 * minute);
  const runners = Map.groupBy(
    cores.starts.filter(({ at }) => at >= from),
    ({ tick }) => tick,
  );
  assert.deepEqual(
    [...runners.values()].map((starts) =>
      starts
        .map(({ peer }) => peer)
        .toSorted()
        .join(" "),
    ),
    ["a b", "a b", "a b"],
  );
});
