/**
 * The membership of peers as this peer knows it: what people said about it (membership-rule.ts says which statements
 * count), and what follows (forgotten.ts, readmission.ts).
 *
 * The statements that count are kept on this peer's own disk too, because any member can write over any entry of the
 * table. If one of them is missing in the table, one member writes it there again, once in its life. A statement without
 * a signature, or with a bad one, is kept in the table, shown as refused, and changes nothing.
 *
 * Earlier versions signed nothing. What this peer's folder held before the first start of this version was in force here, so
 * this peer stands by it and signs it. What an earlier version says later is refused: a person has to repeat it at a peer of
 * this version.
 */
import { keptStatementKey, storedKeys } from "../events.ts";
import {
  entryOf,
  isSigned,
  membershipBytes,
  type MembershipStatement,
  type SignedStatement,
} from "../../schema/membership.ts";
import { sameValue } from "../../schema/equal.ts";
import type { Write } from "../../ports/disk.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { TableEdit } from "../../schema/job.ts";
import { mark } from "../probes/marks.ts";
import { emit, nextToken, note, type State } from "../state.ts";
import { isRecorder, mayRecord } from "./admissions.ts";
import { noteSelfForgotten, takeForgotten } from "./forgotten.ts";
import { judgeStatements, type StatementFacts, type StatementRefusal } from "./membership-rule.ts";
import { signStatement } from "./own-statements.ts";
import { carryOn, isRefusalOutdated, takeReadmitted } from "./readmission.ts";

/** Signatures checked in one step, about 0.1 ms each. More would let a member that floods the table block the loop. */
const checksPerStep = 100;
/** Between two judgements, unless a person has just said something here. Less lets a flood cost more; more delays a forget. */
const reviewPauseMs = 500;
/** How many statements are written again in one step. */
const repeatsPerStep = 20;

/**
 * After a start: `kept` are the statements that counted in an earlier life; undefined = no earlier life had this version,
 * and the last of `statements` about a peer was in force.
 */
export function openMembership(
  state: State,
  statements: readonly MembershipStatement[],
  kept: readonly MembershipStatement[] | undefined,
): void {
  const { membership } = state.operator;
  const inForce = kept ?? inherit(state, statements);
  membership.kept = new Map(inForce.map((statement) => [statement.peer, statement]));
  for (const statement of inForce) membership.checked.set(statement, true);
  if (kept === undefined) {
    emit(state, { kind: "store", writes: [{ kind: "meta", key: storedKeys.membership, value: "kept" }] });
    keep(state, new Map());
  }
  holdStatements(state, statements);
  review(state);
  follow(state);
}

/**
 * Takes in the statements that are in the table now. A judgement reads all of them, so a member that changes them again
 * and again causes only a limited number. Returns whether the members have changed.
 */
export function takeStatements(state: State, statements: readonly MembershipStatement[]): boolean {
  holdStatements(state, statements);
  const isSoon = state.now.mono - state.operator.membership.reviewedMono < reviewPauseMs;
  return !isSoon && reviewMembership(state);
}

/**
 * Called about once a second, too: signatures may be unchecked, and signers unknown. Returns whether the members have
 * changed.
 */
export function reviewMembership(state: State): boolean {
  if (!state.operator.membership.isUnreviewed) return false;
  return review(state) && follow(state);
}

/**
 * A member has turned this peer away as forgotten. Without a proof that changes nothing. The proof is the statement of the
 * person who said so, which is judged as if it stood in the table. If this peer's own person has overruled it since, it
 * counts again as long as no member accepts this peer: the members run the timetable without it.
 */
export function hearRefusal(state: State, by: PeerId, statement: MembershipStatement | undefined): void {
  const { operator, settings, now } = state;
  const { membership } = operator;
  if (statement?.peer === settings.self && statement.forgotten && isProved(state, statement)) {
    takeStatement(state, statement);
    const decides = membership.kept.get(settings.self);
    if (decides === undefined || decides.forgotten) return;
    const isOwn = decides.signer === settings.self;
    if (isOwn && !isRefusalOutdated(state)) noteSelfForgotten(state, { by: statement.by, at: statement.at });
    return;
  }
  const isNews = membership.bareRefusal?.by !== by;
  membership.bareRefusal = { by, mono: now.mono };
  if (!isNews) return;
  mark(state, "bare-refusal");
  const what = "a peer turns this one away as forgotten, and shows no statement of a person: nothing follows";
  note(state, "warn", what, { by });
}

