/**
 * A peer as the API shows it: what the answering peer knows from its heartbeats. So two peers may show it differently.
 */
import { Type, type Static } from "typebox";
import type { MemberView, View } from "../../ports/control.ts";
import type { Forgotten } from "../../schema/attribution.ts";
import { findPeer, type FoundPeer, type NamedPeer } from "../../schema/find-peer.ts";
import { Instant, orNull, showInstant, showInstantOrNull } from "./show-run.ts";

/** How a peer came in. */
export const admissionFields = {
  joinedAt: orNull(
    Type.String({
      format: "date-time",
      description:
        "when a member first recorded it; null for the peer that made the mesh, and until it is recorded",
    }),
  ),
  invitation: orNull(Type.String({ description: "the invitation that it named when it joined" })),
  confirmed: Type.Boolean({
    description:
      "a person has confirmed that it belongs to the mesh, at the answering peer or at one that this peer trusts",
  }),
};

export function showAdmission({
  joinedAt,
  invitation,
  confirmed,
}: Pick<MemberView, "joinedAt" | "invitation" | "confirmed">): Pick<
  Peer,
  "joinedAt" | "invitation" | "confirmed"
> {
  return { joinedAt: showInstantOrNull(joinedAt), invitation: invitation ?? null, confirmed };
}

export const PeerSchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  self: Type.Boolean({ description: "this is the answering peer" }),
  state: Type.Enum(["alive", "suspect", "dead", "left", "forgotten"]),
  role: orNull(Type.Enum(["worker", "witness"])),
  voter: Type.Boolean({ description: "votes on orders of majority jobs now" }),
  votesFrom: orNull(
    Type.String({
      format: "date-time",
      description: "when its vote begins to count; null if it is not a voter",
    }),
  ),
  votesLost: Type.Boolean({
    description: "is a voter, and doesn't vote because its disk lacks votes that it has given",
  }),
  epoch: orNull(Type.Integer({ description: "the last epoch of the roster that it knows" })),
  tags: Type.Record(Type.String(), Type.String()),
  lacks: Type.Array(Type.String(), {
    description: "what jobs may need and its host lacks, or its settings don't allow, such as executor:http",
  }),
  load: orNull(Type.Integer({ description: "runs in progress" })),
  capacity: orNull(Type.Integer()),
  draining: Type.Boolean({ description: "takes no ticks: it is being stopped, or drained" }),
  drained: Type.Boolean({ description: "it takes no ticks because a person drained it" }),
  warmingUp: Type.Boolean({ description: "it has just started or woken up, and takes no ticks yet" }),
  clockOffsetMs: orNull(Type.Number({ description: "offset of its clock from that of the answering peer" })),
  version: orNull(Type.String()),
  tzdata: orNull(Type.String({ description: "version of its time zone table" })),
  heardAt: orNull(Instant),
  ...admissionFields,
  addresses: Type.Array(Type.String()),
  capabilities: Type.Array(Type.String(), {
    description: "what jobs may need and its version can do",
  }),
  hears: Type.Array(Type.String(), { description: "ids of the members that it hears" }),
  clockSynchronised: orNull(Type.Boolean({ description: "its host says that it follows a time server" })),
});

export type Peer = Static<typeof PeerSchema>;

export const RosterSchema = Type.Object({
  epoch: Type.Integer({ description: "number of the last epoch" }),
  voters: Type.Array(Type.String()),
  from: Type.String({ format: "date-time", description: "the first instant whose ticks its voters decide" }),
  forced: Type.Array(Type.Object({ epoch: Type.Integer(), by: Type.String() }), {
    description: "epochs that were forced instead of voted for, and the peer that was asked to do so",
  }),
});

export function showRoster({ roster }: Pick<View, "roster">): Static<typeof RosterSchema> | null {
  if (roster === undefined) return null;
  const { epoch, voters, from, forced } = roster;
  return { epoch, voters: [...voters], from: showInstant(from), forced: [...forced] };
}

/** All members, the answering peer first, then the peers that the mesh has forgotten. */
export function peersOf({ members, forgotten }: Pick<View, "members" | "forgotten">): Peer[] {
  const shown = members.map(showPeer);
  shown.sort((a, b) => Number(b.self) - Number(a.self) || a.name.localeCompare(b.name));
  return [...shown, ...forgotten.map(showForgotten)];
}

/** The member that a person means; if no member fits, the forgotten peer. */
export function findShownPeer(
  { members, forgotten }: Pick<View, "members" | "forgotten">,
  text: string,
): FoundPeer<NamedPeer> {
  const found = findPeer<NamedPeer>(members, text);
  if (found.kind !== "none") return found;
  return findPeer(
    forgotten.map(({ peer: id, name }) => ({ id, name })),
    text,
  );
}

function showForgotten({ peer, name }: Forgotten): Peer {
  return {
    id: peer,
    name,
    self: false,
    state: "forgotten",
    role: null,
    voter: false,
    votesFrom: null,
    votesLost: false,
    epoch: null,
    tags: {},
    lacks: [],
    load: null,
    capacity: null,
    draining: false,
    drained: false,
    warmingUp: false,
    clockOffsetMs: null,
    version: null,
    tzdata: null,
    heardAt: null,
    joinedAt: null,
    invitation: null,
    confirmed: false,
    addresses: [],
    capabilities: [],
    hears: [],
    clockSynchronised: null,
  };
}

export function showPeer(member: MemberView): Peer {
  const { heartbeat } = member;
  return {
    id: member.id,
    name: member.name,
    self: member.self,
    state: member.state,
    role: heartbeat?.role ?? null,
    voter: member.voter,
    votesFrom: showInstantOrNull(member.votesFrom),
    votesLost: member.votesLost,
    epoch: heartbeat?.epoch ?? null,
    tags: heartbeat?.tags ?? {},
    lacks: heartbeat?.lacks ?? [],
    load: heartbeat?.load ?? null,
    capacity: heartbeat?.capacity ?? null,
    draining: member.draining,
    drained: member.drained,
    warmingUp: member.warmingUp,
    clockOffsetMs: member.clockOffsetMs ?? null,
    version: heartbeat?.version ?? null,
    tzdata: heartbeat?.tzdata ?? null,
    heardAt: showInstantOrNull(member.heardAt),
    ...showAdmission(member),
    addresses: heartbeat?.addresses ?? [],
    capabilities: heartbeat?.capabilities ?? [],
    hears: heartbeat?.hears ?? [],
    clockSynchronised: heartbeat?.clock.synchronised ?? null,
  };
}
