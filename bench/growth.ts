/**
 * Measures how the cost of an event grows with what a peer holds: each figure at n, 2n and 4n. If the work is in proportion
 * to what the event changes (DESIGN §2), all three are the same, and the last column (4n over n) is 1. The column is 4 if
 * the event looks at everything, and 16 if it looks at everything once for each thing.
 */
import { tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";
import type { Heartbeat } from "../src/schema/heartbeat.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { edit, makeTable, specOf } from "../test/kit/tables.ts";
import { benchJob, LonePeer, minutelyJobs } from "./lone-peer.ts";
import { medianMicroseconds } from "./measure.ts";

export interface Growth {
  what: string;
  /** n */
  base: number;
  /** µs at n, 2n and 4n */
  microseconds: readonly number[];
}

/** The measured work. It leaves as many things as it has found. */
type Work = (number: number) => unknown;

const start = Date.UTC(2026, 10, 20, 2);
const places = 16;
const job = "busy" as JobId;
const other = "12D3KooWbenchmarkpeer0" as PeerId;

function growth(what: string, base: number, build: (count: number) => Work): Growth {
  const microseconds = [base, 2 * base, 4 * base].map((count) => medianMicroseconds(build(count)));
  return { what, base, microseconds };
}

export function growthFigures(): Growth[] {
  return [
    growth("a run ends and one is ordered, n wait for a place", 100, waitingForPlaces),
    growth("a run elsewhere begins and ends, n others are open", 500, openRecords),
    growth("a heartbeat in a mesh of n members", 25, heartbeats),
    growth("an event in a table of n jobs", 2_500, minutelyTable),
    growth("a second with n ticks that wait for a run of their job", 250, pendingTicks),
    growth("an edit in a table of n jobs, and its digest", 1_250, editedTable),
  ];
}

function waitingForPlaces(count: number): Work {
  const jobs = [benchJob(job, start, { overlap: "allow" })];
  const peer = new LonePeer({ jobs, startedAt: start, capacity: places, endsAtOnce: false });
  for (let i = 0; i < count + places; i++) peer.order(job);
  if (peer.sizes()["orders"] !== count) throw new Error("the orders that wait for a place are not there");
  return () => {
    peer.pass(20);
    peer.endOne();
    peer.order(job);
    return peer.running;
  };
}

function openRecords(count: number): Work {
  const jobs = [benchJob(job, start, { overlap: "allow" })];
  const peer = new LonePeer({ jobs, startedAt: start, capacity: places });
  peer.take({ kind: "linkUp", peer: other });
  peer.take({ kind: "heard", from: other, message: heartbeatOf(other, [other]) });
  const receive = (record: RunRecord) =>
    peer.take({
      kind: "heard",
      from: other,
      message: { kind: "runs", records: [record], declined: [], orders: [], cancels: [] },
    });
  for (let i = 0; i < count; i++) receive(foreignRecord(i, "running"));
  return (number) => {
    peer.pass(20);
    // Once a second a heartbeat shows that the other peer is alive.
    if (number % 50 === 0) {
      const heartbeat = { ...heartbeatOf(other, [other]), sentAt: peer.wall };
      peer.take({ kind: "heard", from: other, message: heartbeat });
    }
    receive(foreignRecord(count + number, "running"));
    return receive(foreignRecord(count + number, "succeeded"));
  };
}

function foreignRecord(number: number, state: "running" | "succeeded"): RunRecord {
  const due = start - number;
  return {
    job,
    tick: tickAt(start - number * 1_000),
    attempt: 1,
    slot: "0",
    peer: other,
    state,
    version: state === "running" ? 2 : 3,
    revision: "1",
    trigger: "manual",
    rank: 0,
    due,
    startedAt: due,
    view: 2,
    signature: `${state} ${number}`,
  };
}

function heartbeats(count: number): Work {
  const peer = new LonePeer({ jobs: minutelyJobs(10, start), startedAt: start, capacity: places });
  const members = Array.from({ length: count }, (_, i) => `12D3KooWbenchmarkpeer${i}` as PeerId);
  for (const member of members) {
    peer.take({ kind: "linkUp", peer: member });
    peer.take({ kind: "heard", from: member, message: heartbeatOf(member, members) });
  }
  peer.takeAll();
  return (number) => {
    const from = members[number % count] ?? other;
    return peer.take({ kind: "heard", from, message: heartbeatOf(from, members) });
  };
}

function heartbeatOf(sender: PeerId, hears: readonly PeerId[]): Heartbeat {
  return {
    kind: "heartbeat",
    incarnation: 7,
    name: sender,
    version: "0.1.0",
    sentAt: start,
    clock: { count: 0, synchronised: false },
    load: 3,
    capacity: 20,
    role: "worker",
    tags: {},
    draining: false,
    warmingUp: false,
    table: "",
    open: { count: 0, digest: "" },
    tzdata: "2026b",
    hears: hears.filter((peer) => peer !== sender),
    addresses: [],
  };
}

function minutelyTable(count: number): Work {
  const peer = new LonePeer({ jobs: minutelyJobs(count, start), startedAt: start, capacity: count });
  return () => peer.takeOne();
}

function editedTable(count: number): Work {
  const table = makeTable("a");
  const put = (number: number, owner: string) => {
    edit(table, { kind: "put", spec: specOf(`job-${number % count}`, { owner }), by: "ann" }, start);
  };
  for (let number = 0; number < count; number++) put(number, "x");
  return (number) => {
    put(number, `${number}`);
    table.takeChanges();
    return table.digest();
  };
}

function pendingTicks(count: number): Work {
  const spec = {
    schedule: "@every 1s",
    overlap: "queue-all",
    catchUp: { policy: "all", window: "7d", limit: 10_000 },
  } as const;
  const peer = new LonePeer({
    jobs: [benchJob(job, start, spec)],
    startedAt: start,
    capacity: places,
    endsAtOnce: false,
  });
  for (let i = 0; i < 2 * count + 10; i++) {
    peer.pass(1_000);
    peer.take({ kind: "woke" });
    peer.takeAll();
    if (i > count) peer.endOne();
  }
  return () => {
    peer.pass(1_000);
    peer.take({ kind: "woke" });
    peer.takeAll();
    peer.endOne();
    return peer.running;
  };
}