/**
 * A statement counts here at once: a person has just said it, or a member has shown it. Returns whether the members have
 * changed.
 */
export function takeStatement(state: State, statement: MembershipStatement): boolean {
  return review(state, [statement]) && follow(state);
}

/** Whether the statement is signed by a peer that may say so. */
function isProved(state: State, statement: MembershipStatement): boolean {
  if (!isSigned(statement)) return false;
  const facts = {
    ...factsOf(state),
    isSignatureGood: (one: SignedStatement) => hasGoodSignature(state, one),
  };
  return judgeStatements([...state.operator.membership.kept.values(), statement], facts).refused.every(
    (refused) => refused.statement !== statement,
  );
}

/** Called about once a second: writes statements that count and that the table lacks. */
export function repeatStatements(state: State): void {
  const { membership } = state.operator;
  if (membership.kept.size === 0 || !mayRecord(state) || !isRecorder(state)) return;
  const edits: TableEdit[] = [];
  for (const statement of membership.kept.values()) {
    const { signature = "", peer: id, by } = statement;
    if (edits.length === repeatsPerStep) break;
    if (membership.inTable.has(signature) || membership.repeated.has(signature)) continue;
    membership.repeated.add(signature);
    edits.push({ kind: "set", root: "membership", id, value: entryOf(statement), by });
  }
  if (edits.length > 0) emit(state, { kind: "edit", edits, token: nextToken(state) });
}

/** Statements that would forget a member, or take a forgotten peer in, and don't count, with the reasons. For people. */
export function refusedStatements(state: State): { statement: MembershipStatement; why: string }[] {
  const { membership, forgotten } = state.operator;
  return membership.refused.flatMap(({ statement, why }) => {
    const isMember = statement.peer === state.settings.self || state.members.byId.has(statement.peer);
    const wouldChange = statement.forgotten ? isMember : forgotten.has(statement.peer) && why !== "itself";
    const isOver = statement.at <= (membership.kept.get(statement.peer)?.at ?? -Infinity);
    return !wouldChange || isOver || why === "unchecked" ? [] : [{ statement, why: reasons[why] }];
  });
}

const reasons: Readonly<Record<Exclude<StatementRefusal, "unchecked">, string>> = {
  unsigned: "no peer has signed it (earlier versions sign nothing)",
  ahead: "its date is in the future",
  itself: "that peer has signed it itself",
  unknown: "the peer that signed it is no member",
  silenced: "the peer that signed it had been forgotten",
  forged: "its signature is false",
};

function holdStatements(state: State, statements: readonly MembershipStatement[]): void {
  const { membership } = state.operator;
  membership.statements = statements;
  membership.inTable = new Set(statements.map(({ signature = "" }) => signature));
  membership.isUnreviewed = true;
}

/** Judges the statements. Returns whether another statement than before decides about some peer. */
function review(state: State, more: readonly MembershipStatement[] = []): boolean {
  const { membership } = state.operator;
  membership.reviewedMono = state.now.mono;
  const statements = [...membership.kept.values(), ...membership.statements, ...more];
  for (const statement of more)
    membership.checked.set(statement, isSigned(statement) && hasGoodSignature(state, statement));
  checkSignatures(state, statements);
  const { deciding, refused } = judgeStatements(statements, factsOf(state));
  membership.refused = refused;
  // Signatures may still be unchecked, a signer may become known, and a date may be reached.
  membership.isUnreviewed = refused.some(({ why }) => mayChange.has(why));
  describeRefused(state);
  const before = membership.kept;
  membership.kept = deciding;
  return keep(state, before);
}

const mayChange: ReadonlySet<StatementRefusal> = new Set(["unchecked", "unknown", "ahead"]);

function factsOf(state: State): StatementFacts {
  const { settings, members, voting, operator, now } = state;
  const { checked, kept } = operator.membership;
  const voters = new Set(voting.roster.chain.flatMap((epoch) => epoch.voters));
  const signers = new Set([...kept.values()].map(({ signer }) => signer));
  const signatures = new Set([...kept.values()].map(({ signature }) => signature));
  const { self, founder } = settings;
  const isKnown = (peer: PeerId) =>
    peer === self ||
    peer === founder ||
    members.byId.has(peer) ||
    members.admissions.joins.has(peer) ||
    voters.has(peer) ||
    kept.has(peer) ||
    signers.has(peer);
  return {
    self,
    now: now.wall,
    isKnown,
    hasCounted: ({ signature }) => signatures.has(signature),
    isSignatureGood: (statement) => checked.get(statement),
  };
}

