/**
 * The roots of the document: one row for each kind of thing that the table holds. A further kind is a further row, and
 * nothing else: the inspection of updates, the editor and the reading of values all go by this table.
 *
 * Whoever may write the table may write every root; what a row restricts is the form of keys, the size of a value, and
 * which values count. A foreign update with an id of another form or a value that is too large
 * is refused as a whole. A value that `accepts` turns down is kept, since all replicas must hold the same, and has no
 * effect. So is a root that isn't listed, which a later version has: it may hold plain JSON objects, or maps of such objects
 * under keys of a form that is known.
 */
import type { Forgotten } from "../schema/attribution.ts";
import { parseKey } from "./slots.ts";

interface RootForm {
  /** as the document names it */
  readonly name: string;
  /** the form of the ids of what lies under it */
  isId(id: string): boolean;
  /** largest value, in bytes as it is encoded */
  readonly valueCapBytes: number;
}

/** Under each id lies a map whose entries are read together; jobs are such (slots.ts says how they merge). */
export interface MapsRoot extends RootForm {
  readonly holds: "maps";
  /** the form of the keys in such a map */
  isInnerKey(key: string): boolean;
}

/** Under each id lies one value. */
export interface ValuesRoot extends RootForm {
  readonly holds: "values";
  /**
   * `first`: what stands there first stays for good. `latest`: each peer writes a key of its own, `ID@PEER` = {hlc, by,
   * value}, and the highest (hlc, peer) counts; a value of null removes it.
   */
  readonly merge: "first" | "latest";
  accepts(value: unknown): boolean;
}

export type Root = MapsRoot | ValuesRoot;

/** Longest id of a peer; one is about 52 characters long. */
const peerIdCap = 128;
const ulidForm = /^[0-9A-HJKMNP-TV-Z]{26}$/;

/** Incarnations of jobs, by ULID. */
export const jobsRoot: MapsRoot = {
  name: "jobs",
  holds: "maps",
  isId: (id) => ulidForm.test(id),
  isInnerKey: (key) => parseKey(key) !== undefined,
  // Above what the API takes for a whole job (1 MiB), in any encoding.
  valueCapBytes: 4_194_304,
};

/** Forgotten peers, by id: by whom, when, and what they were called. */
export const peersRoot: ValuesRoot = {
  name: "peers",
  holds: "values",
  merge: "first",
  isId: (id) => id.length > 0 && id.length <= peerIdCap,
  accepts: isForgottenEntry,
  valueCapBytes: 16_384,
};

export const tableRoots: readonly Root[] = [jobsRoot, peersRoot];

/** True of an entry that can be read; any other forgets nobody. */
export function isForgottenEntry(entry: unknown): entry is Omit<Forgotten, "peer"> {
  if (typeof entry !== "object" || entry === null) return false;
  return (
    "at" in entry &&
    typeof entry.at === "number" &&
    "by" in entry &&
    typeof entry.by === "string" &&
    "name" in entry &&
    typeof entry.name === "string"
  );
}
