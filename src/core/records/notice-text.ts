/** A notice in words and fields, from the records of its tick. */
import { hash } from "node:crypto";
import { instantOf, runId, type JobId, type PeerId, type TickId } from "../../schema/ids.ts";
import type { Job } from "../../schema/job.ts";
import { noticeKey, type Notice, type NoticeEvent } from "../../schema/notice.ts";
import type { RunRecord } from "../../schema/run.ts";
import { because } from "./reasons.ts";
import { duplicatesIn, finalWordOf, hasStarted, slotCountIn, stoppedSlots, storyOf } from "./records.ts";
import { formatDuration } from "../time/units.ts";

export interface NoticeFacts {
  job: Job;
  tick: TickId;
  event: NoticeEvent;
  /** every record of the tick */
  records: readonly RunRecord[];
  /** the peer that sends it */
  self: PeerId;
  nameOf: (peer: PeerId) => string;
  /** ms since the epoch */
  at: number;
}

export function makeNotice({ job, tick, event, records, self, nameOf, at }: NoticeFacts): Notice {
  const story = finalWordOf(records);
  const run = story !== undefined && hasStarted(story) ? story : undefined;
  const peer = run?.peer ?? self;
  return {
    key: noticeKey(job.id, tick, event),
    event,
    job: job.id,
    tick,
    run: run === undefined ? undefined : runId(run),
    state: story?.state ?? "pending",
    reason: story?.reason,
    exitCode: story?.exitCode,
    peer: { id: peer, name: nameOf(peer) },
    at,
    startedAt: run?.startedAt,
    finishedAt: run?.finishedAt,
    group: job.spec.group ?? "default",
    owner: job.spec.owner,
    description: job.spec.description,
    text: sentence(job.id, tick, event, records, nameOf),
  };
}

function sentence(
  job: JobId,
  tick: TickId,
  event: NoticeEvent,
  records: readonly RunRecord[],
  nameOf: NoticeFacts["nameOf"],
): string {
  const story = finalWordOf(records);
  const which = `${job}, tick ${tick},`;
  if (event === "paused") return `${job} is paused`;
  if (story === undefined) return `${which} ${event}`;
  const on = ` on ${nameOf(story.peer)}`;
  const why = because(story);
  switch (event) {
    case "failed": {
      const stopped = stoppedSlots(records);
      if (stopped > 0) {
        const all = slotCountIn(records);
        return `${which} failed and was stopped: ${howItWent(records)}${on}, and ${stopped} of its ${all} runs were not started`;
      }
      if (story.state === "timeout") return `${which} timed out${on}${lasted(story)}`;
      const how = story.exitCode === undefined ? signalOf(story) : ` with exit code ${story.exitCode}`;
      const tries = story.attempt > 1 ? `, the last of ${story.attempt} attempts` : "";
      return `${which} failed${how}${on}${lasted(story)}${tries}${why}`;
    }
    case "recovered":
      return `${which} succeeded again${on}`;
    case "missed":
    case "skipped":
      return `${which} was ${event}${why}`;
    case "lost":
      // Its own peer has lost it, and lives on.
      if (story.by === undefined && story.reason?.startsWith("its peer ") === false)
        return `${which} was lost${on}${why}`;
      return story.startedAt === undefined
        ? `${which} was to run${on} when that peer ${fateOf(story)}; whether it started isn't known`
        : `${which} was running${on} when that peer ${fateOf(story)}; how it ended isn't known`;
    case "late": {
      const lateMs = (story.startedAt ?? story.due) - story.due;
      return `${which} started ${roundedDuration(lateMs)} late${on}`;
    }
    case "duplicate": {
      const names = new Set(duplicatesIn(records).map(({ peer }) => nameOf(peer)));
      return `${which} ran on ${[...names].join(" and on ")}, because the mesh was split`;
    }
    case "long":
      return `${which} is still running${on}, since ${new Date(story.startedAt ?? instantOf(tick)).toISOString()}`;
  }
}

/** What became of the peer of a lost run: it died, left, was forgotten or was restarted. */
function fateOf({ reason }: RunRecord): string {
  return reason?.startsWith("its peer ") === true ? reason.slice("its peer ".length) : "died";
}

/** The run that went worst of a tick that was stopped on its way from peer to peer. */
function howItWent(records: readonly RunRecord[]): string {
  const worst = storyOf(records);
  if (worst?.state === "failed")
    return `a run failed${worst.exitCode === undefined ? signalOf(worst) : ` with exit code ${worst.exitCode}`}`;
  if (worst?.state === "timeout") return "a run timed out";
  return worst?.state === "lost" ? "a run was lost" : "a run was counted as lost";
}

function signalOf({ signal }: RunRecord): string {
  return signal === undefined ? "" : ` by signal ${signal}`;
}

function lasted({ startedAt, finishedAt }: RunRecord): string {
  if (startedAt === undefined || finishedAt === undefined) return "";
  return ` after ${roundedDuration(Math.max(0, finishedAt - startedAt))}`;
}

/** A second or more is rounded to whole seconds. */
function roundedDuration(ms: number): string {
  return formatDuration(ms < 1_000 ? Math.round(ms) : Math.round(ms / 1_000) * 1_000);
}

/**
 * The id by which a receiver drops a repeated message: a single notice's key; of several, the first one's, their number and a
 * hash of all, because another peer that continues after this one's death may put other notices together.
 */
export function messageId(notices: readonly Notice[]): string {
  const keys = notices.map(({ key }) => key);
  const [first = "", ...others] = keys;
  if (others.length === 0) return first;
  return `${first}+${others.length}/${hash("sha256", keys.join("\n"), "hex").slice(0, 16)}`;
}

/** Services that pair a start with its end want a UUID (RFC 9562, version 8: made from a hash of the tick's name). */
export function tickUuid(name: string): string {
  const digits = hash("sha256", name, "hex");
  const variant = (8 + (Number.parseInt(digits.slice(16, 17), 16) % 4)).toString(16);
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-8${digits.slice(13, 16)}-${variant}${digits.slice(17, 20)}-${digits.slice(20, 32)}`;
}
