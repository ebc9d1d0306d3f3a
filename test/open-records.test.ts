/**
 * Many open records of one job from a member that claims far more than it can run (S27): the work for a further record doesn't
 * grow with their number, and that of a second grows by a few steps for each of them. Counted in steps, so it is the same on a
 * slow and on a busy machine.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { countSteps } from "./kit/fuzz/steps.ts";
import type { CoreMessage } from "../src/core/events.ts";
import type { MessageOf } from "../src/schema/message.ts";
import { tickAt, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { sizesOf } from "../src/core/view.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;
const [a, b] = ["a", "b"] as [PeerId, PeerId];

/** Records of runs of one job that b says are on, for that many ticks of the past. */
function openRecords(cores: Cores, from: number, to: number): RunRecord[] {
  return Array.from({ length: to - from }, (_, index) => {
    const due = cores.wall(-(from + index + 1) * second);
    return {
      job: "beat" as JobId,
      tick: new Date(due).toISOString().replace(".000Z", "Z") as TickId,
      attempt: 1,
      slot: "0",
      peer: b,
      state: "running",
      version: 2,
      revision: "r",
      trigger: "schedule",
      rank: 0,
      due,
      claimedAt: due,
      startedAt: due,
      view: 2,
      signature: `b ${from + index}`,
    };
  });
}

/** The steps of 100 further records, and of each of the 50 s and ten ticks after them, at both peers, while so many are open. */
function stepsWith(open: number, overlap: "allow" | "queue" | "skip"): { records: number; aSecond: number } {
  const cores = new Cores(["a", "b"]);
  Object.assign(cores.state(a).settings, { checksBook: false });
  Object.assign(cores.state(b).settings, { checksBook: false });
  cores.put({ id: "beat", schedule: "@every 5s", command: "true", overlap, catchUp: { policy: "none" } });
  const gossip = (records: RunRecord[]) =>
    cores.feed(a, {
      kind: "heard",
      from: b,
      message: { kind: "runs", records, declined: [], orders: [], cancels: [] },
    });
  gossip(openRecords(cores, 0, open));
  cores.pass(10 * second);
  const records = countSteps(() => gossip(openRecords(cores, open, open + 100)));
  const aSecond = countSteps(() => cores.pass(50 * second)) / 50;
  return { records, aSecond };
}

for (const overlap of ["allow", "queue", "skip"] as const) {
  test(`10,000 open records of a job with overlap ${overlap} hold no peer up: each costs a few steps a second`, () => {
    const [few, many] = [stepsWith(1_000, overlap), stepsWith(10_000, overlap)];
    assert.ok(many.records < 1.5 * few.records, `records: ${few.records}, then ${many.records} steps`);
    const each = (many.aSecond - few.aSecond) / 9_000;
    assert.ok(each < 5, `${each} steps a second for each`);
  });
}

/** The steps of three of a member's messages, while so many records of the job are open. */
function stepsOfRequests(open: number): Record<"cancels" | "skip", number> {
  const cores = new Cores(["a", "b"]);
  Object.assign(cores.state(a).settings, { checksBook: false });
  cores.put({ id: "beat", schedule: "@every 5s", command: "true", overlap: "allow" });
  const hear = (message: CoreMessage): void => cores.feed(a, { kind: "heard", from: b, message });
  const runs = (more: Partial<MessageOf<"runs">>): void =>
    hear({ kind: "runs", records: [], declined: [], orders: [], cancels: [], ...more });
  runs({ records: openRecords(cores, 0, open) });
  cores.pass(10 * second);
  const ticks = Array.from({ length: 500 }, (_, index) => Date.parse("2040-01-01T00:00:00Z") + index * 5_000);
  const cancels = ticks.map((tick) => ({ run: `beat@${tickAt(tick)}`, by: "b", reason: "" }));
  const skips = ticks.map((tick) => ({ tick, by: "b", at: cores.wall(0) }));
  return {
    cancels: countSteps(() => runs({ cancels })),
    skip: countSteps(() => hear({ kind: "skip", id: 1, job: "beat" as JobId, skips })),
  };
}

test("cancels and skips of a job cost the same however many of its records are open", () => {
  const [few, many] = [stepsOfRequests(1_000), stepsOfRequests(10_000)];
  for (const kind of ["cancels", "skip"] as const)
    assert.ok(many[kind] < 1.5 * few[kind], `${kind}: ${few[kind]}, then ${many[kind]} steps`);
});

