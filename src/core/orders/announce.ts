/**
 * Which peer notifies people of what became of a tick: the first living one in rank, as with reports of missed ticks. The others
 * keep the announcement, and the next of them makes it if that peer dies. The peer finds out on its disk which notices are due,
 * and which were sent (peer/notices/notices.ts), so a second peer repeats nothing that it knows to be sent.
 */
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import type { Announcement } from "../records/announcements-state.ts";
import { dropOldAnnouncements, deferAnnouncement, takeQueued } from "../records/announcements.ts";
import { emit, type State } from "../state.ts";
import { isReporter } from "./reporter.ts";

/** How long an announcement that is another peer's to make is kept, ms. By then it was made, or that peer has died. */
const keptMs = 3_600_000;
/**
 * How long the announcement of another peer's record waits, so that the record of its notice, if there is one, comes
 * first; ms.
 */
const heardMs = 3_000;
/** How many announcements are looked at each second. Each costs a rank over all members. */
const announcedAtOnce = 200;

/** Called about once a second. */
export function announceTicks(state: State): void {
  const { now, upkeep, ledger } = state;
  const { announcements } = ledger;
  dropOldAnnouncements(announcements, now.mono - keptMs);
  if (announcements.queued.size === 0 || upkeep.warmUp !== undefined || upkeep.awaitingSync.size > 0) return;
  const waitsMs = isPlanted(state, "told-by-all") ? 0 : heardMs;
  const isReady = ({ isOwn, sinceMono }: Announcement) => isOwn || now.mono - sinceMono >= waitsMs;
  for (const announcement of takeQueued(announcements, announcedAtOnce, isReady))
    announce(state, announcement);
}

function announce(state: State, announcement: Announcement): void {
  const { job, tick } = announcement;
  if ((state.jobs.plans.get(job)?.notify.length ?? 0) === 0) return;
  const isItsTurn = isReporter(state, job, tick) || isPlanted(state, "told-by-all");
  if (!isItsTurn) return deferAnnouncement(state.ledger.announcements, announcement);
  mark(state, "tick-announced");
  emit(state, { kind: "announce", job, tick });
}
