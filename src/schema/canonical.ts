/**
 * The canonical JSON (RFC 8785) that signatures and hashes are made over. Equal values have equal texts, in whatever
 * order their fields were set. The text includes fields that this version doesn't know.
 */
import canonicalize from "canonicalize";

/** Undefined for a value that RFC 8785 excludes: a lone surrogate in a text, or a number that is not finite. */
export function canonicalText(value: object): string | undefined {
  try {
    return canonicalize(value);
  } catch {
    return undefined;
  }
}
