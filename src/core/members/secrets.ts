/**
 * Which peers have the newest value of a secret. The table says to whom a value is sealed; peers say in their heartbeats which
 * values they have in their own folders. A peer's own value counts only if it is newer than the sealed one.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat } from "../../schema/heartbeat.ts";
import { sameValue } from "../../schema/equal.ts";
import { isPlanted } from "../probes/planted.ts";
import type { State } from "../state.ts";
import { heartbeatAtOnce } from "./members.ts";
import type { OwnSecrets } from "./members-state.ts";

/** A peer that was never heard counts as one that has a value of its own. */
export function hasSecret(state: State, peer: PeerId, name: string): boolean {
  if (isPlanted(state, "secret-unread")) return true;
  const sealed = state.jobs.sealed.get(name);
  if (sealed?.peers.has(peer) === true) return true;
  const own = ownSecrets(state, peer);
  if (own === undefined) return sealed === undefined;
  const version = Object.hasOwn(own, name) ? own[name] : undefined;
  return version !== undefined && version > (sealed?.version ?? -1);
}

function ownSecrets(state: State, peer: PeerId): Readonly<Record<string, number>> | undefined {
  if (peer === state.settings.self) return state.members.secrets.own;
  const heartbeat = state.members.byId.get(peer)?.heartbeat;
  return heartbeat === undefined ? undefined : (heartbeat.secrets ?? {});
}

/** Takes in which secrets this peer has. False = nothing new. */
export function noteSecrets(state: State, held: OwnSecrets): boolean {
  if (sameValue(held, state.members.secrets)) return false;
  state.members.secrets = held;
  heartbeatAtOnce(state);
  return true;
}

/** The secrets that this peer has of its own, as its heartbeats say it. */
export function ownSecretsOf({ members }: State): Pick<Heartbeat, "secrets"> {
  const { own } = members.secrets;
  return Object.keys(own).length === 0 ? {} : { secrets: own };
}
