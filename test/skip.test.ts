/** Skipping single ticks of a job, and taking that back (INTERFACE "Where features meet"). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { divideGap } from "../src/core/job/gap.ts";
import { describeTick } from "../src/core/records/why.ts";
import { nextTicks, obstaclesOf, whyNoTick } from "../src/core/view.ts";
import { instantOf, slotOfPeer, tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";
import type { JobSpec } from "../src/schema/job.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { Cores } from "./kit/cores.ts";
import { planOfJob, storedJob } from "./kit/planned-job.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const beatId = "beat" as JobId;
const beat = { id: "beat", schedule: "* * * * *", command: "true" } as const;

function meshWith(spec: Partial<JobSpec> = {}, names: readonly string[] = ["a", "b", "c"]): Cores {
  const cores = new Cores(names, { runMs: second });
  cores.put({ ...beat, ...spec });
  cores.pass(20 * second);
  return cores;
}

function comingTick(cores: Cores, place = 0): number {
  const state = cores.state("a");
  const tick = nextTicks(state, state.now, beatId, place + 1)?.[place]?.tick;
  assert.ok(tick !== undefined);
  return instantOf(tick);
}

function skip(cores: Cores, peer: string, which: { tick: number } | { next: number }, note?: string): void {
  cores.ask(peer, {
    kind: "skip-ticks",
    id: beatId,
    which,
    by: "ada",
    ...(note === undefined ? {} : { note }),
  });
}

function answerOf(cores: Cores): string {
  const answer = cores.answers.at(-1);
  assert.ok(answer !== undefined, "there is no answer yet");
  if (answer.kind === "refused") return `${answer.error.code}: ${answer.error.message}`;
  return answer.kind === "skips" ? answer.ticks.join(" ") : answer.kind;
}

function storyAt(cores: Cores, tick: number, peer = "a"): RunRecord[] {
  return cores.recordsOf(peer).filter((record) => record.tick === tickAt(tick));
}

function startsOf(cores: Cores, tick: number): number {
  return cores.starts.filter((start) => start.tick === tickAt(tick)).length;
}

/** A tick was skipped as asked, and a minute later the lone peer's clock leaps a year ahead. */
function skippedBeforeLeap(): { cores: Cores; tick: number } {
  const cores = meshWith({ schedule: "0 * * * *" }, ["a"]);
  const tick = comingTick(cores);
  skip(cores, "a", { tick });
  cores.pass(tick - cores.wall(cores.now) + minute);
  cores.setClock("a", 365 * day);
  return { cores, tick };
}

