/**
 * Bugs that the fuzzer or reviewers found. Each case has input that once broke a peer, made it break another one, or
 * changed something that its sender may not change.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as Y from "yjs";
import { checkedJob } from "../src/core/checks/job.ts";
import { parseJobs } from "../src/cli/terminal/job-text.ts";
import {
  dropRecord,
  forgetGivenBack,
  openCount,
  openOn,
  openRecords,
  recordsInMemory,
  recordsOf,
  takeRecord,
} from "../src/core/records/ledger.ts";
import { createLedger } from "../src/core/records/ledger-state.ts";
import { planJob, ticksOf } from "../src/core/job/plan.ts";
import { adoptChain, firstEpoch, hashOfEpoch } from "../src/core/voting/roster.ts";
import type { Answer, Command } from "../src/ports/command.ts";
import {
  instantOf,
  orderKey,
  runId,
  tickAt,
  ulid,
  type JobId,
  type OrderKey,
  type PeerId,
  type TickId,
} from "../src/schema/ids.ts";
import type { RequestedOrder, RunRecord } from "../src/schema/run.ts";
import { Dice } from "../src/sim/random.ts";
import type { BallotItem } from "../src/schema/vote.ts";
import { signRecord } from "../src/wire/records.ts";
import { readChain } from "../src/wire/roster.ts";
import { Cores } from "./kit/cores.ts";
import { FuzzMesh, members, stranger, victim } from "./kit/fuzz/mesh.ts";
import { base64 } from "./kit/fuzz/messages.ts";

const hlcPerMs = 1_024;
let written = 0;

function answerTo(mesh: FuzzMesh, command: Command): Answer {
  const answers: Answer[] = [];
  mesh.peer(victim).command(command, (answer) => answers.push(answer));
  mesh.pass(1_000);
  const [answer] = answers;
  assert.ok(answer !== undefined, "it was answered");
  return answer;
}

/** A job as anybody with Yjs could write it: the value of each slot, by the slot's name. */
function writtenJob(mesh: FuzzMesh, slots: Readonly<Record<string, unknown>>): string {
  const doc = new Y.Doc();
  doc.clientID = 5_000 + ++written;
  const map = new Y.Map<unknown>();
  for (const [slot, value] of Object.entries(slots)) {
    map.set(`${slot}@${stranger}`, { hlc: Math.floor(mesh.world.now()) * hlcPerMs, by: "x", value });
  }
  doc.getMap("jobs").set(ulid(written, new Uint8Array(16)), map);
  return base64(Y.encodeStateAsUpdate(doc));
}

test("a stored job that can't be read is deleted like any other, even if its id is missing", () => {
  const mesh = new FuzzMesh("quarantine");
  const table = mesh.table(victim);
  for (const slots of [{ created: "odd", action: { command: "" } }, { action: { command: "true" } }]) {
    mesh.sendAs(stranger, "jobs", { kind: "update", update: writtenJob(mesh, slots) });
    const [quarantined] = table.quarantined();
    assert.ok(quarantined !== undefined);
    const id = quarantined.id as JobId;
    assert.equal(answerTo(mesh, { kind: "delete-job", id, by: "ann" }).kind, "done");
    assert.deepEqual(table.quarantined(), []);
    const again = answerTo(mesh, { kind: "delete-job", id, by: "ann" });
    assert.equal(again.kind === "refused" && again.error.code, "JOB_NOT_FOUND");
  }
});

test("a heartbeat with an absurd clock doesn't make a peer doubt its own clock", () => {
  const mesh = new FuzzMesh("clock");
  const heartbeat = mesh.overheard
    .get("heartbeat")
    ?.map(({ message }) => message)
    .at(-1);
  assert.ok(heartbeat?.kind === "heartbeat");
  const { incarnation } = mesh.state(victim).settings;
  for (const [sentAt, heardAt] of [
    [-1e308, 1e308],
    [1e308, -1e308],
    [1e308, 1e308],
  ] as const) {
    for (const from of [members[1], members[2]]) {
      const absurd = { ...heartbeat, incarnation: mesh.state(from).settings.incarnation };
      mesh.sendAs(from, "heartbeat", { ...absurd, sentAt, echo: { incarnation, count: 0, sentAt, heardAt } });
    }
  }
  mesh.pass(2_000);
  assert.deepEqual(mesh.peer(victim).status.notReady(), []);
  const offsets = [...mesh.state(victim).members.byId.values()].flatMap((one) => one.clockOffsetMs ?? []);
  assert.ok(offsets.length > 0, "some offset is known");
  for (const ms of offsets) assert.ok(Math.abs(ms) < 100, `${ms}`);
});