test("skips that a member tells of without end are no burden: they are bounded, and no step looks through them", () => {
  const cores = new Cores(["a", "b"]);
  const aSecond = (): number => countSteps(() => cores.pass(10 * second)) / 10;
  const quiet = aSecond();
  for (let id = 0; id < 50; id++) {
    const skips = Array.from({ length: 1_000 }, (_, place) => ({
      tick: Date.parse("2040-01-01T00:00:00Z") + (id * 1_000 + place) * 1_000,
      by: "b",
      at: cores.wall(0),
    }));
    cores.feed(a, {
      kind: "heard",
      from: b,
      message: { kind: "skip", id, job: `job-${id}` as JobId, skips },
    });
  }
  assert.ok(cores.state(a).operator.skipsHeard.size <= 1_000);
  const busy = aSecond();
  assert.ok(busy < 1.5 * quiet, `${quiet} steps a second, then ${busy}`);
  cores.put({ id: "beat", schedule: "@every 5s", command: "true" });
  cores.pass(20 * second);
  cores.tableMs = 10 * second;
  cores.ask(b, { kind: "skip-ticks", id: "beat" as JobId, which: { next: 500 }, by: "ada" });
  cores.pass(10 * second);
  const [answer] = cores.answers;
  assert.equal(
    answer?.kind === "refused" && answer.error.code,
    "SKIP_UNCONFIRMED",
    "of what is not remembered",
  );
  cores.pass(60 * second);
  assert.equal(cores.state(a).operator.skipsHeard.size, 0);
});

test("a question about a job with thousands of open records is answered with a thousand of them at most", () => {
  const cores = new Cores(["a", "b"]);
  Object.assign(cores.state(a).settings, { checksBook: false });
  cores.put({ id: "beat", schedule: "@every 1d", command: "true" });
  const records = openRecords(cores, 0, 5_000);
  cores.feed(a, {
    kind: "heard",
    from: b,
    message: { kind: "runs", records, declined: [], orders: [], cancels: [] },
  });
  const sent = new Set<string>();
  cores.onEffect = (peer, effect) => {
    if (peer !== a || effect.kind !== "send" || effect.message.kind !== "answer") return;
    for (const { signature } of effect.message.records) sent.add(signature);
  };
  const [{ tick, due }] = records as [RunRecord];
  const question = { key: `beat@${tick}~1`, job: "beat" as JobId, rank: 1, due };
  cores.feed(a, { kind: "heard", from: b, message: { kind: "ask", id: 1, orders: [question] } });
  assert.equal(sent.size, 1_000);
});

/** A record of one tick, which was due 5 s ago, by each of so many peers that nobody has ever heard. */
function byStrangers(cores: Cores, state: RunRecord["state"], from: number, to: number): RunRecord[] {
  const due = Math.floor(cores.wall(-5 * second) / 5_000) * 5_000;
  return Array.from({ length: to - from }, (_, index) => ({
    job: "beat" as JobId,
    tick: tickAt(due),
    attempt: 1,
    slot: "0",
    peer: `stranger-${from + index}` as PeerId,
    state,
    version: 2,
    revision: "r",
    trigger: "schedule",
    rank: 0,
    due,
    claimedAt: due,
    ...(state === "claimed" ? {} : { startedAt: due }),
    ...(state === "succeeded" ? { finishedAt: due + second } : {}),
    view: 2,
    signature: `${from + index}`,
  }));
}

/** The steps of 100 further records of the tick, after those of so many strangers. */
function stepsAfter(strangers: number, state: RunRecord["state"]): number {
  const cores = new Cores(["a", "b"]);
  for (const peer of [a, b]) Object.assign(cores.state(peer).settings, { checksBook: false });
  const notify = [{ on: ["failed" as const], to: ["ops"] }];
  cores.put({ id: "beat", schedule: "@every 5s", command: "true", overlap: "allow", notify });
  cores.pass(20 * second);
  const tell = (records: RunRecord[]): void =>
    cores.feed(a, {
      kind: "heard",
      from: b,
      message: { kind: "runs", records, declined: [], orders: [], cancels: [] },
    });
  tell(byStrangers(cores, state, 0, strangers));
  const steps = countSteps(() => tell(byStrangers(cores, state, strangers, strangers + 100)));
  const inMemory = sizesOf(cores.state(a)).recordsInMemory ?? Infinity;
  assert.ok(inMemory < 200, `${inMemory} records after ${strangers}`);
  return steps;
}

for (const state of ["claimed", "running", "succeeded"] as const) {
  test(`a member that signs "${state}" for one tick in the names of thousands of peers fills no memory, and its next record costs no more than its first ones`, () => {
    const [few, many] = [stepsAfter(200, state), stepsAfter(4_000, state)];
    assert.ok(many < 1.5 * few, `${few}, then ${many} steps`);
  });
}
