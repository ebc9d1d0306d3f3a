/**
 * How a peer is named to people: by its name; by its name and the end of its id if several members have the same name
 * (`vm·DEm4Gy1e`); or only by the end of its id while its name isn't known.
 */
import { distinctName } from "../../schema/find-peer.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { State } from "../state.ts";

const idEnd = 8;

export function shownName(state: Pick<State, "settings" | "members">, peer: PeerId): string {
  const name = ownName(state, peer);
  if (name === undefined) return peer.slice(-idEnd);
  for (const other of [state.settings.self, ...state.members.byId.keys()]) {
    if (other !== peer && ownName(state, other) === name) return distinctName({ id: peer, name }) ?? name;
  }
  return name;
}

/** The author of something: `by` is the id of this peer or another member, or names a person. */
export function shownAuthor(state: State, by: string): string {
  const member = [state.settings.self, ...state.members.byId.keys()].find((id) => id === by);
  return member === undefined ? by : shownName(state, member);
}

function ownName(
  { settings, members }: Pick<State, "settings" | "members">,
  peer: PeerId,
): string | undefined {
  return peer === settings.self ? settings.name : members.byId.get(peer)?.heartbeat?.name;
}
