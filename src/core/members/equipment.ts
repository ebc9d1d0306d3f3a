/**
 * What a peer's host lacks, or doesn't allow, of what a job needs to run there: `executor:http` if the peer was started with
 * other `--allow-executor`s. A peer says it in its heartbeats, so that the others pass it over. Unlike a capability
 * (capabilities.ts) it is a matter of the host and its settings, not of cicada's version.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Plan } from "../job/plan.ts";
import type { State } from "../state.ts";

/** What the job needs and the peer's host lacks. A peer that was never heard counts as equipped. */
export function missing(state: State, { equipment }: Pick<Plan, "equipment">, peer: PeerId): string[] {
  const lacks = lacksOf(state, peer);
  return lacks.length === 0 ? [] : equipment.filter((item) => lacks.includes(item));
}

function lacksOf(state: State, peer: PeerId): readonly string[] {
  if (peer === state.settings.self) return state.settings.lacks;
  return state.members.byId.get(peer)?.heartbeat?.lacks ?? [];
}

/** Completes a sentence that begins with the peer's name. */
export function describeMissing(items: readonly string[]): string {
  return items.map(describeItem).join(", and ");
}

function describeItem(item: string): string {
  const [kind, name = ""] = item.split(/:(.*)/s);
  return kind === "executor"
    ? `doesn't allow jobs of the executor ${name} (start --allow-executor)`
    : `lacks ${item}`;
}
