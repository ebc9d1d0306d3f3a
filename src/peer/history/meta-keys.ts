/** What a peer keeps about itself in its database, beside jobs and records, by key. */
export const metaKeys = {
  owner: "owner",
  clientId: "clientId",
  lastAlive: "lastAlive",
  prunedAt: "prunedAt",
  clockProof: "clockProof",
} as const;

/** A clock's unfinished proof (core/time/clock-proof.ts), for the round after `lastRound`. */
export interface StoredProof {
  lastRound: number;
  leftMs: number;
}
