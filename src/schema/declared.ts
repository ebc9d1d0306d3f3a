/** The table as people write it down: objects of six kinds, each with its kind and its name; a job's name is its id. */
export const objectKinds = ["group", "calendar", "pool", "channel", "maintenance", "job"] as const;
export type ObjectKind = (typeof objectKinds)[number];

/**
 * How many objects one call may declare. They are one change, which is judged and made in one go, for most of a millisecond each
 * on a busy core: more would hold up the peer's claims.
 */
export const objectsMax = 2_000;

/** Who keeps a set of objects in files. */
export const sourcePattern = "^[a-z0-9][a-z0-9._-]{0,63}$";
export const sourceDefault = "default";

/** The id of the table's entry about an object that a source has made: `SOURCE/KIND/NAME`. */
export const sourceEntryPattern = `^[a-z0-9][a-z0-9._-]{0,63}/(${objectKinds.join("|")})/[a-z0-9][a-z0-9._-]{0,127}$`;

/** `hash`: of the object as the source has last written it. */
export interface SourceEntry {
  readonly hash: string;
}

export function isSourceEntry(value: unknown): value is SourceEntry {
  return (
    typeof value === "object" &&
    value !== null &&
    "hash" in value &&
    /^[0-9a-f]{16}$/.test(String(value.hash))
  );
}
