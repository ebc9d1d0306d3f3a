/**
 * When this peer took members for dead, and how they came back: the memory from which the story of a split is told. A member
 * that is heard again with the incarnation that it had was running all the time: it was on another side of a split, or its host
 * stood still. One with a later incarnation was restarted.
 *
 * It is memory only: a restart of this peer forgets it. What ran meanwhile is in the records.
 */
import type { Silence } from "../../ports/control.ts";
import type { State } from "../state.ts";
import type { Member, MemberSilence } from "./members-state.ts";

/** How long a silence is remembered after its end, ms. */
const rememberedMs = 7 * 86_400_000;
/**
 * The most that are remembered, about 150 bytes each; the oldest go first. A mesh of 50 that splits in halves five times has
 * 125.
 */
const rememberedMax = 256;
/** This many refused redials after a reset mean that the process is gone. */
export const refusalsOfTheDead = 2;

/** The member has just been taken for dead. One that was never heard in this life has not fallen silent. */
export function silenceBegins(state: State, { id, heardWall, heartbeat }: Member): void {
  const { members, now } = state;
  if (heardWall === undefined || heartbeat === undefined || openSilence(state, id) !== undefined) return;
  const kept = members.silences.filter(({ to }) => to === undefined || to > now.wall - rememberedMs);
  kept.push({
    peer: id,
    incarnation: heartbeat.incarnation,
    from: heardWall,
    to: undefined,
    restarted: false,
  });
  members.silences = kept.slice(-rememberedMax);
}

/** The member is heard again, by a heartbeat: a link alone does not say which process it leads to. */
export function silenceEnds(state: State, { id, heartbeat }: Member): void {
  const silence = openSilence(state, id);
  if (silence === undefined || heartbeat === undefined) return;
  silence.to = state.now.wall;
  silence.restarted = heartbeat.incarnation > silence.incarnation;
}

/** The member has said goodbye, or is no member any more: nobody waits for it. */
export function silenceIsMoot(state: State, peer: Member["id"]): void {
  const { members } = state;
  members.silences = members.silences.filter((one) => one.peer !== peer || one.to !== undefined);
}

/** Oldest first. */
export function silencesOf({ members }: State): Silence[] {
  return members.silences.map(({ peer, from, to, restarted }) => ({
    peer,
    from,
    to,
    restarted,
    refused: to === undefined && (members.byId.get(peer)?.refusals ?? 0) >= refusalsOfTheDead,
  }));
}

function openSilence({ members }: State, peer: Member["id"]): MemberSilence | undefined {
  return members.silences.find((one) => one.peer === peer && one.to === undefined);
}
