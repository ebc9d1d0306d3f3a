/** A person's word on this peer as its disk keeps it: text to be checked like any stranger's bytes. */
import { Compile } from "typebox/compile";
import { WordSchema, type Attribution } from "../schema/attribution.ts";

const wordCheck = Compile(WordSchema);

/** Undefined when nothing, or nothing that can be read, is kept. */
export function readWord(text: string | undefined): Attribution | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return wordCheck.Check(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
