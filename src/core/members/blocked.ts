/**
 * Why no living peer can run a job, in words for a person who can change that: its targets are dead, gone, drained, too
 * small, without its tags, or not members at all. It applies the same rule as orders do (eligibility.ts).
 *
 * A peer that is only suspect, has just started or is full doesn't block a job, because that passes by itself.
 */
import { isAmong, type NamedPeer } from "../../schema/find-peer.ts";
import { isPeerSlot, type PeerId } from "../../schema/ids.ts";
import type { Problem } from "../../schema/job.ts";
import type { RequestedOrder } from "../../schema/run.ts";
import type { Plan } from "../job/plan.ts";
import { formatTags, hasTags, type TaggedPeer, type Tags } from "../job/target.ts";
import type { State } from "../state.ts";
import { lacking } from "./capabilities.ts";
import { describeMissing, missing } from "./equipment.ts";
import { eligibilityOf, type CandidateOrder } from "./eligibility.ts";
import type { Eligibility } from "./failover.ts";
import { shownName } from "./names.ts";
import { doesnt, formatSaid, has, is, runs, type Predicate, type Said } from "./predicates.ts";

type Passing = "alive" | "suspect" | "warming-up" | "declined";
const passing: ReadonlySet<Eligibility> = new Set<Passing>(["alive", "suspect", "warming-up", "declined"]);
/** What keeps a peer from running the job for longer. */
type Lasting = Exclude<Eligibility, Passing | "untargeted">;

function isLasting(how: Eligibility): how is Lasting {
  return how !== "untargeted" && !passing.has(how);
}

/** How many parts of a job are named in one sentence. */
const partsShown = 5;

/** Undefined while a living peer can run it. The peers that a person has named for a run take the place of the job's target. */
export function whyBlocked(
  state: State,
  plan: Plan,
  requested?: Pick<RequestedOrder, "peers">,
): Problem | undefined {
  const eligibility = eligibilityOf(state, plan, { requested, declined: new Set() });
  const admitted: { peer: PeerId; how: Lasting }[] = [];
  for (const peer of [state.settings.self, ...state.members.byId.keys()]) {
    const how = eligibility(peer);
    if (passing.has(how)) return undefined;
    if (isLasting(how)) admitted.push({ peer, how });
  }
  const reasons = admitted.map(({ peer, how }) => ({
    name: shownName(state, peer),
    ...describe(state, plan, peer, how),
  }));
  if (admitted.length > 0 && admitted.every(({ how }) => how === "too-small")) {
    return { pointer: "/weight", message: formatSaid(reasons) };
  }
  const { peers, tags } =
    requested?.peers === undefined ? plan.target : { peers: requested.peers, tags: undefined };
  if (peers === undefined) return withoutNames(state, tags, reasons);
  const all = [...reasons, ...targetsWithoutPeer(state, peers, tags)];
  const said = formatSaid(all);
  const message = all.length === 1 ? `its target ${said}` : `of its targets, ${said}`;
  return { pointer: "/target/peers", message };
}

/** The only peer that can run the job as things are; undefined if there are several, or none. */
export function soleRunner(state: State, plan: Plan): PeerId | undefined {
  const [first, second] = ablePeers(state, plan);
  return second === undefined ? first : undefined;
}

function ablePeers(state: State, plan: Plan): PeerId[] {
  const eligibility = eligibilityOf(state, plan, { requested: undefined, declined: new Set() });
  return [state.settings.self, ...state.members.byId.keys()].filter((peer) => passing.has(eligibility(peer)));
}

/**
 * Why no living peer may repeat the attempt before this one, as `retry.where` says; undefined while one may. Completes a
 * sentence that begins with the attempt.
 */
export function whyNotRepeated(state: State, plan: Plan, order: CandidateOrder): Problem | undefined {
  const { where } = plan.retry;
  const { retriedFrom, slot, requested, declined } = order;
  if (where === "any" || retriedFrom === undefined || (slot !== undefined && isPeerSlot(slot)))
    return undefined;
  const eligibility = eligibilityOf(state, plan, { requested, declined });
  const last = shownName(state, retriedFrom);
  const reasons: Said[] = [];
  for (const peer of [state.settings.self, ...state.members.byId.keys()]) {
    if ((where === "same") !== (peer === retriedFrom)) continue;
    const how = eligibility(peer);
    if (passing.has(how)) return undefined;
    const why = isLasting(how) ? describe(state, plan, peer, how) : is("no target of the job any more");
    if (where === "same" || isLasting(how)) reasons.push({ name: shownName(state, peer), ...why });
  }
  const place = where === "same" ? `on ${last} alone` : `on any peer but ${last}`;
  const unknown = where === "same" ? `${last} is no member any more` : "the job may run on no other";
  const why = reasons.length === 0 ? unknown : formatSaid(reasons);
  return { pointer: "/retry/where", message: `may run ${place}, as retry.where says, and ${why}` };
}