/**
 * Checks the statements that have waited the longest first, so that a member that floods the table delays others'
 * statements for a limited time only.
 */
function checkSignatures(state: State, statements: readonly MembershipStatement[]): void {
  const { checked } = state.operator.membership;
  const present = new Set(statements);
  for (const statement of checked.keys()) if (!present.has(statement)) checked.delete(statement);
  for (const statement of statements)
    if (isSigned(statement) && !checked.has(statement)) checked.set(statement, undefined);
  let left = checksPerStep;
  for (const [statement, known] of checked) {
    if (known !== undefined) continue;
    if (left-- === 0) return;
    checked.set(statement, isSigned(statement) && hasGoodSignature(state, statement));
  }
}

function hasGoodSignature({ settings }: State, statement: SignedStatement): boolean {
  const bytes = membershipBytes(statement);
  return bytes !== undefined && settings.verifyText(statement.signer, bytes, statement.signature);
}

/** Carries out what the statements that count say. Returns whether the members have changed. */
function follow(state: State): boolean {
  const { operator, settings } = state;
  const { kept } = operator.membership;
  const forgotten = [...kept.values()].filter((statement) => statement.forgotten);
  const readmitted = [...kept.values()].filter((statement) => !statement.forgotten);
  emit(state, {
    kind: "refuse",
    peers: forgotten.flatMap((statement) =>
      statement.peer === settings.self ? [] : [{ peer: statement.peer, proof: JSON.stringify(statement) }],
    ),
  });
  for (const peer of operator.forgotten.keys()) {
    if (kept.has(peer)) continue;
    operator.forgotten.delete(peer);
    note(state, "info", "the statement by which a peer was forgotten doesn't count any more", { peer });
  }
  const { self } = settings;
  if (operator.membership.selfForgottenBy !== undefined && !kept.has(self)) carryOn(state);
  operator.membership.selfForgottenBy = kept.get(self)?.forgotten === true ? kept.get(self) : undefined;
  takeReadmitted(state, readmitted);
  return takeForgotten(state, forgotten);
}

/**
 * What was in force here under an earlier version, signed by this peer: others can check it, and it can be shown at the
 * door.
 */
function inherit(state: State, statements: readonly MembershipStatement[]): MembershipStatement[] {
  const { self } = state.settings;
  const last = new Map(statements.map((statement) => [statement.peer, statement]));
  // A forget of this peer itself is left out: it is stored elsewhere, and this peer must not sign it.
  const inForce = [...last.values()].filter(({ peer, forgotten }) => peer !== self || !forgotten);
  return inForce.map((statement) => {
    const { peer, forgotten, at, by, name } = statement;
    return isSigned(statement) ? statement : signStatement(state, { peer, forgotten, at, by, name });
  });
}

/** Logs, once a peer and life, that a statement about it doesn't count. */
function describeRefused(state: State): void {
  const { described } = state.operator.membership;
  for (const { statement, why } of refusedStatements(state)) {
    if (described.has(statement.peer)) continue;
    described.add(statement.peer);
    mark(state, "statement-refused");
    emit(state, { kind: "count", name: "refused_membership" });
    const what = statement.forgotten ? "forget a peer" : "take a peer in again";
    note(state, "warn", `a request to ${what} is refused: ${why}`, {
      peer: statement.peer,
      by: statement.by,
    });
  }
}

/** Stores the statements that decide and did not before. Returns whether there are any, or others that decide no more. */
function keep(state: State, before: ReadonlyMap<PeerId, MembershipStatement>): boolean {
  const { kept } = state.operator.membership;
  const writes: Write[] = [];
  for (const [peer, statement] of kept) {
    if (sameValue(before.get(peer), statement)) continue;
    writes.push({ kind: "meta", key: keptStatementKey(peer), value: JSON.stringify(statement) });
  }
  for (const peer of before.keys())
    if (!kept.has(peer)) writes.push({ kind: "meta", key: keptStatementKey(peer), value: "" });
  if (writes.length > 0) emit(state, { kind: "store", writes });
  return writes.length > 0;
}
