/**
 * Reads the roster from a peer's disk. The text is checked like bytes from another peer; core verifies the signatures.
 */
import { Type } from "typebox";
import { checkOf } from "../schema/check.ts";
import { EpochSchema, type Epoch } from "../schema/vote.ts";

/** The chain may have any length: a message carries a part of it, but the disk keeps all of it. */
const chainCheck = checkOf(Type.Array(EpochSchema));

/** An unreadable chain counts as empty: the other peers will send it again. */
export function readChain(text: string): readonly Epoch[] {
  try {
    const value: unknown = JSON.parse(text);
    return chainCheck.accepts(value) ? value : [];
  } catch {
    return [];
  }
}
