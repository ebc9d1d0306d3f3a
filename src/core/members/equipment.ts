/**
 * What a peer's host lacks, or doesn't allow, of what a job needs to run there: `executor:http` if the peer was started with
 * other `--allow-executor`s; `user:*` with `user:+ada` if it allows jobs of the user ada only. A job without a user needs
 * `user:`, the peer's own; `user:bob` is one that the host can't run jobs as. A peer says it in its heartbeats, so that the
 * others pass it over. Unlike a capability (capabilities.ts) it is a matter of the host and its settings, not of cicada's version.
 *
 * A heartbeat has room for so many items. If a host lacks more of a kind, it lists what it has of that kind instead
 * (`user:*`, `user:+ada`), and says how many it lacks (`unlisted:user:200`).
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Plan } from "../job/plan.ts";
import type { State } from "../state.ts";
import { heartbeatAtOnce } from "./members.ts";
import { both, cant, doesnt, runs, type Predicate } from "./predicates.ts";
import { hasSecret } from "./secrets.ts";

/** What the job needs and the peer's host lacks. A peer that was never heard counts as equipped. */
export function missing(
  state: State,
  { equipment, secrets }: Pick<Plan, "equipment" | "secrets">,
  peer: PeerId,
): string[] {
  const lacks = lacksOf(state, peer);
  // Called for every peer and every order, so the common case is quick.
  if (lacks.length === 0 && secrets.length === 0) return [];
  return equipment.filter((item) => {
    if (lacks.length > 0 && (lacks.includes(item) || isOfRefusedKind(item, lacks))) return true;
    return item.startsWith(secretItem) && !hasSecret(state, peer, item.slice(secretItem.length));
  });
}

/** How many items a heartbeat lists (schema/heartbeat.ts). */
const lacksMax = 128;
/** Room for two items, `secret:*` and the number of secrets that are lacking: they are added to the other items. */
const roomForSecrets = 2;
const secretItem = "secret:";
const unlistedItem = "unlisted:";

/** Takes in what this peer's host lacks and has, beyond what its settings decide. False = nothing new. */
export function noteEquipment(state: State, lacks: readonly string[], has: readonly string[] = []): boolean {
  const listed = fitted({ refused: state.settings.lacks, lacks, has }, lacksMax - roomForSecrets);
  if (listed.join() === (state.members.lacks ?? state.settings.lacks).join()) return false;
  state.members.lacks = listed;
  heartbeatAtOnce(state);
  return true;
}

/** What this peer's host lacks, or doesn't allow. */
export function ownLacks({ members, settings }: State): readonly string[] {
  const known = members.lacks ?? settings.lacks;
  if (members.secrets.unopened.length === 0) return known;
  const lacks = members.secrets.unopened.map((name) => `${secretItem}${name}`);
  return fitted({ refused: known, lacks, has: [] }, lacksMax);
}

interface Found {
  /** what is said to be refused already: by the settings, or with what else the host lacks */
  refused: readonly string[];
  lacks: readonly string[];
  has: readonly string[];
}

/**
 * The items that say what is lacking, at most `max`. If there are more, those that the settings refuse anyway are left out. If
 * there are still too many, whole kinds are refused with exceptions, beginning with the kind of which most is lacking. Exceptions
 * for which there is no room are left out, so that nothing that is lacking counts as there.
 */
function fitted({ refused, lacks, has }: Found, max: number): string[] {
  if (refused.length + lacks.length <= max) return [...refused, ...lacks];
  const allowed = lacks.filter((item) => !isOfRefusedKind(item, refused));
  let listed = [...refused, ...allowed];
  let exceptions: string[] = [];
  // The settings name few exceptions, so a kind that they refuse needs no shortening.
  const kinds = Map.groupBy(
    allowed.filter((item) => !refused.includes(`${kindOf(item)}:*`)),
    kindOf,
  );
  for (const [kind, ofKind] of [...kinds].toSorted(([, a], [, b]) => b.length - a.length)) {
    if (listed.length + exceptions.length <= max) break;
    const lacking = new Set(ofKind);
    // A job without a user runs as the peer's own.
    const there = [...(kind === "user" ? ["user:"] : []), ...has.filter((item) => kindOf(item) === kind)];
    exceptions = [
      ...exceptions,
      ...there.filter((item) => !lacking.has(item)).map((item) => item.replace(":", ":+")),
    ];
    listed = [
      ...listed.filter((item) => kindOf(item) !== kind),
      `${kind}:*`,
      `${unlistedItem}${kind}:${lacking.size}`,
    ];
  }
  return [...listed, ...exceptions].slice(0, max);
}

