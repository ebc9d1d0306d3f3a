/**
 * Which versions of the protocol a peer speaks, and what it is capable of. Two peers can be members of one mesh when their
 * ranges overlap. A job may need a capability that some members lack; these are not asked to run it.
 *
 * A new optional field or a new kind of message needs no new version: of a message a peer ignores the fields that it doesn't
 * know, and a message of a kind that it doesn't know it drops and counts (`unknown-kind`, wire/codec.ts); gossip still hands
 * such a message on, because the mesh doesn't look into it. The version is raised when an older peer would misunderstand
 * what a newer one says; `oldest` follows when this program can no longer say it in the older way.
 *
 * Two peers speak the highest version that both ranges hold. Each works it out for itself when the other greets
 * (real/mesh/reception.ts), from the same two ranges, so both come to the same. What only a later version can say is then not
 * sent over that link; if it comes all the same, its envelope names its version and it is refused (`other-version`).
 */
export interface ProtocolRange {
  oldest: number;
  newest: number;
}

/** Of this program. */
export const ownProtocol: ProtocolRange = { oldest: 1, newest: 1 };

/** What a peer speaks that doesn't say it. */
export const unsaidProtocol: ProtocolRange = { oldest: 1, newest: 1 };

/** The version that the two speak with each other; undefined when they have none in common. */
export function commonVersion(a: ProtocolRange, b: ProtocolRange): number | undefined {
  const highest = Math.min(a.newest, b.newest);
  return highest >= Math.max(a.oldest, b.oldest) ? highest : undefined;
}

/** Undefined for what is no range. */
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

export type Capability = "executor:process" | "majority";

/** Of this program. Heartbeats carry it. A name is never given another meaning: what works differently is a new capability. */
export const ownCapabilities: readonly Capability[] = ["executor:process", "majority"];

/** What a program says of itself to others. */
export interface Spoken {
  protocol: ProtocolRange;
  capabilities: readonly string[];
}

export const ownSpoken: Spoken = { protocol: ownProtocol, capabilities: ownCapabilities };

/**
 * What a peer needs for a field of a job whose writer doesn't say what it needs. Only those that know the field have it, so
 * a version that adds a field announces this capability, or says with the field what it needs (table/slots.ts).
 */
export function capabilityForField(name: string): string {
  return `field:${name}`;
}

/** What this program lacks of what a part of a job needs. */
export function unknownCapabilities(capabilities: readonly string[]): string[] {
  const own: readonly string[] = ownCapabilities;
  return capabilities.filter((capability) => !own.includes(capability));
}

/** Of a peer that doesn't say what it is capable of. */
export const unsaidCapabilities: readonly Capability[] = ["executor:process", "majority"];
