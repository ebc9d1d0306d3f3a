/**
 * Draining a peer: it takes no more ticks until it is undrained, even after a restart. It still votes, stores data and lets
 * its runs end; its ticks go to the next in rank on time.
 *
 * Any member can be asked. It forwards the request to the peer in question, and answers when that peer has stored it.
 */
import { touchAll } from "../claims/touched.ts";
import type { Answer, Command } from "../../ports/command.ts";
import { CicadaError } from "../../errors.ts";
import type { Attribution } from "../../schema/attribution.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { MessageOf } from "../../schema/message.ts";
import { giveClaimsBack } from "../claims/claims.ts";
import { storedKeys } from "../events.ts";
import { heartbeatAtOnce } from "../members/members.ts";
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import { memberNamed } from "./roster-requests.ts";
import type { DrainAsker } from "./operator-state.ts";
import { emit, note, type Pending, type State, expectStored } from "../state.ts";

/** A peer that has not confirmed after this time counts as out of reach. */
const confirmLimitMs = 5_000;

/** The peer that can be asked to drain itself; an answer if there is none. Changes nothing. */
export function drainable(state: State, command: Extract<Command, { kind: "drain-peer" }>): PeerId | Answer {
  const peer = memberNamed(state, command.peer);
  if (typeof peer !== "string" || peer === state.settings.self) return peer;
  if (state.members.byId.get(peer)?.linked !== true) return unreachable(`${command.peer} can't be reached`);
  return peer;
}

export function drainPeer(
  state: State,
  command: Extract<Command, { kind: "drain-peer" }>,
  token: number,
): Answer | undefined {
  const { on, by } = command;
  const peer = drainable(state, command);
  if (typeof peer !== "string") return peer;
  if (peer === state.settings.self) {
    storeDrained(state, on, by, { kind: "command", command: token });
    return undefined;
  }
  state.operator.openDrains.set(token, { command: token, untilMono: state.now.mono + confirmLimitMs });
  emit(state, { kind: "send", to: peer, protocol: "ask", message: { kind: "drain", id: token, on, by } });
  return undefined;
}

function unreachable(detail: string): Answer {
  return { kind: "refused", error: new CicadaError("PEER_UNREACHABLE", detail) };
}

/** Nothing changes before it is durable. If it can't be stored, it is refused and was never in force. */
function storeDrained(state: State, on: boolean, by: string, asker: DrainAsker): void {
  const drained = on ? { by, at: state.now.wall } : undefined;
  const value = drained === undefined ? "" : JSON.stringify(drained);
  const token = expectStored(state, { kind: "drain", drained, by, asker });
  emit(state, { kind: "store", writes: [{ kind: "meta", key: storedKeys.drained, value }], token });
}

/** The disk has answered: if the change is stored, it is in force; either way the asker gets an answer. */
export function drainStored(
  state: State,
  { drained, by, asker }: Extract<Pending, { kind: "drain" }>,
  failed: boolean,
): void {
  if (!failed) setDrained(state, drained, by);
  if (asker.kind === "peer") {
    const message = { kind: "drained", id: asker.id, stored: !failed } as const;
    return emit(state, { kind: "send", to: asker.peer, protocol: "ask", message });
  }
  const error = new CicadaError("DISK_FAILED", "the change could not be stored");
  const answer: Answer = failed ? { kind: "refused", error } : { kind: "done" };
  emit(state, { kind: "answer", token: asker.command, answer });
}

function setDrained(state: State, drained: Attribution | undefined, by: string): void {
  const on = drained !== undefined;
  state.operator.drained = drained;
  if (on) mark(state, "drained-by-hand");
  const message = on ? "drained: this peer takes no more ticks" : "undrained: this peer takes ticks";
  note(state, "info", message, { by });
  heartbeatAtOnce(state);
  if (on) giveClaimsBack(state);
  else touchAll(state);
}

/** This peer is being stopped: it takes no more ticks and withdraws its claims, so that others can run them on time. */
export function drain(state: State): void {
  if (state.operator.draining) return;
  state.operator.draining = true;
  heartbeatAtOnce(state);
  giveClaimsBack(state);
}

/** After a start: restores whether this peer was drained in its earlier life. */
export function restoreDrained(state: State, drained: Attribution | undefined): void {
  if (!isPlanted(state, "drain-unread")) state.operator.drained = drained;
}

/** Another peer forwards a request to drain or undrain this one. */
export function hearDrain(state: State, from: PeerId, { id, on, by }: MessageOf<"drain">): void {
  storeDrained(state, on, by, { kind: "peer", peer: from, id });
}

export function hearDrained(state: State, { id, stored }: MessageOf<"drained">): void {
  const open = state.operator.openDrains.get(id);
  if (!state.operator.openDrains.delete(id) || open === undefined) return;
  const failed = new CicadaError("DISK_FAILED", "that peer could not store it");
  const answer: Answer = stored ? { kind: "done" } : { kind: "refused", error: failed };
  emit(state, { kind: "answer", token: open.command, answer });
}

/** Called in every step: refuses the requests that their peers have not confirmed in time. */
export function giveUpDrains(state: State): void {
  for (const [id, { command, untilMono }] of state.operator.openDrains) {
    if (state.now.mono < untilMono) continue;
    state.operator.openDrains.delete(id);
    const answer = unreachable(`the peer has not confirmed within ${confirmLimitMs / 1_000} s`);
    emit(state, { kind: "answer", token: command, answer });
  }
}