test("a record whose tick names no instant is neither kept nor forwarded", () => {
  const mesh = new FuzzMesh("no instant");
  const [known] = mesh.overheard.get("runs") ?? [];
  assert.ok(known?.message.kind === "runs");
  const [record] = known.message.records;
  assert.ok(record !== undefined);
  for (const tick of ["9999-99-99T99:99:99Z", "2026-00-01T00:00:00Z", "2026-01-01T24:00:00Z"] as TickId[]) {
    const signed = signRecord({ ...record, peer: stranger, tick }, mesh.keys(stranger));
    mesh.sendAs(stranger, "runs", { ...known.message, records: [signed] });
  }
  mesh.pass(1_000);
  assert.equal(mesh.peer(victim).status.view().counters["refused_wrong_shape"], 3);
  assert.deepEqual(mesh.complaints, []);
});

test("a job that was resumed in the year 9999, or paused at an invalid instant, is still shown", () => {
  const mesh = new FuzzMesh("resumed");
  const action = { command: "true" };
  const schedule = { schedule: "@every 1s" };
  for (const resumed of [1e308, 8e15, -1e308, "x"]) {
    mesh.sendAs(stranger, "jobs", {
      kind: "update",
      update: writtenJob(mesh, { created: "odd", action, schedule, resumed }),
    });
    const job = mesh
      .table(victim)
      .jobs()
      .get("odd" as JobId);
    assert.ok(job !== undefined && job.resumedAt <= mesh.world.now() + 1_000);
    assert.ok((mesh.peer(victim).status.next("odd" as JobId, 3) ?? []).length === 3);
    answerTo(mesh, { kind: "delete-job", id: "odd" as JobId, by: "ann" });
  }
});

function epochOf(voters: readonly string[], from: number): string {
  return JSON.stringify({ voters, from });
}

test("a voter ignores malformed decisions and remembers none of them", () => {
  const mesh = new FuzzMesh("no decision");
  const state = mesh.state(victim);
  const epoch = state.voting.roster.chain.length - 1;
  const now = mesh.world.now();
  const tick = tickAt(Math.ceil(now / 10_000) * 10_000);
  const instant = instantOf(tick);
  const decision = `vote@${tick}~1`;
  const next = `roster/${epoch + 1}`;
  const items: [why: string, Partial<BallotItem>][] = [
    ["no_order", { decision: "anything" }],
    ["no_order", { decision: `vote@${tick}` }],
    ["no_order", { decision: `vote@${tick}~1@${members[1]}` }],
    ["other_instant", { instant: instant + 1 }],
    ["other_instant", { instant: 8e15 }],
    [
      "too_early",
      { decision: "vote@9999-12-31T00:00:00Z~1", instant: instantOf("9999-12-31T00:00:00Z" as TickId) },
    ],
    ["no_runner", { value: "x".repeat(4_000) }],
    ["no_runner", { value: "" }],
    ["no_epoch", { decision: next, value: epochOf([], now + 60_000) }],
    ["no_epoch", { decision: next, value: epochOf([members[0], members[0]], now + 60_000) }],
    ["no_epoch", { decision: next, value: epochOf(["x".repeat(200)], now + 60_000) }],
    ["no_epoch", { decision: next, value: `{"voters":["peer-1"],"from":1e999}` }],
    ["from_too_late", { decision: next, value: epochOf(members, 8e15) }],
  ];
  const before = [state.voting.voter.votes.size, state.voting.voter.voted, state.voting.voter.voteCount];
  for (const [why, item] of items) {
    const ballot = { round: 2 ** 52, peer: members[1], incarnation: 1 };
    const counter = `vote_barred_${why}`;
    const counted = mesh.peer(victim).status.view().counters[counter] ?? 0;
    mesh.sendAs(members[1], "vote", {
      kind: "ballots",
      ballots: [{ decision, epoch, instant, ballot, ...item }],
    });
    assert.equal(
      mesh.peer(victim).status.view().counters[counter],
      counted + 1,
      JSON.stringify(item).slice(0, 200),
    );
  }
  const value = epochOf([stranger], now + 60_000);
  const ballot = { round: 9, peer: stranger, incarnation: 1 };
  mesh.sendAs(stranger, "vote", {
    kind: "ballots",
    ballots: [{ decision: next, epoch, instant: 0, ballot, value }],
  });
  assert.equal(mesh.peer(victim).status.view().counters["vote_barred_stranger"], 1);
  assert.deepEqual(
    [state.voting.voter.votes.size, state.voting.voter.voted, state.voting.voter.voteCount],
    before,
  );
});

