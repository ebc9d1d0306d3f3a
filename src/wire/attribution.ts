/**
 * Reads from a peer's disk who said something about this peer, and when. The text is checked like bytes from another
 * peer.
 */
import { Type } from "typebox";
import { checkOf } from "../schema/check.ts";
import { AttributionSchema, type Attribution } from "../schema/attribution.ts";

const attributionCheck = checkOf(AttributionSchema);
const ofKeyCheck = checkOf(Type.Object({ ...AttributionSchema.properties, key: Type.String() }));

/** Undefined if nothing is kept, or nothing that can be read. */
export function readAttribution(text: string | undefined): Attribution | undefined {
  const value = parse(text);
  return attributionCheck.accepts(value) ? value : undefined;
}

/**
 * Reads an attribution that holds only while this peer has the key with that fingerprint; undefined if it has another
 * key.
 */
export function readAttributionOfKey(text: string | undefined, key: string): Attribution | undefined {
  const value = parse(text);
  return ofKeyCheck.accepts(value) && value.key === key ? { by: value.by, at: value.at } : undefined;
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}
