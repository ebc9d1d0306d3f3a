/** What was said of this peer, as its disk keeps it: text to be checked like any stranger's bytes. */
import { Compile } from "typebox/compile";
import { Type } from "typebox";
import { AttributionSchema, type Attribution } from "../schema/attribution.ts";

const wordCheck = Compile(AttributionSchema);
const ofKeyCheck = Compile(Type.Object({ ...AttributionSchema.properties, key: Type.String() }));

/** Undefined when nothing, or nothing that can be read, is kept. */
export function readWord(text: string | undefined): Attribution | undefined {
  const value = parse(text);
  return wordCheck.Check(value) ? value : undefined;
}

/** A word that holds for as long as this peer has the key with that fingerprint; undefined when it has another one. */
export function readWordOfKey(text: string | undefined, key: string): Attribution | undefined {
  const value = parse(text);
  return ofKeyCheck.Check(value) && value.key === key ? { by: value.by, at: value.at } : undefined;
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}
