/**
 * What this peer says about itself: its heartbeats, which also list the peers that it hears, and its own row in the list of
 * members. members.ts says when heartbeats are due, and what follows from those of others.
 */
import type { MemberView } from "../../ports/control.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Heartbeat } from "../../schema/heartbeat.ts";
import type { State } from "../state.ts";
import { admissionOf } from "./admission.ts";
import { hasJumped, ownClockOffset } from "./clocks.ts";
import { hasDuplicateIdentity, livesOf } from "./duplicate-identity.ts";
import { ownLacks } from "./equipment.ts";
import { ownSecretsOf } from "./secrets.ts";
import { hasHostFault } from "./host-fault.ts";
import { createMember, type Member } from "./members-state.ts";
import { heard, hearsMax, voteOf } from "./members.ts";
import { shownName } from "./names.ts";

/** The peers in reach, as a heartbeat lists them. */
export interface InReach {
  hears: PeerId[];
  hearsIndirectly: PeerId[];
}

/**
 * What a heartbeat says about others: the peers that this peer hears, and in `hearsIndirectly` those that only they hear. So
 * in a chain of four, each end knows that the other is alive.
 */
export function peersInReach(state: State): InReach {
  const hears = heard(state);
  const direct = new Set(hears).add(state.settings.self);
  const hearsIndirectly = new Set<PeerId>();
  for (const id of hears) {
    for (const other of state.members.byId.get(id)?.heartbeat?.hears ?? []) {
      if (!direct.has(other) && hearsIndirectly.size < hearsMax) hearsIndirectly.add(other);
    }
  }
  return { hears, hearsIndirectly: [...hearsIndirectly] };
}

/**
 * When the member's last heartbeat was heard, by this peer's clock as it is set now, ms. If the clock was set since, it is
 * unknown; then an older life of the member is told by the monotonic clock for how long the newer one has been silent.
 */
function heardAtOf(
  { now, members }: State,
  { heardWall, heardMono, heardCount }: Member,
  hasOlderLife: boolean,
): number | undefined {
  if (heardCount === members.clockCount) return heardWall;
  return hasOlderLife && heardMono !== undefined ? now.wall - (now.mono - heardMono) : undefined;
}

/** This peer's heartbeat to one member. */
export function heartbeatTo(
  state: State,
  member: Member,
  open: Heartbeat["open"],
  { hears, hearsIndirectly }: InReach,
  votes: Partial<Heartbeat> = {},
): Heartbeat {
  const { settings, now } = state;
  const { ownLife } = state.members;
  const lacks = ownLacks(state);
  const lives = livesOf(state, member);
  const heardAt = heardAtOf(state, member, lives.length > 0);
  const echo =
    member.heartbeat === undefined || heardAt === undefined
      ? undefined
      : {
          incarnation: member.heartbeat.incarnation,
          count: member.heartbeat.clock.count,
          sentAt: member.heartbeat.sentAt,
          heardAt,
        };
  return {
    kind: "heartbeat",
    incarnation: state.members.incarnation,
    name: settings.name,
    version: settings.version,
    sentAt: now.wall,
    clock: {
      count: state.members.clockCount,
      synchronised: now.synchronised ?? false,
      ...(hasJumped(state, member) ? { jumped: true } : {}),
    },
    ...(echo === undefined ? {} : { echo }),
    load: state.book.runningWeight,
    capacity: settings.capacity,
    role: settings.role,
    tags: settings.tags,
    draining: state.operator.draining || state.operator.drained !== undefined,
    ...(state.operator.drained === undefined ? {} : { drained: true }),
    ...(hasHostFault(state) ? { hostFault: true } : {}),
    ...(settings.invitation === undefined ? {} : { invitation: settings.invitation.id }),
    ...(state.members.supersededKey === undefined ? {} : { keySuperseded: true }),
    warmingUp: state.upkeep.warmUp !== undefined,
    table: state.tableDigest,
    open,
    tzdata: settings.tzdata,
    capabilities: [...state.settings.capabilities],
    ...(lacks.length === 0 ? {} : { lacks: [...lacks] }),
    ...ownSecretsOf(state),
    ...votes,
    ...(hasDuplicateIdentity(state, member) ? { duplicateIdentity: true } : {}),
    ...(ownLife === undefined ? {} : { life: ownLife }),
    ...(lives.length === 0 ? {} : { lives }),
    hears,
    ...(hearsIndirectly.length === 0 ? {} : { hearsIndirectly }),
    addresses: [...state.addresses],
  };
}

export function viewOfSelf(state: State): MemberView {
  const own = heartbeatTo(
    state,
    createMember(state.settings.self, state.now.mono),
    { count: 0, digest: "" },
    peersInReach(state),
  );
  return {
    id: state.settings.self,
    name: shownName(state, state.settings.self),
    state: "alive",
    self: true,
    ...voteOf(state, state.settings.self),
    draining: state.operator.draining || state.operator.drained !== undefined,
    drained: state.operator.drained !== undefined,
    warmingUp: state.upkeep.warmUp !== undefined,
    clockOffsetMs: ownClockOffset(state),
    heardAt: state.now.wall,
    ...admissionOf(state, state.settings.self),
    heartbeat: own,
  };
}
