/** The roster as a peer's disk keeps it: text to be checked like any stranger's bytes. Core verifies who signed it. */
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { EpochSchema, type Epoch } from "../schema/vote.ts";

/** Of any length: a message takes a part of a chain, the disk keeps the whole. */
const chainCheck = Compile(Type.Array(EpochSchema));

/** What isn't a chain of epochs is none: the other peers will tell it again. */
export function readChain(text: string): readonly Epoch[] {
  try {
    const value: unknown = JSON.parse(text);
    return chainCheck.Check(value) ? value : [];
  } catch {
    return [];
  }
}
