/**
 * The ids that cicada uses, and how each is written.
 *
 * A tick's id is a UTC instant without milliseconds (`2026-11-20T02:00:00Z`). For a manual run it is `manual-ULID`. An
 * order's key is `JOB@TICK~ATTEMPT`, with `#SLOT` behind it when the slot is not 0. A run's id is
 * `JOB@TICK~ATTEMPT@PEER`, where PEER is the last 8 characters of the peer id, with `#SLOT` behind it when the tick has
 * more than one slot (INTERFACE, Run). The voters decide on an order's runner by its key, with `!ROUND` behind it when
 * chosen runners have given the order back.
 */
import { formatSecond } from "./instant.ts";

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** A libp2p peer id as text (`12D3Koo…`); in the simulator any word. */
export type PeerId = Branded<string, "PeerId">;
/** A job's name, unique in the mesh: `[a-z0-9][a-z0-9._-]{0,127}`. */
export type JobId = Branded<string, "JobId">;
/** `2026-11-20T02:00:00Z` or `manual-ULID`. */
export type TickId = Branded<string, "TickId">;
/** `JOB@TICK~ATTEMPT[#SLOT]`: what is to be run once. */
export type OrderKey = Branded<string, "OrderKey">;
/** `JOB@TICK~ATTEMPT@PEER8[#SLOT]`: one order on one peer. */
export type RunId = Branded<string, "RunId">;

export const jobIdPattern = "^[a-z0-9][a-z0-9._-]{0,127}$";
const leapYear = "\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00";
const date =
  "(\\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))|" +
  `(${leapYear})-02-29)`;
/**
 * Admits only real instants, each in one form. `9999-99-99T99:99:99Z` has no number by which it could be sorted or stored, and
 * `2026-02-30T00:00:00Z` has the number of another tick. Years before 1000 are none that `Date.UTC` reads as they are written.
 */
export const tickIdPattern = `^((?!0)${date}T([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\dZ|manual-[0-9A-HJKMNP-TV-Z]{26})$`;

export const peerIdLetters = 128;

/** How many of the last letters of a peer's id name it in the ids of its runs, and its slot in a tick that runs on all peers. */
export const peerSlotLetters = 8;

/** The slot of a peer in a tick of `count: "all"`. */
export function slotOfPeer(peer: PeerId): string {
  return peer.slice(-peerSlotLetters);
}

/** Whether a slot is that of a peer. Other slots are numbered from 0. */
export function isPeerSlot(slot: string): boolean {
  return !numberedSlot.test(slot);
}
const numberedSlot = /^\d{1,2}$/;

/** Whether a text has the form of a peer id. Whether any peer has that id is not checked. */
export function isPeerId(text: string): text is PeerId {
  return text !== "" && text.length <= peerIdLetters;
}

/** The last instant that a `Date` can hold, ms. Anything beyond has no calendar day and no text. */
export const farthestMs = 8.64e15;

export function isInstant(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= farthestMs;
}

export function orderKey(job: JobId, tick: TickId, attempt: number, slot: string): OrderKey {
  return `${job}@${tick}~${attempt}${slot === "0" ? "" : `#${slot}`}` as OrderKey;
}

export function runId(run: {
  job: JobId;
  tick: TickId;
  attempt: number;
  slot: string;
  /** how many slots the tick has; absent = one */
  of?: number | undefined;
  peer: PeerId;
}): RunId {
  const slot = run.slot === "0" && (run.of ?? 1) === 1 ? "" : `#${run.slot}`;
  return `${run.job}@${run.tick}~${run.attempt}@${slotOfPeer(run.peer)}${slot}` as RunId;
}

/** What the voters decide about an order in one round: its runner. */
export function orderDecision(key: OrderKey, round: number): string {
  return round === 0 ? key : `${key}!${round}`;
}

/** The order and round that a decision names; undefined for any other text. */
export function parseOrderDecision(
  text: string,
): { key: OrderKey; job: JobId; tick: TickId; round: number } | undefined {
  const [, key = "", round] = decisionText.exec(text) ?? [];
  const order = parseRunReference(key);
  if (order?.attempt === undefined || order.peerEnd !== undefined) return undefined;
  return { key: key as OrderKey, job: order.job, tick: order.tick, round: Number(round ?? 0) };
}

const decisionText = /^([^!]+)(?:!([1-9]))?$/;
const runReference = /^([^@~#]+)@([^@~#]+)(?:~(\d{1,9})(?:@([^@~#]+))?(?:#([^@~#]+))?)?$/;
const jobIdText = new RegExp(jobIdPattern);
const tickIdText = new RegExp(tickIdPattern);

/** Reads `JOB@TICK`, `JOB@TICK~ATTEMPT` or a whole run id; undefined for any other text. */
export function parseRunReference(
  text: string,
): { job: JobId; tick: TickId; attempt?: number; peerEnd?: string; slot?: string } | undefined {
  const match = runReference.exec(text);
  const [, job, tick, attempt, peerEnd, slot] = match ?? [];
  if (job === undefined || tick === undefined) return undefined;
  if (!jobIdText.test(job) || !tickIdText.test(tick)) return undefined;
  return {
    job: job as JobId,
    tick: tick as TickId,
    ...(attempt === undefined ? {} : { attempt: Number(attempt) }),
    ...(peerEnd === undefined ? {} : { peerEnd }),
    ...(slot === undefined ? {} : { slot }),
  };
}

/** The tick id of a UTC instant (ms since the epoch, whole seconds). */
export function tickAt(instant: number): TickId {
  return formatSecond(instant) as TickId;
}

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Reads two digits. This is called so often that Date.parse would be too slow. */
function digits(text: string, at: number): number {
  return text.charCodeAt(at) * 10 + text.charCodeAt(at + 1) - "0".charCodeAt(0) * 11;
}

const manualPrefix = "manual-";

/** True for the tick of a manual run, which belongs to no schedule. */
export function isManual(tick: TickId): boolean {
  return tick.startsWith(manualPrefix);
}

/** The instant (ms) of a tick; for a manual run, the time in its ULID. */
export function instantOf(tick: TickId): number {
  if (!isManual(tick)) {
    return Date.UTC(
      digits(tick, 0) * 100 + digits(tick, 2),
      digits(tick, 5) - 1,
      digits(tick, 8),
      digits(tick, 11),
      digits(tick, 14),
      digits(tick, 17),
    );
  }
  let instant = 0;
  for (const letter of tick.slice(manualPrefix.length, manualPrefix.length + 10)) {
    instant = instant * 32 + crockford.indexOf(letter);
  }
  return instant;
}

/** A ULID (github.com/ulid/spec) from an instant (ms) and 16 random bytes, of which 80 bits are used. */
export function ulid(instant: number, random: Uint8Array): string {
  let time = "";
  for (let rest = instant, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) {
    time = crockford.charAt(rest % 32) + time;
  }
  let tail = "";
  for (let i = 0; i < 16; i++) tail += crockford.charAt((random[i] ?? 0) & 31);
  return time + tail;
}
