/**
 * What the checkers know of the world around an instant: which peers were up, which could talk to each other, and since
 * when every peer must have known a request. Computed from what was done to the hosts and wires, never from what a peer
 * said.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { Operation } from "../world/requests.ts";
import { pairOf, type Evidence, type Outage, type Run } from "../world/truth.ts";

interface Span {
  from: number;
  to: number;
}

function touches(span: Span, from: number, to: number): boolean {
  return span.from <= to && span.to >= from;
}

/** True if the peer was forgotten and could not be told so for some part of the span. */
export function wasStranded({ stranded = [] }: Evidence, peer: PeerId, from: number, to: number): boolean {
  return stranded.some((span) => span.peer === peer && touches(span, from, to));
}

/**
 * True if the peer's process was up, running and undisturbed from `from` to `to`. While all links hold, lost gossip
 * disturbs no peer, because peers also ask by stream for what matters; around a cut there is only gossip.
 */
export function wasWell(evidence: Evidence, peer: PeerId, from: number, to: number): boolean {
  return (
    !wasStranded(evidence, peer, from, to) &&
    !evidence.outages.some((outage) => outage.peer === peer && touches(outage, from, to)) &&
    !evidence.faultWindows.some(
      (window) =>
        (window.peer ?? peer) === peer &&
        touches(window, from, to) &&
        (window.kind !== "lossy network" || evidence.cuts.some((cut) => touches(cut, from, to))),
    )
  );
}

/**
 * The sets of peers that could talk to each other, directly or by way of others, from `from` until `to`. A peer that
 * was down or paused for any part of it, or whose disk or clock was disturbed, is a set of its own, and so is a stranded
 * one. So is each peer if all wires were slow.
 */
export function components(evidence: Evidence, from: number, to: number): PeerId[][] {
  const well = new Set(evidence.peers.filter((peer) => wasWell(evidence, peer, from, to)));
  const cut = new Set<string>();
  for (const { sender, receiver, from: begin, to: end } of evidence.cuts) {
    if (touches({ from: begin, to: end }, from, to)) cut.add(pairOf(sender, receiver));
  }
  const left = new Set(evidence.peers);
  const found: PeerId[][] = [];
  for (const first of evidence.peers) {
    if (!left.delete(first)) continue;
    const component = [first];
    for (const peer of component) {
      for (const other of left) {
        if (!well.has(peer) || !well.has(other) || cut.has(pairOf(peer, other))) continue;
        if (!knewEachOther(evidence, peer, other, from)) continue;
        left.delete(other);
        component.push(other);
      }
    }
    found.push(component);
  }
  return found;
}

/**
 * The same without the absences of peers whose folder was restored later: until then they were there, and only what they did
 * is lost.
 */
export function withoutRestores(evidence: Evidence): Evidence {
  const { outages, rollbacks = [] } = evidence;
  const isRestore = ({ peer, from, to }: Outage): boolean =>
    rollbacks.some(
      ({ kind, peer: of, copiedAt, startedAt }) =>
        kind === "old disk" && of === peer && copiedAt === from && startedAt === to,
    );
  return { ...evidence, outages: outages.filter((outage) => !isRestore(outage)) };
}

/**
 * True if some peer could prove to this one that its cluster key was replaced, and each other peer refused it too, was
 * forgotten, or was away. Then it steps down (DESIGN §3). Only peers whose key another peer still accepts are looked for here;
 * others have a fault window.
 */
export function wasRefusedByAll(evidence: Evidence, peer: PeerId, from: number, to: number): boolean {
  const refusals = evidence.cuts.filter(
    (cut) => cut.isProved === true && cut.sender === peer && cut.from <= from && cut.to >= to,
  );
  const accepting = evidence.peers.filter(
    (other) =>
      other !== peer &&
      !refusals.some(({ receiver }) => receiver === other) &&
      !evidence.operations.some(({ request }) => request.kind === "forget" && request.target === other) &&
      !evidence.outages.some((outage) => outage.peer === other && touches(outage, from, to)),
  );
  return refusals.length > 0 && accepting.length === 0;
}

/** A peer that was drained up to this long ago may run nothing, ms. */
const drainedAroundMs = 120_000;

/**
 * The peers that may run a job with that target: no witnesses, no forgotten peers, and none that is drained at that
 * instant.
 */
export function workers(evidence: Evidence, target: readonly PeerId[] | undefined, at?: number): PeerId[] {
  return (target ?? evidence.peers).filter((peer) => {
    if (evidence.witnesses?.includes(peer) === true) return false;
    const requests = evidence.operations.filter(
      ({ request }) => "target" in request && request.target === peer,
    );
    if (requests.some(({ request }) => request.kind === "forget")) return false;
    return at === undefined || !mayBeDrained(evidence, peer, requests, at);
  });
}