describe("a tick that a person has asked to skip", () => {
  test("does not start on any peer, and is reported as skipped(asked), by whom and why", () => {
    const cores = meshWith();
    const tick = comingTick(cores, 1);
    skip(cores, "b", { tick }, "release day");
    cores.pass(3 * minute);
    assert.equal(answerOf(cores), tickAt(tick));
    assert.equal(startsOf(cores, tick), 0);
    assert.equal(startsOf(cores, tick - minute), 1);
    assert.equal(startsOf(cores, tick + minute), 1);
    for (const peer of ["a", "b", "c"]) {
      const records = storyAt(cores, tick, peer);
      assert.deepEqual(
        records.map(({ state, reason, askedBy, note }) => [state, reason, askedBy, note]),
        [["skipped", "asked", "ada", "release day"]],
      );
      assert.match(
        describeTick(tickAt(tick), records, String).why.join(),
        /skipped: ada asked for it: release day/,
      );
    }
  });

  test("stays skipped when every peer is restarted before it comes", () => {
    const cores = meshWith({}, ["a", "b"]);
    const tick = comingTick(cores, 1);
    skip(cores, "a", { tick });
    cores.pass(second);
    const job = cores.state("a").jobs.plans.get(beatId)?.job;
    assert.ok(job);
    for (const peer of ["a", "b"]) cores.kill(peer);
    cores.pass(2 * second);
    for (const peer of ["a", "b"])
      cores.up(peer as PeerId, { expected: ["a", "b"].filter((one) => one !== peer) });
    cores.put(job.spec, job);
    cores.pass(3 * minute);
    assert.equal(startsOf(cores, tick), 0);
    assert.equal(startsOf(cores, tick + minute), 1);
  });

  test("is shown among the next ticks, with who asked for it, and is not the job's next run", () => {
    const cores = meshWith();
    const tick = comingTick(cores);
    skip(cores, "a", { tick }, "stocktaking");
    cores.pass(second);
    const state = cores.state("b");
    const [first, then] = nextTicks(state, state.now, beatId, 2) ?? [];
    assert.deepEqual(
      [first?.skipped, first?.skippedBy, first?.note, first?.peers.length],
      ["asked", "ada", "stocktaking", 0],
    );
    assert.deepEqual([then?.skipped, then?.peers.length], [undefined, 3]);
    assert.match(
      obstaclesOf(state, state.now, beatId).join(),
      /is to be skipped; ada asked for it at .*: stocktaking/,
    );
  });

  test("can be taken back before it comes", () => {
    const cores = meshWith();
    const tick = comingTick(cores, 1);
    skip(cores, "a", { tick });
    cores.pass(second);
    cores.ask("c", { kind: "unskip-ticks", id: beatId, which: { next: 1 }, by: "ada" });
    cores.pass(3 * minute);
    assert.equal(answerOf(cores), tickAt(tick));
    assert.equal(startsOf(cores, tick), 1);
  });

  test("can be taken back by a peer of which its holder has only just heard that it is to be skipped", () => {
    const cores = meshWith();
    const tick = comingTick(cores);
    cores.pass(tick - cores.wall(cores.now) - 8 * second);
    skip(cores, "a", { tick });
    cores.pass(second);
    cores.ask("b", { kind: "unskip-ticks", id: beatId, which: { tick }, by: "ada" });
    cores.pass(minute);
    assert.equal(startsOf(cores, tick), 1);
  });

  for (const asker of ["a", "b", "c"]) {
    test(`runs on all of its peers if it has begun on one of them before that was told, by ${asker}`, () => {
      const cores = meshWith({ target: { count: "all" } });
      const tick = comingTick(cores);
      cores.pass(tick - cores.wall(cores.now) - 3);
      skip(cores, asker, { tick });
      cores.pass(20 * second);
      assert.match(answerOf(cores), /^TICK_BEGUN: .* had begun before its peer was told/);
      const ran = cores.starts.filter((start) => start.tick === tickAt(tick)).map(({ peer }) => peer);
      assert.deepEqual(ran.toSorted(), ["a", "b", "c"]);
      const states = storyAt(cores, tick).map(({ state }) => state);
      assert.deepEqual(states, ["succeeded", "succeeded", "succeeded"]);
    });
  }

  test("is skipped on a peer that knows so, although it has run on one that was out of reach when that was asked", () => {
    const cores = meshWith({ target: { count: "all", offline: "1m" } }, ["a", "b"]);
    cores.split(["a"], ["b"]);
    cores.pass(20 * second);
    const tick = comingTick(cores, 1);
    skip(cores, "a", { tick });
    cores.pass(second);
    assert.equal(answerOf(cores), tickAt(tick));
    const job = cores.state("a").jobs.plans.get(beatId)?.job;
    assert.ok(job);
    cores.kill("a");
    cores.pass(tick - cores.wall(cores.now) + 3 * second);
    assert.equal(startsOf(cores, tick), 1);
    cores.heal();
    cores.up("a" as PeerId, { jobs: [job], expected: ["b"] });
    cores.pass(20 * second);
    assert.equal(startsOf(cores, tick), 1);
    assert.deepEqual(
      storyAt(cores, tick).map(({ slot, state, reason }) => [slot, state, reason]),
      [
        [slotOfPeer("b" as PeerId), "succeeded", undefined],
        [slotOfPeer("a" as PeerId), "skipped", "asked"],
      ],
    );
  });

  test("is one of the next N, of which those that are skipped already don't count", () => {
    const cores = meshWith();
    const [first, other, third, fourth] = [0, 1, 2, 3].map((place) => comingTick(cores, place));
    skip(cores, "a", { tick: other ?? 0 });
    cores.pass(second);
    skip(cores, "b", { next: 2 });
    cores.pass(second);
    assert.equal(answerOf(cores), [first, third].map((tick) => tickAt(tick ?? 0)).join(" "));
    cores.pass(5 * minute);
    for (const tick of [first, other, third]) assert.equal(startsOf(cores, tick ?? 0), 0);
    assert.equal(startsOf(cores, fourth ?? 0), 1);
  });

  test("is not started by a peer that has claimed it and has not heard of the table's change, and that peer confirms it", () => {
    const cores = meshWith();
    cores.tableMs = 20 * second;
    const tick = comingTick(cores);
    cores.pass(tick - cores.wall(cores.now) - second);
    const [claim] = storyAt(cores, tick);
    assert.equal(claim?.state, "claimed");
    const asker = ["a", "b", "c"].find((peer) => peer !== claim.peer) ?? "a";
    skip(cores, asker, { tick });
    cores.pass(3);
    assert.equal(cores.answers.length, 0, "answered before the holder has confirmed it");
    cores.pass(20);
    assert.equal(answerOf(cores), tickAt(tick));
    cores.pass(minute - 10 * second);
    assert.equal(startsOf(cores, tick), 0);
  });

  test("is not started although neither the claim nor the table's change has reached the other peer", () => {
    const cores = meshWith();
    cores.tableMs = 20 * second;
    const tick = comingTick(cores);
    for (const peer of ["a", "b", "c"]) cores.unheard.add(peer as PeerId);
    cores.pass(tick - cores.wall(cores.now) - second);
    const holder = ["a", "b", "c"].find((peer) => cores.state(peer).book.claims.size > 0) ?? "a";
    const asker = ["a", "b", "c"].find((peer) => peer !== holder) ?? "a";
    skip(cores, asker, { tick });
    cores.pass(minute - 10 * second);
    assert.equal(answerOf(cores), tickAt(tick));
    assert.equal(startsOf(cores, tick), 0);
  });

  test("is answered as unconfirmed if the peer that has claimed it doesn't answer", () => {
    const cores = meshWith();
    const tick = comingTick(cores);
    cores.pass(tick - cores.wall(cores.now) - second);
    const holder = storyAt(cores, tick)[0]?.peer ?? ("a" as PeerId);
    const asker = ["a", "b", "c"].find((peer) => peer !== holder) ?? "a";
    cores.pause(holder, 8 * second);
    skip(cores, asker, { tick });
    cores.pass(6 * second);
    assert.match(answerOf(cores), /^SKIP_UNCONFIRMED: .*no confirmation from host-/);
  });

  test("is refused if it runs, is over, or doesn't exist; then the nearest ticks are named", () => {
    const cores = meshWith({}, ["a"]);
    cores.pass(minute);
    const tick = comingTick(cores);
    cores.pass(tick - cores.wall(cores.now) + 200);
    assert.equal(startsOf(cores, tick), 1);
    skip(cores, "a", { tick });
    assert.match(answerOf(cores), /^TICK_BEGUN: .* has begun/);
    cores.pass(2 * second);
    skip(cores, "a", { tick });
    assert.match(answerOf(cores), /^TICK_BEGUN: .* is over/);
    skip(cores, "a", { tick: tick + 90 * second });
    const near = [tick + minute, tick + 2 * minute].map(tickAt).join(" and ");
    assert.ok(answerOf(cores).startsWith("TICK_NOT_FOUND: "));
    assert.ok(answerOf(cores).includes(`the nearest are ${near}`), answerOf(cores));
    assert.deepEqual(cores.skips, new Map());
  });

  test("is still skipped when it comes again because all clocks have gone back", () => {
    const cores = meshWith({ schedule: "*/10 * * * *" });
    const tick = comingTick(cores);
    skip(cores, "a", { tick });
    cores.pass(90 * minute);
    assert.equal(startsOf(cores, tick), 0);
    for (const peer of ["a", "b", "c"]) cores.setClock(peer, -100 * minute);
    cores.pass(30 * minute);
    assert.ok(startsOf(cores, tick + 10 * minute) > 0, "the ticks after it came again");
    assert.equal(startsOf(cores, tick), 0);
  });

  test("is still skipped when it comes again after a clock was a year ahead for some hours", () => {
    const { cores, tick } = skippedBeforeLeap();
    cores.pass(2 * hour);
    cores.setClock("a", 0);
    cores.pass(minute);
    cores.setClock("a", -3 * hour);
    cores.pass(2 * hour);
    assert.equal(startsOf(cores, tick), 0);
    assert.deepEqual([...(cores.skips.get(beatId)?.keys() ?? [])], [tick]);
  });

  test("stays in the table when the peer is restarted while its clock is a year ahead", () => {
    const { cores, tick } = skippedBeforeLeap();
    cores.pass(10 * minute);
    const truly = cores.wall(cores.now);
    const proof = { prunedAt: truly - 10 * minute, proofLeftMs: day - 10 * minute };
    cores.restart("a", second, { lastAlive: truly + 365 * day, ...proof });
    cores.pass(2 * hour);
    cores.setClock("a", 0);
    cores.pass(minute);
    assert.deepEqual([...(cores.skips.get(beatId)?.keys() ?? [])], [tick]);
  });

  test("leaves the table after a week, when all else about its tick may be forgotten too", () => {
    const cores = meshWith({ schedule: "0 0 * * *" }, ["a"]);
    const tick = comingTick(cores);
    const inTable = (): number[] => [...(cores.skips.get(beatId)?.keys() ?? [])];
    skip(cores, "a", { tick });
    cores.pass(7 * day);
    assert.deepEqual(inTable(), [tick]);
    cores.pass(tick + 7 * day + 5 * minute - cores.wall(cores.now));
    assert.deepEqual(inTable(), []);
  });

  test("is decided by a peer of a version that knows skips, and others leave the job alone until then", () => {
    const before = ["executor:process", "majority"];
    const cores = new Cores(["a", "b", "c"], { capabilities: { a: before } });
    cores.put(
      { ...beat, schedule: "@every 10s" },
      { needs: [{ pointer: "", slot: "skip", capabilities: ["field:skip"] }] },
    );
    cores.pass(2 * minute);
    assert.deepEqual(new Set(cores.starts.map(({ peer }) => peer)), new Set(["b", "c"]));
  });
});

