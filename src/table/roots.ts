/**
 * The roots of the document: one row for each kind of thing that the table holds. A new kind needs a new row and
 * nothing else, because the inspection of updates, the editor and the reading of values all use these rows.
 *
 * A peer that may write the table may write every root. A row restricts the form of keys, the size of a value, and
 * which values have an effect. If an update from another peer has an id of another form or a value that is too large,
 * the whole update is refused. A value that `accepts` rejects is kept, because all replicas must hold the same, but has
 * no effect. The same holds for a root that isn't listed because a later version added it: it may hold plain JSON
 * objects, or maps of such objects under keys of a known form.
 */
import { isChannelName } from "../schema/channel.ts";
import { isTokenKey } from "../schema/access.ts";
import { isAttributed, statementOf } from "../schema/membership.ts";
import { isInvitationId, type Confirmation, type Join } from "../schema/admission.ts";
import { readMaintenance } from "../core/job/maintenance.ts";
import { readSlots } from "../core/job/pools.ts";
import { readGroup } from "../core/job/group.ts";
import { readSealed } from "../core/checks/secrets.ts";
import { secretNamePattern } from "../schema/secret.ts";
import { isSourceEntry, sourceEntryPattern } from "../schema/declared.ts";
import { isSettingName } from "../core/job/settings.ts";
import type { PeerId } from "../schema/ids.ts";
import type { SettingKind } from "../schema/setting.ts";
import { parseKey } from "./slots.ts";

interface RootForm {
  /** its name in the document */
  readonly name: string;
  /** the form of the ids under this root */
  isId(id: string): boolean;
  /** largest encoded value, in bytes */
  readonly valueCapBytes: number;
  /**
   * How many ids (for `latest`: ids × writers) other peers may bring under this root, removed ones included. Together with
   * `valueCapBytes` it limits what the root takes of every peer's memory and disk, whichever peer writes it.
   */
  readonly idsCap: number;
}

/** Each id has a map whose entries are read together, as with jobs (slots.ts says how they merge). */
export interface MapsRoot extends RootForm {
  readonly holds: "maps";
  /** the form of the keys in such a map */
  isInnerKey(key: string): boolean;
}

/** Each id has one value. */
export interface ValuesRoot extends RootForm {
  readonly holds: "values";
  /**
   * `first`: the value written first stays for good. `latest`: each peer writes a key of its own, `ID@PEER` = {hlc, by,
   * value}, and the entry with the highest (hlc, peer) wins; null removes the value.
   */
  readonly merge: "first" | "latest";
  accepts(value: unknown): boolean;
}

export type Root = MapsRoot | ValuesRoot;

/**
 * Limits of a root that isn't listed here because a later version added it, and how many such roots there may be. More lets one
 * member fill more of all peers' memory; less drops edits of later versions, which come again once this peer is updated.
 */
export const laterRoot = { valueCapBytes: 65_536, idsCap: 16_384 } as const;
export const laterRootsCap = 16;

/** Longest id of a peer; real ones have about 52 characters. */
const peerIdCap = 128;
/** Longest name of a peer that is shown. */
const nameCap = 256;
/** The last instant of a Date, ms. */
const lastInstant = 8_640_000_000_000_000;
const secretNameForm = new RegExp(secretNamePattern);
const sourceEntryForm = new RegExp(sourceEntryPattern);
const ulidForm = /^[0-9A-HJKMNP-TV-Z]{26}$/;

/** Incarnations of jobs, by ULID. */
export const jobsRoot: MapsRoot = {
  name: "jobs",
  holds: "maps",
  isId: (id) => ulidForm.test(id),
  isInnerKey: (key) => parseKey(key) !== undefined,
  // Larger than any encoding of the largest job that the API takes (1 MiB).
  valueCapBytes: 4_194_304,
  // 100,000 jobs, each of them made anew ten times. An id of which nothing is left takes about 100 bytes.
  idsCap: 1_048_576,
};

/** Forgotten peers, by id: who forgot them, when, and their names; signed, unless an earlier version wrote it. */
export const peersRoot: ValuesRoot = {
  name: "peers",
  holds: "values",
  merge: "first",
  isId: isPeerId,
  accepts: isMembershipEntry,
  valueCapBytes: 4_096,
  // In a mesh of 100 peers of which one is forgotten every day, it lasts for years. All of them together take 8 MiB at most.
  idsCap: 2_048,
};

/**
 * What was said about a peer's membership, by id: whether it is forgotten, by whom, when, what it was called, and who signed it.
 * core/operator/membership-rule.ts decides which of these statements, and of those under `peers`, count. A statement under
 * `peers` can't be taken back; it is still written for members of earlier versions.
 */
export const membershipRoot: ValuesRoot = {
  name: "membership",
  holds: "values",
  merge: "latest",
  isId: isPeerId,
  accepts: isMembershipEntry,
  valueCapBytes: peersRoot.valueCapBytes,
  idsCap: peersRoot.idsCap,
};

/** When each peer joined, by id, as a member recorded it. */
export const joinsRoot: ValuesRoot = {
  name: "joins",
  holds: "values",
  merge: "first",
  isId: isPeerId,
  accepts: isJoinEntry,
  valueCapBytes: 2_048,
  // A new peer every hour for most of a year.
  idsCap: 8_192,
};

/** Persons' confirmations of peers, by `PEER/SIGNER`. Nothing here says whether a signature holds. */
export const confirmationsRoot: ValuesRoot = {
  name: "confirmations",
  holds: "values",
  merge: "latest",
  isId: (id) => splitConfirmation(id) !== undefined,
  accepts: isConfirmationEntry,
  valueCapBytes: 2_048,
  idsCap: joinsRoot.idsCap,
};

