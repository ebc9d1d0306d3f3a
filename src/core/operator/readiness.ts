/** Why this peer is not ready, and what else people should know about it and its mesh, in sentences. */
import type { NotReady } from "../../ports/control.ts";
import type { Attribution } from "../../schema/attribution.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Epoch } from "../../schema/vote.ts";
import { clockWarnings, describeDoubt } from "../members/clock-report.ts";
import { isDoubted } from "../members/clocks.ts";
import { standsBack } from "../members/duplicate-identity.ts";
import { hasHostFault } from "../members/host-fault.ts";
import { shownAuthor, shownName } from "../members/names.ts";
import { hasSupersededKey, isAlone } from "../members/superseded-key.ts";
import { votersMissing } from "../orders/hindrances.ts";
import type { State } from "../state.ts";
import { refusedStatements } from "./membership.ts";
import { hasOwnReadmission } from "./readmission.ts";

/** The most refused statements that are shown: a member can write any number. */
const refusedShownMax = 10;
/** How long a refusal without proof is shown; a refused peer tries again every few seconds. */
const bareRefusalShownMs = 60_000;

/** The reasons why this peer is not ready. */
export function notReady(state: State): NotReady[] {
  const { operator, upkeep, voting } = state;
  const self = shownName(state, state.settings.self);
  const reasons: NotReady[] = [];
  const add = (code: NotReady["code"], message: string) => reasons.push({ code, message });
  if (!state.alive) add("starting", "starting: the data folder is being read");
  if (upkeep.warmUp !== undefined) {
    add("warming-up", "warming up: waiting for the other peers' jobs and records");
  }
  if (operator.draining) add("draining", "draining: the peer is being stopped");
  if (operator.drained !== undefined) {
    add(
      "drained",
      `drained by ${operator.drained.by}: it takes no ticks until \`cicada peers undrain ${self}\``,
    );
  }
  if (operator.selfForgotten !== undefined) {
    add("forgotten", describeForgotten(state, operator.selfForgotten));
  }
  const { supersededKey } = state.members;
  if (supersededKey !== undefined && hasSupersededKey(state)) {
    add(
      "key-superseded",
      `the mesh's key was rotated, and this peer still has the old one (proved by ${shownAuthor(state, supersededKey.by)}), which no ` +
        "member accepts: rejoin with --join and what `cicada peers invite` prints at a member (identity and history stay)" +
        (isAlone(state) ? "" : whenUntrue(shownAuthor(state, supersededKey.by))),
    );
  }
  if (standsBack(state)) {
    add(
      "duplicate-identity",
      "a newer process uses this peer's identity, and the others count on that process: stop one of the two, and give it a folder " +
        "of its own. This process takes ticks again once the other one has been silent for a while",
    );
  } else if (state.members.duplicateIdentity) {
    add(
      "duplicate-identity",
      "another process uses this peer's identity: stop one of the two, and give it a folder of its own",
    );
  }
  if (voting.voter.memory === "lost") {
    add(
      "votes-lost",
      "this voter's disk doesn't hold all votes given in its name (it is an old copy, or another process used its identity): it doesn't " +
        `vote until a member forgets it, takes it in again and makes it a voter (\`cicada peers forget ${self}\`, then \`unforget\` and \`promote\`)`,
    );
  }
  const missing = state.jobs.majorityJobs.size > 0 ? votersMissing(state) : undefined;
  if (missing !== undefined && upkeep.warmUp === undefined) add("no-quorum", missing);
  if (state.diskFailures > 0) add("disk", "the data folder can't be written");
  if (isDoubted(state)) add("clock", describeDoubt(state));
  if (upkeep.wentBack) {
    add(
      "clock",
      "this peer's clock was set back: its plans and decisions are revised once the clock is known to be right",
    );
  }
  const { hostFault } = state.members;
  if (hostFault !== undefined && hasHostFault(state)) {
    const restSeconds = Math.max(1, Math.ceil((hostFault.untilMono - state.now.mono) / 1_000));
    add(
      "host",
      `this host could not ${hostFault.what}: ${hostFault.reason}; the peer tries again in ${restSeconds} s`,
    );
  }
  return reasons;
}

function describeForgotten(state: State, { by, at }: Attribution): string {
  const time = `${new Date(at).toISOString().slice(0, 19)}Z`;
  const unforget = `\`cicada peers unforget ${shownName(state, state.settings.self)}\``;
  const here = hasOwnReadmission(state)
    ? "a person has asked for that since, and members still refuse this peer"
    : "here it lets this peer carry on if no member is left";
  return (
    `the mesh has forgotten this peer (${shownAuthor(state, by)}, ${time}): ${unforget} at a member takes it in again; ${here}. ` +
    "Or give it a new data folder and a new invitation"
  );
}

/** What people should know, in words, although it doesn't keep this peer from taking ticks. */
export function warningsOf(state: State): string[] {
  const forced = forcedIn(state.voting.roster.chain).map(
    ({ epoch, by }) =>
      `epoch ${epoch} of the roster was forced at ${shownName(state, by)}: if its old voters are still running, a tick of a majority ` +
      "job may run twice",
  );
  const stuck = [...state.book.runs].flatMap(([run, { stuck: reason }]) =>
    reason === undefined ? [] : [`run ${run} can't be ended: ${reason}`],
  );
  return [
    ...forced,
    ...stuck,
    ...membershipWarnings(state),
    ...ownReadmission(state),
    ...clockWarnings(state),
  ];
}

/** Statements that don't count, and refusals without a proof: they change nothing, but people should know of them. */
function membershipWarnings(state: State): string[] {
  const refused = refusedStatements(state)
    .slice(0, refusedShownMax)
    .map(({ statement: { peer, by, forgotten }, why }) => {
      const verb = forgotten ? "forget" : "unforget";
      return (
        `a request to ${verb} ${shownName(state, peer)} (${shownAuthor(state, by)}) changes nothing: ${why}. If a person wants that, ` +
        `ask here again: \`cicada peers ${verb} ${shownName(state, peer)}\``
      );
    });
  const { bareRefusal } = state.operator.membership;
  const isShown = bareRefusal !== undefined && state.now.mono - bareRefusal.mono < bareRefusalShownMs;
  if (!isShown || state.operator.selfForgotten !== undefined) return refused;
  const bare =
    `${shownName(state, bareRefusal.by)} turns this peer away as forgotten, but shows no signed statement of a person: that changes ` +
    "nothing here. If this peer is to be forgotten, ask for it again at a member";
  return [...refused, bare];
}

/** A peer that has taken itself in again, and reaches nobody: it can't know yet whether members still refuse it. */
function ownReadmission(state: State): string[] {
  const { settings, members, operator } = state;
  const isOwn = operator.membership.kept.get(settings.self)?.signer === settings.self;
  const others = [...members.byId.values()];
  const isOpen = isOwn && operator.selfForgotten === undefined && others.length > 0;
  if (!isOpen || others.some(({ linked }) => linked)) return [];
  return [
    "this peer was forgotten and took itself in again, and no member has a link to it: members that still refuse it have to be asked " +
      `as well (\`cicada peers unforget ${shownName(state, settings.self)}\` at one of them)`,
  ];
}

/** What members that are linked can do against a thief of their key. */
function whenUntrue(prover: string): string {
  return `. If nobody has rotated it, ${prover} has a stolen key: \`cicada key rotate --without ${prover}\` at this peer`;
}

export function forcedIn(chain: readonly Epoch[]): { epoch: number; by: PeerId }[] {
  return chain.flatMap(({ number, forced }) =>
    forced === undefined ? [] : [{ epoch: number, by: forced.by }],
  );
}