test("a proposer that is outbid by nonsense loses only that decision", () => {
  const cores = new Cores(["a", "b", "c"]);
  cores.pass(60_000);
  cores.put({ id: "beat", schedule: "@every 10s", command: "true", partition: "majority" });
  let refusals = 0;
  for (let until = 0; until < 600; until++) {
    if (until % 100 === 75) cores.split(["a"], ["b"], ["c"]);
    if (until % 100 === 15) cores.heal();
    for (const [decision, { proposal }] of cores.state("a").voting.proposer.elections) {
      const promised = { round: 2 ** 52, peer: "c" as PeerId, incarnation: 1 };
      const refused = { decision, answer: "refused" as const, ballot: proposal.ballot, promised };
      cores.feed("a" as PeerId, {
        kind: "heard",
        from: "b" as PeerId,
        message: { kind: "replies", replies: [refused] },
      });
      refusals++;
    }
    cores.pass(100);
  }
  assert.ok(refusals > 10, `${refusals} refusals`);
  assert.ok(cores.state("a").voting.proposer.round < 2 ** 20);
  cores.pass(60_000);
  assert.ok(cores.starts.length >= 6, `${cores.starts.length} starts`);
});

test("only the voters' signatures of an epoch are kept", () => {
  const [first, voters] = [firstEpoch(victim), [...members]];
  const next = { number: 1, voters, from: 1, previous: hashOfEpoch(first) };
  const junk = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`nobody-${index}`, "junk"]));
  const heard = { ...next, signatures: { ...junk, [victim]: "right" } };
  const { chain } = adoptChain(
    [first],
    [heard],
    (peer, _, signature) => peer === victim && signature === "right",
  );
  assert.deepEqual(chain.at(-1)?.signatures, { [victim]: "right" });
});

/** A record as long as its schema lets it be, and signed. */
function longRecord(mesh: FuzzMesh, number: number): RunRecord {
  const instant = Math.floor(mesh.world.now() / 1_000) * 1_000 - number * 1_000;
  const passed = Array.from({ length: 128 }, (_, index) => ({
    peer: `${index}`.padEnd(128, "\u0001") as PeerId,
    why: "declined" as const,
  }));
  const record: RunRecord = {
    job: "long" as JobId,
    tick: tickAt(instant),
    attempt: 1,
    slot: "0",
    peer: members[1],
    state: "running",
    version: 1,
    revision: "r",
    trigger: "schedule",
    rank: 0,
    due: instant,
    view: 3,
    passed,
    signature: "",
  };
  return signRecord(record, mesh.keys(members[1]));
}

test("an answer of any length is sent in messages within the limit, and arrives whole", () => {
  const mesh = new FuzzMesh("long answer");
  const records = Array.from({ length: 20 }, (_, index) => longRecord(mesh, index + 1));
  for (const record of records) {
    mesh.sendAs(members[1], "runs", {
      kind: "runs",
      records: [record],
      declined: [],
      orders: [],
      cancels: [],
    });
  }
  // What is more than a turn takes of one neighbour is taken in the next ones.
  mesh.pass(1_000);
  mesh.overheard.clear();
  const keys = Array.from({ length: 500 }, (_, index) => `long@${index}`.padEnd(450, "x"));
  const orders = keys.map((key) => ({ key, job: "long" as JobId, rank: 0, due: mesh.world.now() }));
  mesh.sendAs(stranger, "ask", { kind: "ask", id: 1, orders });
  mesh.sendAs(members[2], "ask", {
    kind: "ask",
    id: 7,
    orders: orders.map((order) => ({ ...order, rank: 1 })),
  });
  mesh.pass(200);
  const answers = (mesh.overheard.get("ask") ?? []).flatMap(({ message }) =>
    message.kind === "answer" && message.id !== 1 ? [message] : [],
  );
  const answered = answers.flatMap((answer) => answer.records.map(({ tick }) => tick));
  assert.ok(records.every(({ tick }) => answered.includes(tick)));
  assert.deepEqual(answers.at(-1)?.goesFirst, keys, "the answer itself comes last");
  assert.equal(mesh.tooLarge(), 0);
  assert.deepEqual(mesh.complaints, []);
});