/** Where notices go, by name (schema/channel.ts). What a value means is checked when it is used. */
export const channelsRoot: ValuesRoot = {
  name: "channels",
  holds: "values",
  merge: "latest",
  isId: isChannelName,
  accepts: (value) => typeof value === "object" && value !== null,
  valueCapBytes: 16_384,
  // A hundred channels, each written by a few peers.
  idsCap: 1_024,
};

/** Named calendars, of which jobs leave ticks out. Each peer decides for itself what an entry means (core/job/calendars.ts). */
export const calendarsRoot: ValuesRoot = {
  name: "calendars" satisfies SettingKind,
  holds: "values",
  merge: "latest",
  isId: isSettingName,
  accepts: (value) => typeof value === "object" && value !== null,
  // iCalendar text and what it means.
  valueCapBytes: 2_097_152,
  // Some dozens of calendars, each written at a few peers; together they can't exceed the table's own limit (caps.ts).
  idsCap: 1_024,
};

/** Times in which jobs take no ticks, by name. */
export const maintenanceRoot: ValuesRoot = {
  name: "maintenance" satisfies SettingKind,
  holds: "values",
  merge: "latest",
  isId: isSettingName,
  // The name only decides about H in a schedule.
  accepts: (value) => readMaintenance("any", value) !== undefined,
  valueCapBytes: 16_384,
  // A hundred of them, each written at every peer of a large mesh, with removed ones.
  idsCap: 16_384,
};

/** How many runs of a pool's jobs may go on at once, by the pool's name. */
export const poolsRoot: ValuesRoot = {
  name: "pools" satisfies SettingKind,
  holds: "values",
  merge: "latest",
  isId: isSettingName,
  accepts: (value) => readSlots(value) !== undefined,
  valueCapBytes: 4_096,
  // A thousand pools, each set at several peers, with removed ones.
  idsCap: 16_384,
};

/** Defaults of the jobs of a group, by its name. */
export const groupsRoot: ValuesRoot = {
  name: "groups" satisfies SettingKind,
  holds: "values",
  merge: "latest",
  isId: isSettingName,
  accepts: (value) => readGroup(value) !== undefined,
  valueCapBytes: 65_536,
  // Some hundred groups, each set at several peers.
  idsCap: 2_048,
};

/** Values of secrets that are sealed to peers, by name (schema/secret.ts). */
export const secretsRoot: ValuesRoot = {
  name: "secrets" satisfies SettingKind,
  holds: "values",
  merge: "latest",
  isId: (id) => secretNameForm.test(id),
  accepts: (value) => readSealed(value) !== undefined,
  // The largest value, and its key for each of the most peers.
  valueCapBytes: 65_536,
  // Each of the most secrets, set at several peers.
  idsCap: 1_024,
};

/** What `cicada apply` has made, by source, kind and name (schema/declared.ts). */
export const sourcesRoot: ValuesRoot = {
  name: "sources",
  holds: "values",
  merge: "latest",
  isId: (id) => sourceEntryForm.test(id),
  accepts: isSourceEntry,
  valueCapBytes: 512,
  // 30,000 objects, each applied at several peers.
  idsCap: 131_072,
};

/** Tokens for the API, as hashes, and that one is revoked (schema/access.ts). What a value means is checked when it is used. */
export const tokensRoot: ValuesRoot = {
  name: "tokens",
  holds: "values",
  merge: "latest",
  isId: isTokenKey,
  accepts: (value) => typeof value === "object" && value !== null,
  valueCapBytes: 8_192,
  // Four new tokens every day for years, each with its revocation; and no more than versions without tokens take of such a root.
  idsCap: laterRoot.idsCap,
};

export const tableRoots: readonly Root[] = [
  jobsRoot,
  peersRoot,
  membershipRoot,
  joinsRoot,
  confirmationsRoot,
  channelsRoot,
  calendarsRoot,
  maintenanceRoot,
  poolsRoot,
  secretsRoot,
  groupsRoot,
  sourcesRoot,
  tokensRoot,
];

function isPeerId(id: string): boolean {
  return id.length > 0 && id.length <= peerIdCap;
}

/** Undefined if the id doesn't name a peer and a signer. */
export function splitConfirmation(id: string): Pick<Confirmation, "peer" | "signer"> | undefined {
  const [peer = "", signer = "", ...more] = id.split("/");
  if (!isPeerId(peer) || !isPeerId(signer) || more.length > 0) return undefined;
  return { peer: peer as PeerId, signer: signer as PeerId };
}

/** True for an instant (ms) that a date can show. */
function isShownInstant(at: unknown): at is number {
  return typeof at === "number" && at >= 0 && at <= lastInstant;
}

export function isJoinEntry(entry: unknown): entry is Omit<Join, "peer"> {
  if (!isAttributed(entry) || entry.name.length > nameCap || !isShownInstant(entry.at)) return false;
  const { invitation = "0" } = entry as { invitation?: unknown };
  return typeof invitation === "string" && isInvitationId(invitation);
}

export function isConfirmationEntry(entry: unknown): entry is Omit<Confirmation, "peer" | "signer"> {
  if (typeof entry !== "object" || entry === null) return false;
  return (
    "at" in entry &&
    isShownInstant(entry.at) &&
    "by" in entry &&
    typeof entry.by === "string" &&
    "signature" in entry &&
    typeof entry.signature === "string"
  );
}

/** True of an entry that can be read; any other says nothing. */
export function isMembershipEntry(entry: unknown): boolean {
  return statementOf("" as PeerId, entry) !== undefined;
}