function kindOf(item: string): string {
  return item.slice(0, item.indexOf(":"));
}

function nameOf(item: string): string {
  return item.slice(item.indexOf(":") + 1);
}

function lacksOf(state: State, peer: PeerId): readonly string[] {
  if (peer === state.settings.self) return ownLacks(state);
  return state.members.byId.get(peer)?.heartbeat?.lacks ?? [];
}

/** What keeps the peer from running the job. */
export function describeMissing(
  state: State,
  plan: Pick<Plan, "equipment" | "secrets">,
  peer: PeerId,
): Predicate {
  const lacks = lacksOf(state, peer);
  return both(
    missing(state, plan, peer).map((item) => {
      const unlisted = lacks.includes(item) ? undefined : unlistedOf(lacks, kindOf(item));
      if (unlisted !== undefined) return describeUnlisted(item, unlisted);
      if (kindOf(item) === "executor") return describeExecutor(nameOf(item), lacks);
      return item.startsWith("user:") && lacks.includes(item) ? lacksUser(item) : describeItem(item);
    }),
  );
}

/** The settings refuse all users but those that they name, so a single one is one that the host doesn't have. */
function lacksUser(item: string): Predicate {
  return cant(
    `run jobs as the user ${nameOf(item)} (there is no such user, or it would take root and setpriv)`,
  );
}

/** How many items of the kind the peer lacks and doesn't list. */
function unlistedOf(lacks: readonly string[], kind: string): string | undefined {
  const start = `${unlistedItem}${kind}:`;
  return lacks.find((item) => item.startsWith(start))?.slice(start.length);
}

function describeUnlisted(item: string, unlisted: string): Predicate {
  const kind = kindOf(item);
  const name = isScript(item) ? `${nameOf(item).slice(0, 12)}…` : nameOf(item);
  return cant(
    `say whether the host has the ${kind} ${name} (it lacks ${unlisted} ${kind}s that jobs need, too many to list)`,
  );
}

/** A peer that runs no jobs at all says why. */
function describeExecutor(name: string, lacks: readonly string[]): Predicate {
  const files = lacks.find((item) => kindOf(item) === "open-files");
  if (files !== undefined) {
    return cant(`run jobs with only ${nameOf(files)} open files (LimitNOFILE= in its unit, or ulimit -n)`);
  }
  if (lacks.includes("exec:off")) return doesnt("run any jobs (start --exec off)");
  return doesnt(`allow jobs of the executor ${name} (start --allow-executor)`);
}

function describeItem(item: string): Predicate {
  const name = nameOf(item);
  switch (kindOf(item)) {
    case "user":
      return doesnt(
        `allow jobs ${name === "" ? "without a user" : `of the user ${name}`} (start --allow-user)`,
      );
    case "group":
      return doesnt(`allow jobs of the group ${name} (start --allow-group)`);
    case "script":
      return doesnt(`have the script ${name.slice(0, 12)}… yet (PUT /v1/scripts, or jobs create --script)`);
    case "limits":
      return name === "processes-of-own-user"
        ? runs("jobs as root, to which limits.processes doesn't apply (give the job a user)")
        : cant(`enforce limits.${name.replace("-below-0", " below 0")}`);
    case "secret":
      return doesnt(`have the newest value of the secret ${name} (cicada secrets set)`);
    case "interpreter":
      return doesnt(`have the interpreter ${name}`);
    default:
      return doesnt(`have ${item}`);
  }
}

/** Whether the item is the body of a script, and nothing that the host has to have. */
export function isScript(item: string): boolean {
  return item.startsWith("script:");
}

/** Whether the peer has to look before it can tell, because its settings don't say. */
export function isLookedUp(item: string): boolean {
  return isScript(item) || item.startsWith("interpreter:") || item.startsWith(secretItem);
}

/** Whether the peer lacks everything of that kind, and the item is not one of the exceptions that it names. */
function isOfRefusedKind(item: string, lacks: readonly string[]): boolean {
  const kind = kindOf(item);
  return lacks.includes(`${kind}:*`) && !lacks.includes(`${kind}:+${nameOf(item)}`);
}
