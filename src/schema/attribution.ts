/**
 * Who asked for a lasting change of a peer, and when. A peer can be forgotten (the mesh refuses its identity for good,
 * and the peer itself knows it) or drained (it takes no ticks). Both outlive a restart of the peer.
 */
import { Type, type Static } from "typebox";
import { InstantSchema } from "./id-shapes.ts";
import type { PeerId } from "./ids.ts";

/** A peer whose identity the mesh refuses for good, as the table keeps it and every peer shows it. */
export interface Forgotten {
  peer: PeerId;
  /** wall clock, ms */
  at: number;
  /** who asked for it */
  by: string;
  /** its name when it was forgotten */
  name: string;
}

/** A peer that was forgotten and belongs to the mesh again. */
export type Readmitted = Omit<Forgotten, "name">;

/** The person who asked, and when (wall clock, ms). */
export const AttributionSchema = Type.Object({ by: Type.String({ maxLength: 256 }), at: InstantSchema });
export type Attribution = Static<typeof AttributionSchema>;