/**
 * `requests` about that peer are in the order of asking. A folder that is restored to a state from before an undrain is
 * drained again. Of two processes with one identity only the one that answered an undrain knows of it.
 */
function mayBeDrained(
  { rollbacks = [], faultWindows }: Evidence,
  peer: PeerId,
  requests: readonly Operation[],
  at: number,
): boolean {
  const isUndone = ({ askedAt, answeredAt = Infinity }: Operation): boolean =>
    faultWindows.some(
      ({ kind, peer: whose, from, to }) =>
        kind === "duplicate identity" && whose === peer && from <= answeredAt && askedAt < to,
    ) ||
    rollbacks.some(
      ({ kind, peer: whose, copiedAt, startedAt }) =>
        kind === "old disk" &&
        whose === peer &&
        copiedAt <= answeredAt &&
        askedAt <= startedAt &&
        startedAt <= at + drainedAroundMs,
    );
  return requests.some(({ request, askedAt }, index) => {
    if (request.kind !== "drain" || !request.on || askedAt > at + drainedAroundMs) return false;
    const back = requests.find(
      (later, place) =>
        place > index &&
        later.request.kind === "drain" &&
        !later.request.on &&
        later.accepted &&
        !isUndone(later),
    );
    return (back?.answeredAt ?? Infinity) + drainedAroundMs > at;
  });
}

/**
 * Two peers can't talk before they have been introduced: each knows only the one peer that it was given, and that peer
 * may be gone.
 */
export function knewEachOther({ introduced }: Evidence, a: PeerId, b: PeerId, at: number): boolean {
  return introduced === undefined || (introduced.get(pairOf(a, b)) ?? Infinity) <= at;
}

/** News travels over at most this many wires, because a peer forwards what it receives only once. */
const reach = 3;

/**
 * True if the two could talk from `from` until `to`, directly or by way of at most two others. A peer that is forgotten passes
 * nothing on.
 */
export function together(evidence: Evidence, a: PeerId, b: PeerId, from: number, to: number): boolean {
  const component = components(evidence, from, to).find((peers) => peers.includes(a)) ?? [];
  const forgotten = new Set(
    evidence.operations.flatMap(({ request, askedAt }) =>
      request.kind === "forget" && askedAt <= to ? request.target : [],
    ),
  );
  let near = new Set([a]);
  for (let wires = 0; wires < reach && !near.has(b); wires++) {
    const passing = [...near].filter((one) => one === a || !forgotten.has(one));
    const next = component.filter((peer) => passing.some((one) => hadWire(evidence, one, peer, from, to)));
    near = new Set([...near, ...next]);
  }
  return near.has(b);
}

/** True if messages of either could reach the other for the whole span. */
export function hadWire(evidence: Evidence, a: PeerId, b: PeerId, from: number, to: number): boolean {
  const isCut = evidence.cuts.some(
    (cut) => pairOf(cut.sender, cut.receiver) === pairOf(a, b) && touches(cut, from, to),
  );
  return !isCut && knewEachOther(evidence, a, b, from);
}

/**
 * True if a copy of the peer ran beside it at some time from `from` to `to`. Neither process knows what the other did.
 */
export function hadDuplicateIdentity(
  { faultWindows }: Evidence,
  peer: PeerId,
  from: number,
  to: number,
): boolean {
  return faultWindows.some(
    (window) => window.kind === "duplicate identity" && window.peer === peer && touches(window, from, to),
  );
}

/** A launcher whose peer was killed may still start what it had just been given, within this time, ms. */
export const orphanMs = 500;

/** After this long without any disturbance every peer knows what any peer knew, ms. */
export const convergesMs = 35_000;

/** The first instant at which every peer must know what one peer knew at `since`; Infinity = never. */
export function knownToAll(evidence: Evidence, since: number): number {
  let start = since;
  const spans = [...evidence.outages, ...evidence.cuts, ...evidence.faultWindows]
    .map(({ from, to }) => ({ from, to }))
    .toSorted((a, b) => a.from - b.from);
  for (const span of spans) {
    if (span.to < start) continue;
    if (span.from > start + convergesMs) break;
    start = span.to;
  }
  return start + convergesMs;
}

/** The times in which a peer's process was paused for longer than that. */
export function longPauses(evidence: Evidence, longerThanMs: number): Outage[] {
  return evidence.outages.filter(({ kind, from, to }) => kind === "paused" && to - from > longerThanMs);
}

/**
 * True if the run's peer was forgotten before every peer had to know of the run. From then on no peer accepts its
 * records.
 */
export function wasTurnedAway(evidence: Evidence, { peer, start, end }: Run): boolean {
  return evidence.operations.some(
    ({ request, accepted, askedAt }) =>
      request.kind === "forget" &&
      request.target === peer &&
      accepted &&
      askedAt < knownToAll(evidence, end ?? start),
  );
}
