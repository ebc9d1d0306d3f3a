/** Turns writes into the text that the writing thread gets, and the reading thread's text into values. */
import type { Loaded, RunPage, Things, Write, WrongJobs } from "../../ports/disk.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { DiskResult, TextWrite } from "./protocol.ts";
import { parseOrder, parseOther, parseRecord, parseVote, parseWatermark } from "./parse.ts";

export function asLoaded(loaded: Extract<DiskResult, { kind: "loaded" }>): Loaded {
  return {
    updates: loaded.updates,
    records: loaded.records.map(parseRecord),
    orders: loaded.orders.map(parseOrder),
    ordersLeftOut: loaded.ordersLeftOut,
    votes: loaded.votes.map(parseVote),
    watermarks: loaded.watermarks.map(parseWatermark),
    horizons: loaded.horizons,
    meta: new Map(loaded.meta),
  };
}

export function asPage({ records, next, total, beside }: Extract<DiskResult, { kind: "page" }>): RunPage {
  return { records: records.map(parseRecord), next, total, beside: beside.map(parseRecord) };
}

export function asRecordsOfJobs({ records }: Extract<DiskResult, { kind: "newest" }>): RunRecord[][] {
  return records.map((ofJob) => ofJob.map(parseRecord));
}

export function asWrongJobs({ jobs, total }: Extract<DiskResult, { kind: "wrong" }>): WrongJobs {
  return { jobs: jobs.map(({ last, counts }) => ({ last: parseRecord(last), counts })), total };
}

export function asThings({ records, orders, others, next }: Extract<DiskResult, { kind: "things" }>): Things {
  return {
    records: records.map(parseRecord),
    orders: orders.map(parseOrder),
    others: others.map(parseOther),
    next,
  };
}

export function asText(write: Write): TextWrite {
  switch (write.kind) {
    case "record":
      return { kind: "record", text: JSON.stringify(write.record) };
    case "order":
      return { kind: "order", text: JSON.stringify(write.order) };
    case "other":
      return { kind: "other", text: JSON.stringify(write.record) };
    // Bytes are copied, because a view would take its whole buffer along to the other thread.
    case "output":
      return { kind: "output", run: write.run, bytes: Uint8Array.from(write.bytes) };
    case "update":
    case "snapshot":
      return { kind: write.kind, update: Uint8Array.from(write.update) };
    case "audit":
      return { kind: "audit", text: JSON.stringify(write.entry) };
    case "revision": {
      const { job, revision, at, spec } = write.revision;
      const text = JSON.stringify(write.revision);
      return { kind: "revision", job, revision, at, deleted: spec === undefined, text };
    }
    case "watermark":
      return { kind: "watermark", job: write.watermark.job, text: JSON.stringify(write.watermark) };
    case "vote":
      return {
        kind: "vote",
        decision: write.vote.decision,
        instant: write.vote.instant,
        text: JSON.stringify(write.vote),
      };
    case "meta":
    case "drop-watermark":
    case "drop-horizon":
    case "drop-votes":
      return write;
  }
}
