/**
 * Cancels runs. The peer that is asked forwards the request to the peers that hold the runs, and answers when each of them has
 * confirmed it. A confirmed cancel means that the run is being ended, not that it has ended.
 */
import type { Answer, Command } from "../../ports/command.ts";
import { parseRunReference, runId, type PeerId } from "../../schema/ids.ts";
import type { MessageOf } from "../../schema/message.ts";
import type { RunRecord } from "../../schema/run.ts";
import { cancelRun, closeWithout } from "../claims/claims.ts";
import type { Order } from "../claims/order.ts";
import { isInProgress } from "../claims/slots.ts";
import { isPlanted } from "../probes/planted.ts";
import { openOfTick } from "../records/ledger.ts";
import { orderKeyOf } from "../records/records.ts";
import { emit, nextToken, type State } from "../state.ts";
import { refuse } from "./refuse.ts";

/** A peer that has not confirmed after this time counts as out of reach. */
const confirmLimitMs = 5_000;
/** The longest reason that a record holds, including the name of the person who gave it. */
const reasonMax = 256;

/** What the reference names that can still be cancelled; an answer if there is nothing. Changes nothing. */
export function cancellable(
  state: State,
  { run }: Extract<Command, { kind: "cancel-run" }>,
): { open: RunRecord[]; pending: Order[] } | Answer {
  const open = openRuns(state, run);
  if (open === undefined) return refuse("UNPROCESSABLE", `"${run}" is neither a run nor JOB@TICK`);
  const pending = pendingOf(state, run, open);
  if (open.length + pending.length > 0) return { open, pending };
  return refuse("RUN_ENDED", `no run of "${run}" is claimed or running`);
}

/** Undefined when the answer follows later, once the peers have confirmed. */
export function cancelRuns(
  state: State,
  cancel: Extract<Command, { kind: "cancel-run" }>,
  command: number,
): Answer | undefined {
  const { by, reason } = cancel;
  const found = cancellable(state, cancel);
  if ("kind" in found) return found;
  const { open, pending } = found;
  for (const order of pending)
    closeWithout(state, order, attributed(by, reason), state.jobs.plans.get(order.job), "cancelled");
  const waiting = new Map<number, string>();
  const untilMono = state.now.mono + confirmLimitMs;
  for (const record of open) {
    if (record.peer === state.settings.self) {
      stopOrWithdraw(state, record, by, reason);
      continue;
    }
    const id = nextToken(state);
    waiting.set(id, nameOf(state, record.peer));
    const message = { kind: "cancel", id, run: runId(record), by, reason } as const;
    emit(state, { kind: "send", to: record.peer, protocol: "ask", message });
  }
  if (waiting.size === 0 || isPlanted(state, "cancel-unconfirmed")) return { kind: "done" };
  state.operator.openCancels.push({ command, waiting, untilMono });
  return undefined;
}

function nameOf(state: State, peer: PeerId): string {
  return state.members.byId.get(peer)?.heartbeat?.name ?? peer;
}

/** Another peer forwards a cancel. It is confirmed even if the run has already ended, because then there is nothing to end. */
export function hearCancel(state: State, from: PeerId, { id, run, by, reason }: MessageOf<"cancel">): void {
  cancelOwn(state, run, by, reason);
  emit(state, { kind: "send", to: from, protocol: "ask", message: { kind: "cancel-heard", id } });
}

/** Ends the runs of this peer that the reference names: claims are given up, children are stopped. */
export function cancelOwn(state: State, run: string, by: string, reason: string): void {
  for (const record of openRuns(state, run) ?? []) {
    if (record.peer === state.settings.self) stopOrWithdraw(state, record, by, reason);
  }
}

export function hearCancelConfirmed(state: State, { id }: MessageOf<"cancel-heard">): void {
  const open = state.operator.openCancels.find(({ waiting }) => waiting.delete(id));
  if (open === undefined || open.waiting.size > 0) return;
  state.operator.openCancels.splice(state.operator.openCancels.indexOf(open), 1);
  emit(state, { kind: "answer", token: open.command, answer: { kind: "done" } });
}

/** Called in every step: refuses the cancels whose peers have not confirmed in time. */
export function giveUpCancels(state: State): void {
  const { openCancels } = state.operator;
  for (let place = openCancels.length - 1; place >= 0; place--) {
    const open = openCancels[place];
    if (open === undefined || state.now.mono < open.untilMono) continue;
    openCancels.splice(place, 1);
    const peers = [...new Set(open.waiting.values())].join(", ");
    const detail = `no confirmation from ${peers} within ${confirmLimitMs / 1_000} s: the run may continue`;
    emit(state, { kind: "answer", token: open.command, answer: refuse("CANCEL_UNCONFIRMED", detail) });
  }
}

function stopOrWithdraw(state: State, record: RunRecord, by: string, reason: string): void {
  const order = state.book.orders.get(orderKeyOf(record));
  if (record.peer === state.settings.self && order?.local.stage === "claimed") {
    return closeWithout(state, order, attributed(by, reason), undefined, "cancelled");
  }
  cancelRun(state, record, by, reason);
}

function attributed(by: string, reason: string): string {
  return `by ${by}${reason === "" ? "" : `: ${reason}`}`.slice(0, reasonMax);
}

/**
 * The orders of a tick in progress that no peer has claimed yet: attempts to come, and slots. No peer needs to be asked: the
 * record of their end suffices.
 */
function pendingOf(state: State, reference: string, open: readonly RunRecord[]): Order[] {
  const named = parseRunReference(reference);
  if (named === undefined || named.peerEnd !== undefined) return [];
  const { job, tick } = named;
  const claimed = new Set(open.map(orderKeyOf));
  const ofTick = new Set([
    ...(state.book.retries.get(job) ?? []),
    ...(state.book.slotted.get(job)?.get(tick) ?? []),
  ]);
  return [...ofTick].filter(
    (order) =>
      order.tick === tick &&
      (named.attempt ?? order.attempt) === order.attempt &&
      (named.slot ?? order.slot) === order.slot &&
      !claimed.has(order.key) &&
      (open.length > 0 || isInProgress(state, order)),
  );
}

/** The open records that a reference names: a run id, or `JOB@TICK` for all runs of a tick; undefined = no valid reference. */
function openRuns(state: State, reference: string): RunRecord[] | undefined {
  const named = parseRunReference(reference);
  if (named === undefined) return undefined;
  const { job, tick, attempt, peerEnd, slot } = named;
  return [...openOfTick(state.ledger, job, tick)].filter(
    (record) =>
      (attempt === undefined || record.attempt === attempt) &&
      (peerEnd === undefined || runId(record).includes(`@${peerEnd}`)) &&
      (slot === undefined || record.slot === slot),
  );
}
