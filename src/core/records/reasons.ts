/** What the reasons in run records mean, in words: for the story of a tick (why.ts) and for notices (notice-text.ts). */
import { giveBacksMax, type RunRecord } from "../../schema/run.ts";
import { parentReason } from "../job/chain.ts";

const reasons: Readonly<Record<string, string>> = {
  overlap:
    "an earlier run of the job had not ended, and the job's overlap policy allows no second run to start or wait",
  paused: "the job was paused",
  asked: "a person asked for it",
  maintenance: "it was due during maintenance",
  backfilled: "an earlier request had asked for the same tick",
  calendar:
    "a calendar that the job's `except` names was missing, so nobody could tell whether the job leaves the tick out",
  policy: "it was overdue, and the job's catchUp policy is none",
  window: "no peer could run it before its catch-up window closed",
  superseded:
    "no peer could run it in time, and then a newer tick of the job was due (catchUp policy latest)",
  limit: "more ticks were overdue than the job's catchUp limit allows",
  restarted: "the peer was restarted",
  "out-claimed": "another peer had the better claim, or had started it",
  "job-changed": "the job was edited, disabled or deleted in the meantime",
  draining: "the peer was being stopped or drained",
  "warming-up": "the peer had just started and had to hear from the others first",
  settling: "the peer had just started and had to hear from the others first",
  turn: "its turn had come, and the peer claimed it again",
  late: "the peer was delayed, and too late to start it without asking again",
  "paused-peer": "the peer's process had been paused",
  clock: "the peer's clock was too far off the others'",
  host: "the peer's host could not start runs",
  disk: "the peer could not write its data folder",
  "retry-nowhere": "the job's retry.where leaves no peer that may repeat it",
  replaced: "a newer tick of the job has replaced it",
  "given-back": `${giveBacksMax} peers that the voters had chosen gave it back without starting it`,
  "too-old-to-vote":
    "its job is a majority job, whose voters remember their votes for a day, and the tick is older than that",
  "no-quorum": "no majority of the voters could be reached before its window closed",
  "chosen and gone": "the voters had chosen a peer that died before it could say whether it started it",
  offline: "its peer was away, and the job's target.offline says how long to wait for it",
  forgotten: "its peer was forgotten",
  stopped: "the tick's failed runs had reached the job's target.rolling.stopAfter",
  rolling: "it was not its turn yet: the job's target.rolling.max says how many run at once",
  precheck: "there was nothing to do",
  "exit-code": "the job's success.skipCodes say that there was nothing to do",
  "its peer died": "the peer that ran it died",
  "its peer left": "the peer that ran it left",
  "its peer was forgotten": "the peer that ran it was forgotten",
};

/** The record's reason as the end of a sentence, with its colon; "" if it has none. */
export function because(record: RunRecord): string {
  if (record.reason?.startsWith(parentReason) === true) return `: its ${record.reason}`;
  if (record.askedBy !== undefined)
    return `: ${record.askedBy} asked for it${record.note === undefined ? "" : `: ${record.note}`}`;
  return record.reason === undefined ? "" : `: ${reasons[record.reason] ?? record.reason}`;
}