test("a voter's answers to many long decisions fit into messages within the limit", () => {
  const mesh = new FuzzMesh("long replies");
  const epoch = mesh.state(victim).voting.roster.chain.length - 1;
  const tick = tickAt(Math.ceil(mesh.world.now() / 10_000) * 10_000);
  const ballots = Array.from({ length: 512 }, (_, index) => ({
    decision: `${"v".repeat(100)}-${index}@${tick}~1`,
    epoch,
    instant: instantOf(tick),
    ballot: { round: 1, peer: members[1], incarnation: 1 },
    value: `1/${"\u0001".repeat(128)}`,
  }));
  for (let at = 0; at < ballots.length; at += 128) {
    mesh.sendAs(members[1], "vote", { kind: "ballots", ballots: ballots.slice(at, at + 128) });
  }
  mesh.pass(1_000);
  const again = ballots.map(({ decision, ballot }) => ({
    decision,
    epoch,
    instant: instantOf(tick),
    ballot: { ...ballot, round: 2 },
  }));
  mesh.sendAs(members[1], "vote", { kind: "ballots", ballots: again });
  mesh.pass(1_000);
  const replies = (mesh.overheard.get("vote") ?? []).flatMap(({ from, message }) =>
    message.kind === "replies" && from === victim ? message.replies : [],
  );
  assert.equal(
    replies.filter(({ answer, decision }) => answer === "promised" && decision.startsWith("vv")).length,
    ballots.length,
  );
  assert.equal(mesh.tooLarge(), 0);
  assert.deepEqual(mesh.complaints, []);
});

test("a job with billions of past ticks is scanned for its last ones alone", () => {
  const spec = checkedJob({
    id: "busy" as JobId,
    command: "true",
    schedule: ["* * * * * *", "@every 1s", "*/2 * * * * *"],
  });
  const at = Date.UTC(2026, 10, 20);
  const times = { createdAt: 0, updatedAt: 0, scheduledAt: 0, resumedAt: 0, failuresFrom: 0 };
  const plan = planJob({ id: spec.id, spec, revision: "r", updatedBy: "x", pauses: [], needs: [], ...times });
  assert.ok(!Array.isArray(plan));
  // Tick by tick this would take minutes.
  const ticks = ticksOf(plan, 0, at + 1, 1_000);
  assert.deepEqual([ticks.length, ticks[0], ticks.at(-1)], [1_000, at - 999_000, at]);
  assert.deepEqual(ticksOf(plan, at - 1_500, at, 1_000), [at - 1_000]);
});

test("a neighbour that asks for many pieces at once gets only a few, and of its record requests only the last", () => {
  const mesh = new FuzzMesh("greedy");
  mesh.overheard.clear();
  const bucket = Math.floor(mesh.world.now() / 300_000);
  // More of them would wait, because one turn takes only so much from a neighbour.
  const requests = 34;
  for (let id = 0; id < requests; id++) {
    mesh.sendAs(members[1], "log", { kind: "log-read", id, run: "x", offset: 0, length: 131_072 });
    mesh.sendAs(members[1], "sync", { kind: "want", id, page: 1, buckets: [bucket], have: [] });
  }
  mesh.pass(100);
  const { counters } = mesh.peer(victim).status.view();
  assert.equal(counters["log_reads_refused"], requests - 32);
  const given = (mesh.overheard.get("sync") ?? []).flatMap(({ from, message }) =>
    from === victim && message.kind === "records" ? [message.id] : [],
  );
  assert.deepEqual([...new Set(given)], [0, requests - 1]);
});

