/**
 * Ends the open records of this peer that this life did not write (DESIGN §3, §5). Usually an earlier life wrote them, and its
 * runs are gone. But if the data folder was copied, a second process with this identity may have written them, and its runs
 * go on. So a record is ended, and what is left of its run is swept from the host, only after the warm-up, only when this peer
 * has had the time to be told of another process, and never while one is heard.
 */
import { runId, type OrderKey } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { unqueued } from "../claims/claims.ts";
import { commit, commitEnd } from "../claims/record-moved.ts";
import { isBesideAnother } from "../members/duplicate-identity.ts";
import { heard } from "../members/members.ts";
import { stretch } from "../members/members-state.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { latestOf } from "../records/ledger.ts";
import { awaitsOwnEnd, orderKeyOf } from "../records/records.ts";
import { emit, type State } from "../state.ts";

/**
 * Within this time a process is told of another one with its identity, ms: at most four heartbeats, because a member has to
 * hear both, and the older process has to name the newer one (lives.ts); one more may be lost. With less, a copy of a folder
 * ends runs that go on beside it. With more, the others learn later what a restarted peer has left behind.
 */
const heardWithinMs = 5_000;

/** Notes an open record of an earlier life, which was found on the disk or came from another peer. */
export function noteEarlierRecord(state: State, record: RunRecord): void {
  const key = orderKeyOf(record);
  const sinceMono = state.upkeep.earlierRecords.get(key)?.sinceMono ?? state.now.mono;
  state.upkeep.earlierRecords.set(key, { record, sinceMono });
}

/**
 * The same for a claim whose run had started, as its output shows. The start is recorded at once, because the others would run
 * the order when the claim's lease ends. The run was started within moments of the instant that is recorded.
 */
export function noteEarlierStart(state: State, claim: RunRecord): void {
  const record = unqueued(claim);
  const pool = state.jobs.plans.get(claim.job)?.pool;
  const startedAt = Math.max(record.due, record.claimedAt ?? record.due);
  noteEarlierRecord(
    state,
    commit(state, {
      ...record,
      state: "running",
      startedAt,
      version: record.version + 1,
      ...(pool === undefined ? {} : { inPool: pool }),
    }),
  );
}

/**
 * Whether an earlier life, or another process with this identity, may have started the order: then this life must not. A claim
 * that never started binds no one; this life may claim the order anew.
 */
export function mayHaveStartedBefore(state: State, key: OrderKey): boolean {
  const earlier = state.upkeep.earlierRecords.get(key);
  return earlier !== undefined && mayHaveRun(earlier.record);
}

/** A chosen claim of a majority job may have started even if there is no output: that may have been lost. */
function mayHaveRun({ state: how, epoch }: RunRecord): boolean {
  return how !== "withdrawn" && (how !== "claimed" || epoch !== undefined);
}

/** Whether such records wait only for time to pass. While another process is heard, they wait for its end. */
export function isAboutToEndEarlierLife(state: State): boolean {
  return state.upkeep.earlierRecords.size > 0 && !isBesideAnother(state);
}

/** Ends the records whose time has come. */
export function endEarlierLife(state: State): void {
  const { upkeep, now } = state;
  if (upkeep.earlierRecords.size === 0 || upkeep.warmUp !== undefined) return;
  const isUnspared = isPlanted(state, "earlier-life-unspared");
  if (isBesideAnother(state) && !isUnspared) {
    mark(state, "earlier-life-spared");
    return;
  }
  const waitMs = heard(state).length === 0 || isUnspared ? 0 : heardWithinMs * stretch(state);
  const due = [...upkeep.earlierRecords].filter(([, { sinceMono }]) => now.mono - sinceMono >= waitMs);
  const open = due.flatMap(([key, earlier]) => {
    upkeep.earlierRecords.delete(key);
    const record = latestOf(state.ledger, earlier.record) ?? earlier.record;
    const isOwn = state.book.holders.has(key) || state.book.runs.has(runId(record));
    return isOwn || !awaitsOwnEnd(record) ? [] : [record];
  });
  if (open.length === 0) return;
  emit(state, { kind: "sweep", runs: open.map(runId) });
  for (const record of open) end(state, record);
}

/** The record is written even if others have declared the run lost, because they still wait for this peer's own record. */
function end(state: State, record: RunRecord): void {
  const ran = mayHaveRun(record);
  const { waiting: _waiting, by: _by, ...rest } = record;
  mark(state, ran ? "earlier-life-lost" : "earlier-life-withdrawn");
  commitEnd(state, record, {
    ...rest,
    state: ran ? "lost" : "withdrawn",
    reason: "its peer was restarted",
    version: record.version + 1,
    finishedAt: state.now.wall,
  });
}