/** Whether others can run the job, as far as is known, although this peer's host lacks what it needs. */
export function isLeftToOthers(state: State, plan: Plan): boolean {
  return missing(state, plan, state.settings.self).length > 0 && whyBlocked(state, plan) === undefined;
}

/** Says, in words, that a tick of the job has more runs than there are peers that can run it; undefined while there are enough. */
export function whyFewPeers(state: State, plan: Plan): Problem | undefined {
  const { count } = plan.target;
  if (count === 1) return undefined;
  if (count === "all") return whySlotsWait(state, plan);
  const able = ablePeers(state, plan).length;
  if (able >= count) return undefined;
  const message = `it asks for ${count} peers, but only ${able} can run it: some of its runs share a peer`;
  return { pointer: "/target/count", message };
}

/** Names the peers for which ticks that run on all peers have a slot, because they are there, and which can't run it now. */
function whySlotsWait(state: State, plan: Plan): Problem | undefined {
  const reasons = [state.settings.self, ...state.members.byId.keys()].flatMap((peer) => {
    const why = isUnwell(state, plan, peer) ? whatHinders(state, plan, peer) : undefined;
    return why === undefined ? [] : [{ name: shownName(state, peer), ...why }];
  });
  if (reasons.length === 0) return undefined;
  const message = `its ticks run on all its peers, but ${formatSaid(reasons)}. Runs there wait, and are missed if that lasts`;
  return { pointer: "/target/count", message };
}

/** Whether something is wrong with the peer that may pass, and that doesn't keep it out of the job's ticks. */
function isUnwell(state: State, plan: Plan, peer: PeerId): boolean {
  const how = eligibilityOf(state, plan, { requested: undefined, declined: new Set() })(peer);
  return unwell.has(how);
}
const unwell: ReadonlySet<Eligibility> = new Set(["host", "clock", "duplicate"]);

/**
 * What keeps the peer from running its slot of the job's tick; undefined = nothing. Completes a sentence that begins with its
 * name.
 */
export function whyPeerWaits(state: State, plan: Plan, peer: PeerId): string | undefined {
  return whatHinders(state, plan, peer)?.one;
}

function whatHinders(state: State, plan: Plan, peer: PeerId): Predicate | undefined {
  const how = eligibilityOf(state, plan, { requested: undefined, declined: new Set() })(peer);
  if (how === "warming-up")
    return {
      one: "has just started and takes no ticks yet",
      many: "have just started and take no ticks yet",
    };
  return isLasting(how) ? describe(state, plan, peer, how) : undefined;
}

/** For a job that names no peers. `reasons` are those of the peers that it admits. */
function withoutNames(state: State, tags: Tags | undefined, reasons: readonly Said[]): Problem {
  if (tags === undefined) {
    const message = reasons.length === 0 ? "no peer of the mesh runs jobs" : formatSaid(reasons);
    return { pointer: "", message };
  }
  const pointer = "/target/tags";
  const wanted = formatTags(tags);
  if (reasons.length > 0) {
    return { pointer, message: `of the peers with its tags (${wanted}), ${formatSaid(reasons)}` };
  }
  const unheard = knownPeers(state).filter((peer) => peer.tags === undefined).length;
  const others =
    unheard === 0
      ? ""
      : `, as far as they are known: ${unheard} ${unheard === 1 ? "peer has" : "peers have"} not been heard since this one started`;
  return { pointer, message: `no peer of the mesh has its tags (${wanted})${others}` };
}

interface KnownPeer extends TaggedPeer {
  readonly role: "worker" | "witness" | undefined;
}

function knownPeers(state: State): KnownPeer[] {
  const { self, name, role, tags } = state.settings;
  return [
    { id: self, name, role, tags },
    ...[...state.members.byId.values()].map(({ id, heartbeat }) => ({
      id,
      name: heartbeat?.name,
      role: heartbeat?.role,
      tags: heartbeat?.tags,
    })),
  ];
}

