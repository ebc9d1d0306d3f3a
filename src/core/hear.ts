/**
 * The other peers: what their messages and links do, what follows when who is there changes, and the heartbeats to them. Only
 * this file branches on messages.
 */
import { reviewDeferred } from "./records/announcements.ts";
import { never } from "../errors.ts";
import type { MessageOf } from "../schema/message.ts";
import { mark } from "./probes/marks.ts";
import { hearAnswer, hearAsk } from "./claims/asking.ts";
import { hearChosen, hearReplies } from "./voting/proposer.ts";
import { hearSkip, hearSkipConfirmed } from "./operator/skips.ts";
import { cancelOwn, hearCancel, hearCancelConfirmed } from "./operator/cancel.ts";
import { adopt, hearRosterDigest } from "./voting/epochs.ts";
import { hearVoteCounts, loseMemory, signVotes, voteCounts, votesFor } from "./voting/memory.ts";
import type { CoreMessage, Event } from "./events.ts";
import { hearDrain, hearDrained } from "./operator/drain.ts";
import { isForgotten } from "./operator/forgotten.ts";
import {
  hasUnheardRecords,
  hearGossip,
  hearHeartbeat,
  hearLeave,
  linkUp,
  memberOf,
} from "./members/members.ts";
import { heartbeatTo, peersInReach } from "./members/heartbeat.ts";
import { isNewClock } from "./members/clocks.ts";
import { hearDeclined } from "./claims/order-book.ts";
import { recountAllPeers } from "./claims/peer-sets.ts";
import { touchAll } from "./claims/touched.ts";
import { openDigest, openOn } from "./records/ledger.ts";
import { declareLost, takeRecords } from "./orders/runs.ts";
import { awaitSync } from "./orders/warm-up.ts";
import { emit, type State } from "./state.ts";
import type { Member } from "./members/members-state.ts";
import { takeOrders } from "./orders/admission.ts";
import { hearDuplicateReport } from "./members/duplicate-identity.ts";
import { hearBallots } from "./voting/acceptor.ts";
import { instantOf, type PeerId } from "../schema/ids.ts";

export function hear(state: State, from: PeerId, message: CoreMessage): void {
  switch (message.kind) {
    case "heartbeat":
      hearHeartbeatOf(state, from, message);
      hearRosterDigest(state, from, message);
      hearVoteCounts(state, from, message);
      if (hearDuplicateReport(state, from, message)) loseMemory(state, "duplicate");
      if (hasUnheardRecords(state, from, message.open)) {
        mark(state, "records-fetched");
        // Runs that began by a clock which was ahead then may have ended.
        const until = Math.max(...openOn(state.ledger, from).map(({ tick }) => instantOf(tick)));
        emit(state, { kind: "syncRecent", peer: from, until });
      }
      return;
    case "runs":
      if (hearGossip(state, from)) membersChanged(state);
      return hearRuns(state, from, message);
    case "leave":
      if (hearLeave(state, from, message.incarnation)) membersChanged(state);
      return;
    case "ask":
      return hearAsk(state, from, message);
    case "answer":
      takeRecords(state, message.records);
      return hearAnswer(state, from, message);
    case "drain":
      return hearDrain(state, from, message);
    case "drained":
      return hearDrained(state, message);
    case "cancel":
      return hearCancel(state, from, message);
    case "cancel-heard":
      return hearCancelConfirmed(state, message);
    case "skip":
      return hearSkip(state, from, message);
    case "skip-heard":
      return hearSkipConfirmed(state, message);
    case "ballots":
      return hearBallots(state, from, message.ballots);
    case "replies":
      return hearReplies(state, from, message.replies);
    case "chosen":
      for (const { decision, value } of message.chosen) hearChosen(state, decision, value);
      return;
    case "roster":
      return adopt(state, message.epochs, from);
    default:
      return never(message);
  }
}

/** The first heartbeat of a new clock is answered at once, so that the offset to it is known as soon as possible. */
function hearHeartbeatOf(state: State, from: PeerId, heartbeat: MessageOf<"heartbeat">): void {
  const isNew = isNewClock(heartbeat, state.members.byId.get(from)?.heartbeat);
  if (hearHeartbeat(state, from, heartbeat)) membersChanged(state);
  const member = state.members.byId.get(from);
  if (!isNew || member?.linked !== true) return;
  sendHeartbeats(state, [member]);
}

function hearRuns(state: State, from: PeerId, message: MessageOf<"runs">): void {
  takeRecords(state, message.records);
  takeOrders(state, message.orders);
  hearDeclined(state, from, message.declined);
  for (const { run, by, reason } of message.cancels) cancelOwn(state, run, by, reason);
}

/** Messages and links of a forgotten peer that were still on their way. */
export function isOfForgotten(state: State, event: Event): boolean {
  if (state.operator.forgotten.size === 0) return false;
  if (event.kind === "heard") return isForgotten(state, event.from);
  return "peer" in event && isForgotten(state, event.peer);
}

/** A peer is linked. */
export function upWith(state: State, peer: PeerId): void {
  const before = memberOf(state, peer).state;
  if (linkUp(state, peer)) membersChanged(state);
  if (before === "dead") awaitSync(state, peer);
  sendHeartbeats(state, [memberOf(state, peer)]);
}

/** What follows when a member came, left, or may take other ticks than before. */
export function membersChanged(state: State): void {
  recountAllPeers(state);
  touchAll(state);
  reviewDeferred(state.ledger.announcements);
  if (state.upkeep.warmUp === undefined) declareLost(state);
}

export function sendHeartbeats(state: State, members: readonly Member[]): void {
  const open = openDigest(state.ledger, state.settings.self);
  const inReach = peersInReach(state);
  signVotes(state);
  const counts = voteCounts(state);
  for (const member of members) {
    const message = heartbeatTo(state, member, open, inReach, votesFor(state, member.id, counts));
    emit(state, { kind: "send", to: member.id, protocol: "heartbeat", message });
  }
}
