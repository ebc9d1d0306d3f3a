/**
 * The one writing of a value over which signatures and hashes are made: canonical JSON (RFC 8785). Equal values have equal
 * texts, no matter in which order their fields were set, and fields that this version doesn't know are part of it.
 */
import canonicalize from "canonicalize";

/** Undefined for a value that RFC 8785 excludes: half a surrogate pair in a text, or a number that is not finite. */
export function canonicalText(value: object): string | undefined {
  try {
    return canonicalize(value);
  } catch {
    return undefined;
  }
}
