/**
 * The names of ticks that a person asks for under an `Idempotency-Key`: their ULIDs end in letters that follow from the key and
 * from the request. So every peer that has heard of the run finds it when the request is repeated there, also after a restart,
 * for as long as the run is in its history; and a version that doesn't know keys sees a manual tick like any other.
 *
 * The time in the name is the peer's own: two peers that are asked at once make two ticks. One name for both would be one order
 * with two instants of its request, by which the peers would rank and step in at different times.
 */
import { ulid, type TickId } from "./ids.ts";

/** For how long a key counts. Unit: ms. More takes more memory and finds later repeats. */
export const keysCountMs = 24 * 3_600_000;

/** Unit: letters of 5 bits. With more for the key, two keys are confused less often; with more for the request, so are two requests. */
const keyLetters = 12;
const requestLetters = 4;
const wholeLetters = keyLetters + requestLetters;

/** What follows the ten letters of the time in the name of such a tick. */
export type TickKey = string & { readonly brand: "TickKey" };

/** `ofKey`, `ofRequest`: random bytes that follow from them, such as hashes. */
export function tickKeyOf(ofKey: Uint8Array, ofRequest: Uint8Array): TickKey {
  const bytes = new Uint8Array(wholeLetters);
  bytes.set(ofKey.subarray(0, keyLetters));
  bytes.set(ofRequest.subarray(0, requestLetters), keyLetters);
  return ulid(0, bytes).slice(-wholeLetters) as TickKey;
}

export function keyedTick(instant: number, key: TickKey): TickId {
  return `manual-${ulid(instant, new Uint8Array()).slice(0, -wholeLetters)}${key}` as TickId;
}

/** Whether the tick was asked for under that key: by the same request, or by another one. */
export function ofTickKey(tick: TickId, key: TickKey): "same" | "other-request" | undefined {
  if (tick.length !== "manual-".length + 10 + wholeLetters || !tick.startsWith("manual-")) return undefined;
  const own = tick.slice(-wholeLetters);
  if (own === key) return "same";
  return own.startsWith(key.slice(0, keyLetters)) ? "other-request" : undefined;
}

/** Fits the names of all ticks under that key, as a GLOB pattern of SQLite. */
export function tickKeyPattern(key: TickKey): string {
  return `manual-${"?".repeat(10)}${key.slice(0, keyLetters)}${"?".repeat(requestLetters)}`;
}
