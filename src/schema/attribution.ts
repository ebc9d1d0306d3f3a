/**
 * What a person's word makes of a peer, for longer than a life: forgotten by the mesh, and so forgotten in its own
 * eyes; or drained, and so without ticks.
 */
import { Type, type Static } from "typebox";
import type { PeerId } from "./ids.ts";

/** A peer whose identity the mesh refuses for good, as the table keeps it and every peer shows it. */
export interface Forgotten {
  peer: PeerId;
  /** wall clock, ms */
  at: number;
  /** who asked for it */
  by: string;
  /** what it was called when it was forgotten */
  name: string;
}

/** Whose word it was, and when (wall clock, ms). */
export const WordSchema = Type.Object({ by: Type.String({ maxLength: 256 }), at: Type.Number() });
export type Attribution = Static<typeof WordSchema>;
