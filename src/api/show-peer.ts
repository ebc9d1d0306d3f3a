/**
 * A peer as the API shows it: what this peer knows of it by its heartbeats, so two peers may tell it differently.
 */
import { Type, type Static } from "typebox";
import type { MemberView } from "../ports.ts";
import { Instant, orNull, showInstantOrNull } from "./show-run.ts";

export const PeerSchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  self: Type.Boolean({ description: "the peer that answers" }),
  state: Type.Enum(["alive", "suspect", "dead", "left"]),
  role: orNull(Type.Enum(["worker", "witness"])),
  voter: Type.Boolean({ description: "votes on orders of majority jobs" }),
  tags: Type.Record(Type.String(), Type.String()),
  load: orNull(Type.Integer({ description: "runs that are on now" })),
  capacity: orNull(Type.Integer()),
  draining: Type.Boolean(),
  settling: Type.Boolean({ description: "it has just started or woken, and takes no ticks yet" }),
  clockOffsetMs: orNull(Type.Number({ description: "its clock against that of the peer that answers" })),
  version: orNull(Type.String()),
  tzdata: orNull(Type.String({ description: "version of its time zone table" })),
  heardAt: orNull(Instant),
  addresses: Type.Array(Type.String()),
});

export function showPeer(member: MemberView): Static<typeof PeerSchema> {
  const { heartbeat } = member;
  return {
    id: member.id,
    name: member.name,
    self: member.self,
    state: member.state,
    role: heartbeat?.role ?? null,
    voter: member.voter,
    tags: heartbeat?.tags ?? {},
    load: heartbeat?.load ?? null,
    capacity: heartbeat?.capacity ?? null,
    draining: member.draining,
    settling: member.settling,
    clockOffsetMs: member.clockOffsetMs ?? null,
    version: heartbeat?.version ?? null,
    tzdata: heartbeat?.tzdata ?? null,
    heardAt: showInstantOrNull(member.heardAt),
    addresses: heartbeat?.addresses ?? [],
  };
}