test("a peer keeps copies of outputs only for real runs of the sender", () => {
  const mesh = new FuzzMesh("copies");
  const tick = tickAt(Math.floor(mesh.world.now() / 5_000) * 5_000);
  const end = members[1].slice(-8);
  const refused = [`x@${end}`, `beat@${tick}~1@${members[2].slice(-8)}`, `../../x@${end}`, "x".repeat(512)];
  const send = (run: string): void => {
    const bytes = base64(Buffer.from("x"));
    mesh.sendAs(members[1], "log", { kind: "log-copy", run, piece: 0, pieces: 1, bytes });
  };
  const refusedSoFar = () => mesh.peer(victim).status.view().counters["log_copies_refused"];
  for (const run of refused) send(run);
  assert.equal(refusedSoFar(), refused.length);
  // Runs of the sender of which it has no record: their outputs would never be removed again.
  const invented = Array.from({ length: 20 }, (_, number) => `invented-${number}@${tick}~1@${end}`);
  for (const run of invented) send(run);
  mesh.pass(15_000);
  assert.equal(refusedSoFar(), refused.length + invented.length);
});

test("a farewell in the name of an unknown peer adds no member", () => {
  const mesh = new FuzzMesh("farewell");
  const known = [...mesh.state(victim).members.byId.keys()];
  for (let number = 0; number < 100; number++) {
    mesh.sendAs(`nobody-${number}` as PeerId, "members", { kind: "leave", incarnation: number });
  }
  assert.deepEqual([...mesh.state(victim).members.byId.keys()], known);
});

test("members that come and go under ever new ids are dropped, the longest gone first", () => {
  const mesh = new FuzzMesh("new names");
  for (let number = 0; number < 1_100; number++) {
    const peer = `passer-by-${number}` as PeerId;
    mesh.linkUp(peer);
    mesh.linkDown(peer, "closed");
    if (number % 300 === 0) mesh.pass(3_000);
  }
  const { byId: known } = mesh.state(victim).members;
  assert.ok(known.size <= 1_000, `${known.size} members`);
  assert.ok(members.every((peer) => peer === victim || known.get(peer)?.state === "alive"));
  assert.ok(known.has("passer-by-1099" as PeerId));
});

test("endless orders, or orders for a distant time, don't fill a peer's memory", () => {
  const mesh = new FuzzMesh("asked");
  const now = Math.floor(mesh.world.now());
  const dice = new Dice("ulids");
  const order = (at: number): RequestedOrder => ({
    job: "by-hand" as JobId,
    tick: `manual-${ulid(at, dice.bytes(16))}` as TickId,
    trigger: "manual",
    requestedAt: at,
    by: "x",
  });
  const sendAs = (orders: RequestedOrder[]): void =>
    mesh.sendAs(stranger, "runs", { kind: "runs", records: [], declined: [], orders, cancels: [] });
  sendAs(Array.from({ length: 100 }, () => order(now + 2 * 3_600_000)));
  sendAs(Array.from({ length: 100 }, () => ({ ...order(now), requestedAt: 8e15 })));
  assert.equal(mesh.state(victim).book.orders.size, 0);
  for (let batch = 0; batch < 15; batch++) sendAs(Array.from({ length: 1_000 }, () => order(now + 60_000)));
  // They are taken at the pace of the sender's share of the victim's work.
  mesh.pass(5_000);
  assert.equal(mesh.state(victim).book.orders.size, 10_000);
  assert.equal(mesh.state(victim).book.requestedCount, 10_000);
});

