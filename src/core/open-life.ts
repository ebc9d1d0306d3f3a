/** A life of this peer begins: it takes up what it finds on its disk (DESIGN, Starting, stopping, restarting). */
import { runId } from "../schema/ids.ts";
import { noteAnnouncement } from "./claims/record-moved.ts";
import { settingKinds } from "../schema/setting.ts";
import { isFinal } from "../schema/run-states.ts";
import { noteBackfilled } from "./claims/backfill-index.ts";
import { followChains } from "./claims/chain-ticks.ts";
import { isOwnGivenBack } from "./claims/claims.ts";
import { admitRetry } from "./claims/order-book.ts";
import type { Event } from "./events.ts";
import { signLife } from "./members/lives.ts";
import { heartbeatAtOnce, memberOf } from "./members/members.ts";
import { restoreSuperseded } from "./members/superseded-key.ts";
import { clockRefusedMs } from "./members/suspicion.ts";
import { takeAdmissions } from "./operator/admissions.ts";
import { restoreDrained } from "./operator/drain.ts";
import { isForgotten, restoreSelfForgotten } from "./operator/forgotten.ts";
import { openMembership } from "./operator/membership.ts";
import { takeChange, takeOrders, takeSettings } from "./orders/admission.ts";
import { noteEarlierRecord, noteEarlierStart } from "./orders/earlier-life.ts";
import { noteAhead, noteLastAlive } from "./orders/own-clock.ts";
import { openHistory } from "./orders/scan.ts";
import { openForgetting } from "./orders/sweep.ts";
import { beginWarmUp } from "./orders/warm-up.ts";
import { setCyclic } from "./job/timetable.ts";
import { recentMs } from "./limits.ts";
import { isPlanted } from "./probes/planted.ts";
import { takeRecord } from "./records/ledger.ts";
import { awaitsOwnEnd, isDecidedAhead } from "./records/records.ts";
import { noteTooLate } from "./records/too-late.ts";
import type { State } from "./state.ts";
import { openRoster } from "./voting/epochs.ts";

/** How long after a tick's end its notices are looked for at a start, ms. */
const announcedAgainMs = 3_600_000;

export function openLife(state: State, event: Extract<Event, { kind: "loaded" }>): void {
  const { mono, wall } = state.now;
  state.alive = true;
  signLife(state);
  heartbeatAtOnce(state);
  state.sweepAtMono = mono;
  state.plannedWakeMono = mono;
  openHistory(state, event.watermarks, event.prunedAhead ?? [], event.loadedSince, event.lastAlive ?? wall);
  openForgetting(state, event);
  if (event.lastAlive !== undefined) noteLastAlive(state, event.lastAlive);
  state.tableDigest = event.tableDigest;
  setCyclic(state.jobs, event.cyclic ?? new Map());
  state.addresses = event.addresses;
  restoreDrained(state, event.drained);
  restoreSelfForgotten(state, event.selfForgotten);
  restoreSuperseded(state, event.superseded);
  openRoster(state, event);
  openMembership(state, event.membership ?? [], event.keptMembership);
  for (const record of event.records) {
    if (isFinal(record.state) && isPlanted(state, "catch-up-repeats")) continue;
    const recent = wall - record.due < recentMs || isOwnGivenBack(state, record);
    takeRecord(state.ledger, record, mono, recent);
    if (record.peer === state.settings.self) noteTooLate(state.ledger, record, mono);
    if (isDecidedAhead(record, wall + clockRefusedMs)) noteAhead(state);
  }
  for (const kind of settingKinds) takeSettings(state, kind, event.settings?.[kind] ?? new Map());
  for (const job of event.jobs) takeChange(state, { id: job.id, job });
  takeOrders(state, event.orders, true);
  for (const record of event.records) {
    const own = record.peer === state.settings.self;
    const isUnrecorded = record.state === "claimed" && event.started.has(runId(record));
    if (own && isUnrecorded) noteEarlierStart(state, record);
    else if (own && awaitsOwnEnd(record)) noteEarlierRecord(state, record);
    else {
      noteBackfilled(state, record);
      followChains(state, record);
      admitRetry(state, record);
    }
    // A notice may not have been sent yet when the last life ended; whether it was, its record says.
    if (wall - (record.finishedAt ?? record.due) < announcedAgainMs) noteAnnouncement(state, record, record);
  }
  const expected = event.expected.filter((peer) => !isForgotten(state, peer));
  for (const peer of expected) memberOf(state, peer);
  const { joins = [], unreadableJoins = [], confirmations = [] } = event;
  takeAdmissions(state, { joins, unreadableJoins, confirmations });
  beginWarmUp(state, expected, event.unresolved);
}