/** Targets that name no member, only members that never run jobs, or only members without the job's tags. */
function targetsWithoutPeer(state: State, targets: readonly string[], tags: Tags | undefined): Said[] {
  const { self } = state.settings;
  const known = knownPeers(state);
  return targets.flatMap((name) => {
    const found = known.filter((peer) => isAmong([name], peer));
    if (found.length === 0) return [{ name, ...describeMissingTarget(known) }];
    if (found.some(({ id }) => state.operator.selfForgotten !== undefined && id === self)) {
      return [{ name, ...has("been forgotten by the mesh") }];
    }
    if (found.every((peer) => peer.role === "witness")) return [{ name, ...witness }];
    const lacksTags = tags !== undefined && !found.some((peer) => hasTags(peer.tags, tags));
    return lacksTags ? [{ name, ...doesnt(`have the tags ${formatTags(tags)}`) }] : [];
  });
}

const witness: Predicate = {
  one: "is a witness, which runs nothing",
  many: "are witnesses, which run nothing",
};

/** This peer knows only the id of a member that it hasn't heard since it started, and that member may be the target. */
function describeMissingTarget(known: readonly NamedPeer[]): Predicate {
  return known.every(({ name }) => name !== undefined)
    ? { one: "is not a member of the mesh", many: "are not members of the mesh" }
    : {
        one: "is not a member that has been heard since this peer started",
        many: "are not members that have been heard since this peer started",
      };
}

function listed(parts: readonly string[]): string {
  const more = parts.length - partsShown;
  return parts.slice(0, partsShown).join(", ") + (more > 0 ? `, and ${more} more` : "");
}

function describe(state: State, plan: Plan, peer: PeerId, how: Lasting): Predicate {
  const member = state.members.byId.get(peer);
  // Ages are measured on the monotonic clock, and shown as instants of the wall clock.
  const since =
    member === undefined ? "" : instantText(state, state.now.wall - (state.now.mono - member.stateSinceMono));
  switch (how) {
    case "dead":
      return has(
        member?.heardWall === undefined
          ? "not been heard since this peer started"
          : `been dead since ${since}`,
      );
    case "incapable":
      return runs(
        `a version of cicada that doesn't know what the job needs (${neededBy(state, plan, peer)})`,
      );
    case "unequipped":
      return describeMissing(state, plan, peer);
    case "too-small":
      return has(`a capacity of ${capacityOf(state, peer)}, and the job weighs ${plan.weight}`);
    case "left":
      return has(`been stopped since ${since}`);
    case "draining":
      return is(isDrained(state, peer) ? "drained" : "being stopped");
    case "clock":
      return has("a clock that is too far off the others'");
    case "host":
      return {
        one: "can't start runs now, because of a fault of its host",
        many: "can't start runs now, because of faults of their hosts",
      };
    case "superseded":
      return has("a cluster key that the mesh has replaced");
    case "duplicate":
      return {
        one: "shares its identity with a newer process",
        many: "share their identities with newer processes",
      };
  }
}

/** Why this peer doesn't run the job although others may: a later version has written it. Undefined when this peer may. */
export function whyNotHere(state: State, plan: Plan): { pointer: string; message: string } | undefined {
  const lacks = lacking(state, plan, state.settings.self);
  if (lacks.length === 0) return undefined;
  const parts = plan.job.needs.filter(({ capabilities }) => capabilities.some((one) => lacks.includes(one)));
  const pointers = parts.map(({ pointer }) => pointer);
  const what = pointers.length === 0 ? "it" : `its ${listed(pointers)}`;
  return {
    pointer: pointers[0] ?? "",
    message:
      `${what} needs a newer version of cicada than this peer runs (it lacks ${listed(lacks)}): this peer keeps the job ` +
      "and leaves its runs to peers that know it. Upgrade this peer to run it here too",
  };
}

function neededBy(state: State, plan: Plan, peer: PeerId): string {
  return lacking(state, plan, peer).join(", ");
}

function capacityOf(state: State, peer: PeerId): number {
  const { self, capacity } = state.settings;
  return peer === self ? capacity : (state.members.byId.get(peer)?.heartbeat?.capacity ?? 0);
}

function isDrained(state: State, peer: PeerId): boolean {
  if (peer === state.settings.self) return state.operator.drained !== undefined;
  return state.members.byId.get(peer)?.heartbeat?.drained === true;
}

/** `04:23:10 UTC` on the same day, otherwise the whole instant. */
export function instantText(state: Pick<State, "now">, instant: number): string {
  const text = new Date(instant).toISOString().replace(/\.\d{3}Z$/, "Z");
  const today = new Date(state.now.wall).toISOString().slice(0, 10);
  return text.startsWith(today) ? `${text.slice(11, 19)} UTC` : text;
}