test("wrong statements of a member, however many, neither stop a voter from voting nor make it doubt itself", () => {
  const mesh = new FuzzMesh("slip");
  const heartbeat = mesh.overheard.get("heartbeat")?.findLast(({ from }) => from === members[1])?.message;
  assert.ok(heartbeat?.kind === "heartbeat");
  const { incarnation } = mesh.state(victim).settings;
  const echo = { incarnation, count: 0, sentAt: mesh.world.now(), heardAt: mesh.world.now() };
  const slips = [
    { duplicateIdentity: true },
    { echo: { ...echo, incarnation: incarnation + 1 } },
    { echo, seenVotes: { [victim]: 2 ** 53 } },
  ];
  for (const slip of slips) {
    mesh.sendAs(members[1], "heartbeat", { ...heartbeat, ...slip });
    mesh.pass(3_000);
  }
  const heardVoteWord = { votes: 2 ** 52, signature: heartbeat.voteWord?.signature ?? "" };
  const lies = [
    { duplicateIdentity: true },
    { echo, seenVotes: { [victim]: 2 ** 52 } },
    { echo, heardVoteWord },
  ];
  for (const lie of lies) {
    for (let times = 0; times < 20; times++) {
      mesh.sendAs(members[1], "heartbeat", { ...heartbeat, ...lie });
    }
  }
  assert.deepEqual(mesh.peer(victim).status.notReady(), []);
  assert.equal(mesh.state(victim).voting.voter.memory, "sure");
});

test("only a limited number of one member's endless records is remembered", () => {
  const mesh = new FuzzMesh("records");
  const instant = Math.floor(mesh.world.now() / 1_000) * 1_000;
  const keys = mesh.keys(members[1]);
  const { passed: _, ...short } = longRecord(mesh, 1);
  let number = 0;
  const sendAs = (count: number, change: (number: number) => Partial<RunRecord>): void => {
    for (let left = count; left > 0; left -= 400) {
      const records = Array.from({ length: Math.min(left, 400) }, () => {
        return signRecord({ ...short, due: instant, ...change(++number) }, keys);
      });
      mesh.sendAs(members[1], "runs", { kind: "runs", records, declined: [], orders: [], cancels: [] });
    }
  };
  const { ledger } = mesh.state(victim);
  const [open, known] = [[...openRecords(ledger)].length, recordsInMemory(ledger)];
  sendAs(400, (n) => ({ state: "succeeded", tick: tickAt(instant + (n + 100_000) * 1_000) }));
  assert.equal(recordsInMemory(ledger), known, "nothing of the day after tomorrow");
  sendAs(24_000, (n) => ({ state: "succeeded", job: `ghost-${n}` as JobId }));
  assert.ok(recordsInMemory(ledger) <= known + 20_000, `${recordsInMemory(ledger)} records of no job`);
  sendAs(18_000, (n) => ({ tick: tickAt(instant - n * 1_000) }));
  assert.ok([...openRecords(ledger)].length <= open + 16_384, "open runs of one peer");
  assert.equal(openCount(ledger, members[1]), openOn(ledger, members[1]).length);
});

test("claims that were given back and never made again are forgotten eventually", () => {
  const ledger = createLedger();
  const at = Date.UTC(2026, 10, 20);
  const record = { job: "beat", attempt: 1, slot: "0", peer: "a", version: 1, signature: "s" };
  for (let tick = 0; tick < 100; tick++) {
    const claim = { ...record, tick: tickAt(at + tick * 1_000), state: "claimed" } as RunRecord;
    takeRecord(ledger, claim, 0, true);
    const end = { ...claim, state: "withdrawn", version: 2, signature: "t" } as RunRecord;
    if (tick < 50) takeRecord(ledger, end, 0, true);
    else dropRecord(ledger, claim);
  }
  const remembered = (): number =>
    Array.from({ length: 100 }, (_, tick) => [
      ...recordsOf(ledger, orderKey("beat" as JobId, tickAt(at + tick * 1_000), 1, "0")),
    ]).flat().length;
  forgetGivenBack(ledger, ({ tick }) => instantOf(tick) < at + 20_000);
  assert.equal(remembered(), 30);
  forgetGivenBack(ledger, () => true);
  assert.equal(remembered(), 0);
});