/** Jobs that run after the beat, and one after one of these. */
function chainOn(names: readonly string[], runMs: number): Cores {
  const cores = new Cores(names, { runMs });
  cores.put(beat);
  cores.put({ id: "report", command: "true", after: { jobs: [beatId] } });
  cores.put({ id: "alarm", command: "true", after: { jobs: [beatId], on: "failure" } });
  cores.put({ id: "mail", command: "true", after: { jobs: ["report" as JobId], on: "always" } });
  cores.pass(20 * second);
  return cores;
}

function skipOf(cores: Cores, id: string, which: { tick: number } | { next: number }): void {
  cores.ask("b", { kind: "skip-ticks", id: id as JobId, which, by: "ada" });
  cores.pass(second);
}

function storiesOf(cores: Cores, tick: number): string[] {
  return storyAt(cores, tick)
    .map(({ job, state, reason }) => [job, state, ...(reason === undefined ? [] : [reason])].join(" "))
    .toSorted();
}

describe("a tick of a job that runs after others is its parents'", () => {
  test("and can be skipped for it alone: the parent runs, and what follows the job is skipped with it", () => {
    for (const which of ["tick", "next"] as const) {
      const cores = chainOn(["a", "b"], second);
      const tick = comingTick(cores);
      skipOf(cores, "report", which === "tick" ? { tick } : { next: 1 });
      assert.equal(answerOf(cores), tickAt(tick));
      assert.match(
        obstaclesOf(cores.state("a"), cores.state("a").now, "report" as JobId).join(" "),
        /is to be skipped; ada asked for it/,
      );
      assert.match(
        whyNoTick(cores.state("a"), cores.state("a").now, "report" as JobId, tick) ?? "",
        /is to be skipped; ada asked for it/,
      );
      cores.pass(2 * minute);
      assert.deepEqual(storiesOf(cores, tick), [
        "alarm skipped parent beat succeeded",
        "beat succeeded",
        "mail skipped parent report was skipped",
        "report skipped asked",
      ]);
      assert.deepEqual(storiesOf(cores, tick + minute), [
        "alarm skipped parent beat succeeded",
        "beat succeeded",
        "mail succeeded",
        "report succeeded",
      ]);
    }
  });

  test("also while the parent runs, and where it would follow only a failure", () => {
    const cores = chainOn(["a", "b"], 20 * second);
    cores.exitCodeOf = () => 1;
    const tick = comingTick(cores);
    cores.pass(tick - cores.wall(cores.now) + 10 * second);
    skipOf(cores, "alarm", { tick });
    assert.equal(answerOf(cores), tickAt(tick));
    cores.pass(20 * second);
    assert.ok(storiesOf(cores, tick).includes("alarm skipped asked"));
  });

  test("and is refused if it is over or doesn't exist; then the nearest ticks are named", () => {
    const cores = chainOn(["a", "b"], second);
    const tick = comingTick(cores);
    cores.pass(tick - cores.wall(cores.now) + 10 * second);
    skipOf(cores, "report", { tick });
    assert.match(answerOf(cores), /^TICK_BEGUN: .* is over/);
    skipOf(cores, "mail", { tick: tick + 30 * second });
    assert.match(answerOf(cores), /^TICK_NOT_FOUND: /);
    assert.ok(answerOf(cores).includes(`the nearest are ${[tick, tick + minute].map(tickAt).join(" and ")}`));
  });
});

const planOf = (catchUp: NonNullable<JobSpec["catchUp"]>, skipped: readonly number[]) => {
  const skips = skipped.map((tick) => ({ tick, by: "ada", at: 0 }));
  return planOfJob(storedJob(beatId, { schedule: "0 * * * *", catchUp }, { skips }));
};

describe("a tick in a gap that was to be skipped", () => {
  const now = Date.UTC(2026, 10, 29, 12, 30);
  const gap = [{ from: now - 6 * hour, to: now }];
  const noon = Date.UTC(2026, 10, 29, 12);

  test("is not counted as missed", () => {
    const { admit, ranges } = divideGap(planOf({ policy: "none" }, [noon - 2 * hour]), gap, now);
    assert.deepEqual(admit, [noon - 2 * hour]);
    assert.equal(
      ranges.reduce((sum, { count }) => sum + count, 0),
      5,
    );
  });

  test("is not the latest one that is caught up: the one before it is", () => {
    const { admit } = divideGap(planOf({ policy: "latest", window: "6h" }, [noon]), gap, now);
    assert.deepEqual(admit, [noon - hour, noon]);
  });
});
