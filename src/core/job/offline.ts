/**
 * What becomes of a peer's slot of a tick that runs on all peers (`target.offline`). A pure rule.
 *
 * Only that peer may run it. So while the peer is away its slot waits, as long as the job says, and then it is skipped.
 */
import type { JobSpec } from "../../schema/job.ts";
import { parseDuration } from "../time/units.ts";

/** How long a peer that is away is awaited, ms. */
export function offlineOf(offline: NonNullable<JobSpec["target"]>["offline"]): number {
  return offline === undefined || offline === "skip" ? 0 : offline === 0 ? 0 : (parseDuration(offline) ?? 0);
}

/** What is known about the peer. `away`: it is dead, has left, or takes no ticks because it is being stopped or drained. */
export type Presence = "there" | "away" | "forgotten";

/** `awaited`: until `due + offlineMs`. */
export type Absence = "none" | "awaited" | "offline" | "forgotten";

/** `due`, `wall`: ms. Before the tick is due, nothing is decided. */
export function absenceOf(presence: Presence, offlineMs: number, due: number, wall: number): Absence {
  if (presence === "there") return "none";
  if (wall < due) return "awaited";
  if (presence === "forgotten") return "forgotten";
  return wall < due + offlineMs ? "awaited" : "offline";
}