test("a stamp from the year 2150 affects no other job, and an edit gives its own job the present time", () => {
  const mesh = new FuzzMesh("stamp");
  const absurd = Date.UTC(2150, 0, 1) * hlcPerMs;
  const doc = new Y.Doc();
  doc.clientID = 7_000;
  const map = new Y.Map<unknown>();
  map.set(`created@${stranger}`, { hlc: absurd, by: "x", value: "odd" });
  map.set(`action@${stranger}`, { hlc: absurd, by: "x", value: { command: "true" } });
  map.set(`schedule@${stranger}`, { hlc: absurd, by: "x", value: { schedule: "@every 5s" } });
  map.set("pause@01ARZ3NDEKTSV4RRFFQ69G5FAV", { at: 1, by: "x" });
  doc.getMap("jobs").set("01ARZ3NDEKTSV4RRFFQ69G5FAV", map);
  mesh.sendAs(stranger, "jobs", { kind: "update", update: base64(Y.encodeStateAsUpdate(doc)) });
  const table = mesh.table(victim);
  const isOfNow = (instant = Infinity): boolean => Math.abs(instant - mesh.world.now()) < 5_000;
  mesh.put({ id: "fresh" as JobId, command: "true", schedule: "@every 5s" });
  mesh.pass(1_000);
  assert.ok(isOfNow(table.jobs().get("fresh" as JobId)?.createdAt));
  const patch = { description: "mended" };
  assert.equal(answerTo(mesh, { kind: "patch-job", id: "odd" as JobId, patch, by: "ann" }).kind, "job");
  const odd = table.jobs().get("odd" as JobId);
  assert.ok(odd !== undefined && isOfNow(odd.scheduledAt) && isOfNow(odd.createdAt));
  assert.deepEqual([odd.spec.schedule, odd.spec.description, odd.pauses.length], ["@every 5s", "mended", 1]);
  answerTo(mesh, { kind: "resume-job", id: "odd" as JobId, by: "ann" });
  mesh.pass(12_000);
  assert.ok(
    mesh.runs().some(({ job }) => job === "odd"),
    "it runs again",
  );
});

test("a cancel with a long reason ends its run with a record that others accept", () => {
  const mesh = new FuzzMesh("cancel");
  const run = (): RunRecord | undefined =>
    [...openOn(mesh.state(victim).ledger, victim)].find(({ state }) => state === "claimed");
  for (let waited = 0; run() === undefined && waited < 60; waited++) mesh.pass(500);
  const claim = run();
  assert.ok(claim !== undefined);
  const cancel = { run: runId(claim), by: "y".repeat(256), reason: "z".repeat(256) };
  mesh.sendAs(stranger, "runs", { kind: "runs", records: [], declined: [], orders: [], cancels: [cancel] });
  mesh.pass(2_000);
  assert.deepEqual(mesh.complaints, []);
  assert.equal(run()?.tick === claim.tick, false);
});

test("a file of jobs with an alias that leads nowhere is refused with its name", () => {
  for (const text of ["id: *nobody\n", "<<: *x\n"]) {
    assert.throws(() => parseJobs(text, "jobs.yaml"), { name: "CicadaError", message: /jobs\.yaml/ });
  }
});

test("endless questions about unknown orders are forgotten, the oldest first", () => {
  const mesh = new FuzzMesh("questions");
  for (let ask = 0; ask < 140; ask++) {
    const orders = Array.from({ length: 512 }, (_, index) => ({
      key: `ghost@${ask}-${index}`,
      job: "ghost" as JobId,
      rank: 0,
      due: mesh.world.now(),
    }));
    // One alone would use up its share of the victim's work sooner.
    mesh.sendAs(`stranger-${ask % 20}` as PeerId, "ask", { kind: "ask", id: ask, orders });
  }
  // What is more than a turn takes of one neighbour is taken in the next ones.
  mesh.pass(200);
  const { foreignInquiries } = mesh.state(victim).book;
  assert.equal(foreignInquiries.size, 65_536);
  assert.ok(
    foreignInquiries.has("ghost@139-511" as OrderKey) && !foreignInquiries.has("ghost@0-0" as OrderKey),
  );
  mesh.pass(10_000);
  assert.equal(foreignInquiries.size, 0);
});

test("a roster that has changed a thousand times is read from the disk unchanged", () => {
  const signatures = { [victim]: "signature" };
  const chain = Array.from({ length: 1_000 }, (_, number) => ({
    number,
    voters: [victim],
    from: number,
    previous: "",
    signatures,
  }));
  assert.deepEqual(readChain(JSON.stringify(chain)), chain);
});

test("an epoch without signatures is accepted only as the founder's own first one", () => {
  const heard = { number: 0, voters: [victim], from: 8e15, previous: "x", signatures: {} };
  assert.deepEqual(adoptChain([], [heard], () => true).chain, []);
  assert.equal(adoptChain([], [firstEpoch(victim)], () => false).chain.length, 1);
});
