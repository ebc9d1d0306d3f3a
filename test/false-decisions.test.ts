/**
 * A member reports thousands of ticks to come as skipped (S19): they run when they are due, whatever happens to that member, to
 * the peers and to the job meanwhile.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { JobId, PeerId, TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;
const [a, b, c] = ["a", "b", "c"] as [PeerId, PeerId, PeerId];
const by = "ops";

function tickAt(cores: Cores, at: number): TickId {
  return new Date(cores.wall(at)).toISOString().replace(".000Z", "Z") as TickId;
}

/** c's signed word that the ticks at these times (ms since the beginning) are skipped. */
function skipped(cores: Cores, ...times: readonly number[]): RunRecord[] {
  return times.map((at) => ({
    job: "beat" as JobId,
    tick: tickAt(cores, at),
    attempt: 1,
    slot: "0",
    peer: c,
    state: "skipped",
    version: 1,
    revision: "r",
    trigger: "schedule",
    rank: 0,
    due: cores.wall(at),
    finishedAt: cores.wall(at),
    reason: "overlap",
    view: 3,
    signature: `forged ${at}`,
  }));
}

function gossip(cores: Cores, records: RunRecord[]): void {
  for (const to of [a, b]) {
    const message = { kind: "runs" as const, records, declined: [], orders: [], cancels: [] };
    cores.feed(to, { kind: "heard", from: c, message });
  }
}

function ranAt(cores: Cores, ...times: readonly number[]): number[] {
  return times.filter((at) => cores.starts.some(({ tick }) => tick === tickAt(cores, at)));
}

const every = (fromMs: number, toMs: number) =>
  Array.from({ length: (toMs - fromMs) / (10 * second) }, (_, index) => fromMs + index * 10 * second);

describe("3,000 ticks that a member reports as skipped", () => {
  for (const [when, act] of [
    ["at once", () => undefined],
    [
      "after that member was forgotten",
      (cores: Cores) => cores.ask("a", { kind: "forget-peer", peer: "c", by }),
    ],
    [
      "after all peers were restarted",
      (cores: Cores) => {
        for (const peer of [a, b]) {
          cores.kill(peer);
          cores.up(peer, { records: cores.recordsOf(peer) });
        }
      },
    ],
    [
      "after the job was deleted and made anew",
      (cores: Cores) => {
        cores.remove("beat");
        cores.pass(second);
        cores.put({ id: "beat", schedule: "@every 10s", command: "true" });
      },
    ],
  ] as const) {
    test(`run when they are due, ${when}`, () => {
      const cores = new Cores(["a", "b", "c"]);
      cores.put({ id: "beat", schedule: "@every 10s", command: "true" });
      cores.pass(15 * second);
      gossip(cores, skipped(cores, ...every(30 * second, 30_030 * second)));
      act(cores);
      cores.pass(200 * second);
      const due = every(30 * second, 200 * second);
      assert.deepEqual(ranAt(cores, ...due), due);
    });
  }
});
