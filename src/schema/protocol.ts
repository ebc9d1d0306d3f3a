/**
 * Which versions of the protocol a peer speaks, and what it is capable of. Two peers can be members of one mesh when
 * their ranges overlap. Members that lack a capability that a job needs are not asked to run it.
 *
 * A new optional field or a new kind of message needs no new version. A peer ignores the fields that it doesn't know.
 * It drops and counts messages of a kind that it doesn't know (`unknown-kind`, wire/codec.ts); gossip still forwards
 * them, because the mesh doesn't look inside. Raise `newest` when an older peer would misunderstand what a newer one
 * says. Raise `oldest` when this program can no longer speak the older way.
 *
 * Two peers speak the highest version that both ranges contain. Each computes it when the other one greets it
 * (real/mesh/reception.ts), from the same two ranges, so both get the same result. What only a later version can say is
 * not sent over that link. If it arrives anyway, its envelope names its version, and it is refused (`other-version`).
 *
 * The versions so far:
 * - 1: used before any release. No peer speaks it any more.
 * - 2: renames fields. Heartbeat: `warmingUp`, `hostFault`, `keySuperseded`, `duplicateIdentity`, `hearsIndirectly`;
 *   answer: `goesFirst`; ballot: `incarnation`; requested order: `requestedAt`. Adds rounds: a record's `giveBacks`.
 */
export interface ProtocolRange {
  oldest: number;
  newest: number;
}

export const ownProtocol: ProtocolRange = { oldest: 2, newest: 2 };

/** The range of a peer that states none. */
export const assumedProtocol: ProtocolRange = { oldest: 1, newest: 1 };

/** The version that two peers speak with each other; undefined when they have none in common. */
export function commonVersion(a: ProtocolRange, b: ProtocolRange): number | undefined {
  const highest = Math.min(a.newest, b.newest);
  return highest >= Math.max(a.oldest, b.oldest) ? highest : undefined;
}

/** Undefined for a value that is not a range. */
export function readProtocol(value: unknown): ProtocolRange | undefined {
  if (typeof value !== "object" || value === null || !("oldest" in value && "newest" in value))
    return undefined;
  const { oldest, newest } = value;
  return isVersion(oldest) && isVersion(newest) && oldest <= newest ? { oldest, newest } : undefined;
}

function isVersion(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1;
}

/** `3` or `3 to 5`. */
export function formatProtocol({ oldest, newest }: ProtocolRange): string {
  return oldest === newest ? String(oldest) : `${oldest} to ${newest}`;
}

/**
 * The fields of a job that were added since its first version, as `FIELD` or `FIELD.MEMBER`. A program that doesn't list
 * one doesn't run jobs that have it.
 */
export const addedFields = [
  "retry",
  "except",
  "jitter",
  "skip",
  "target.tags",
  "target.prefer",
  "target.count",
  "target.offline",
  "target.rolling",
  "weight",
  "success",
  "params",
  "http",
  "pauseAfterFailures",
  "script",
  "notify",
  "longAfter",
  "ping",
  "success.mustMatch",
  "success.mustNotMatch",
  "http.expectBody",
  "after",
  "precheck",
  "limits",
  "background",
  "pool",
  "secrets",
] as const;

export type Capability =
  | "executor:process"
  | "executor:http"
  | "majority"
  | "maintenance"
  | "groups"
  | "calendars"
  | "mesh-notices"
  | "count:all"
  | "audit"
  | `field:${(typeof addedFields)[number]}`;

/**
 * This program's capabilities, which its heartbeats carry. A name never changes its meaning: what works differently is
 * a new capability.
 */
export const ownCapabilities: readonly Capability[] = [
  "executor:process",
  "executor:http",
  "majority",
  "maintenance",
  "groups",
  "calendars",
  "mesh-notices",
  "count:all",
  "audit",
  ...addedFields.map((field) => `field:${field}` as const),
];

/** What a program tells other peers about itself. */
export interface Compatibility {
  protocol: ProtocolRange;
  capabilities: readonly string[];
}

export const ownCompatibility: Compatibility = { protocol: ownProtocol, capabilities: ownCapabilities };

/**
 * The capability for a field whose writer doesn't say what the field needs. A version that adds a field either
 * announces this capability or stores with the field what it needs (table/slots.ts).
 */
export function capabilityForField(name: string): string {
  return `field:${name}`;
}

/** Those of the capabilities that this program lacks. */
export function unknownCapabilities(capabilities: readonly string[]): string[] {
  const own: readonly string[] = ownCapabilities;
  return capabilities.filter((capability) => !own.includes(capability));
}

/** The capabilities of a peer that states none. */
export const assumedCapabilities: readonly Capability[] = ["executor:process", "majority"];
