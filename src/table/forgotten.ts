/** One entry of the root `peers`: who forgot a peer, when, and what it was called. Its key is the peer's id. */
import type { Forgotten } from "../schema/attribution.ts";

/** Longest key: a peer id is about 52 characters long. */
export const peerKeyCap = 128;

/** True of an entry that can be read; any other forgets nobody. */
export function isForgottenEntry(entry: unknown): entry is Omit<Forgotten, "peer"> {
  if (typeof entry !== "object" || entry === null) return false;
  return (
    "at" in entry &&
    typeof entry.at === "number" &&
    "by" in entry &&
    typeof entry.by === "string" &&
    "name" in entry &&
    typeof entry.name === "string"
  );
}
