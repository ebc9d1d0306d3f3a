/**
 * The membership of peers as this peer knows it: what people said about it (membership-rule.ts says which words count), and
 * what follows (forgotten.ts, readmission.ts).
 *
 * The words that count are kept on this peer's own disk too, because any member can write over any entry of the table. If one
 * of them is missing in the table, one member writes it there again, once in its life. A word without a signature, or with a
 * bad one, is kept in the table, shown as refused, and changes nothing.
 *
 * Earlier versions signed nothing. What this peer's folder held before the first start of this version was in force here, so
 * this peer stands by it and signs it. What an earlier version says later is refused: a person has to repeat it at a peer of
 * this version.
 */
import { keptWordKey, storedKeys } from "../events.ts";
import {
  entryOf,
  isSigned,
  membershipBytes,
  type MembershipWord,
  type SignedWord,
} from "../../schema/membership.ts";
import { sameValue } from "../../schema/equal.ts";
import type { Write } from "../../ports/disk.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { TableEdit } from "../../schema/job.ts";
import { mark } from "../probes/marks.ts";
import { emit, nextToken, note, type State } from "../state.ts";
import { isRecorder, mayRecord } from "./admissions.ts";
import { noteSelfForgotten, takeForgotten } from "./forgotten.ts";
import { judgeWords, type WordFacts, type WordRefusal } from "./membership-rule.ts";
import { signWord } from "./own-words.ts";
import { carryOn, isRefusalOutdated, takeReadmitted } from "./readmission.ts";

/** Signatures checked in one step, about 0.1 ms each. More would let a member that floods the table block the loop. */
const checksPerStep = 100;
/** Between two judgements, unless a person has just said something here. Less lets a flood cost more; more delays a forget. */
const reviewPauseMs = 500;
/** How many words are written again in one step. */
const repeatsPerStep = 20;

/**
 * After a start: `kept` are the words that counted in an earlier life; undefined = no earlier life had this version, and the
 * last of `words` about a peer was in force.
 */
export function openMembership(
  state: State,
  words: readonly MembershipWord[],
  kept: readonly MembershipWord[] | undefined,
): void {
  const { membership } = state.operator;
  const inForce = kept ?? inherit(state, words);
  membership.kept = new Map(inForce.map((word) => [word.peer, word]));
  for (const word of inForce) membership.checked.set(word, true);
  if (kept === undefined) {
    emit(state, { kind: "store", writes: [{ kind: "meta", key: storedKeys.membership, value: "kept" }] });
    keep(state, new Map());
  }
  holdWords(state, words);
  review(state);
  follow(state);
}

/**
 * Takes in the words that stand in the table now. A judgement reads all of them, so a member that changes them again and again
 * causes only so many. Returns whether the members have changed.
 */
export function takeWords(state: State, words: readonly MembershipWord[]): boolean {
  holdWords(state, words);
  const isSoon = state.now.mono - state.operator.membership.reviewedMono < reviewPauseMs;
  return !isSoon && reviewMembership(state);
}

/** Called about once a second, too: signatures may be unchecked, and signers unknown. Returns whether the members have changed. */
export function reviewMembership(state: State): boolean {
  if (!state.operator.membership.isUnreviewed) return false;
  return review(state) && follow(state);
}

/**
 * A member has turned this peer away as forgotten. Its bare word changes nothing. It shows the word of the person who said so,
 * which is judged as if it stood in the table. If this peer's own person has overruled it since, it counts again as long as
 * no member accepts this peer: the members run the timetable without it.
 */
export function hearRefusal(state: State, by: PeerId, word: MembershipWord | undefined): void {
  const { operator, settings, now } = state;
  const { membership } = operator;
  if (word?.peer === settings.self && word.forgotten && isProved(state, word)) {
    takeWord(state, word);
    const decides = membership.kept.get(settings.self);
    if (decides === undefined || decides.forgotten) return;
    const isOwn = decides.signer === settings.self;
    if (isOwn && !isRefusalOutdated(state)) noteSelfForgotten(state, { by: word.by, at: word.at });
    return;
  }
  const isNews = membership.bareRefusal?.by !== by;
  membership.bareRefusal = { by, mono: now.mono };
  if (!isNews) return;
  mark(state, "bare-refusal");
  note(
    state,
    "warn",
    "a peer turns this one away as forgotten, and shows no word of a person: nothing follows",
    {
      by,
    },
  );
}

/** A word counts here at once: a person has just said it, or a member has shown it. Returns whether the members have changed. */
export function takeWord(state: State, word: MembershipWord): boolean {
  return review(state, [word]) && follow(state);
}

/** Whether the word is signed by a peer that may say so. */
function isProved(state: State, word: MembershipWord): boolean {
  if (!isSigned(word)) return false;
  const facts = { ...factsOf(state), isSignatureGood: (one: SignedWord) => hasGoodSignature(state, one) };
  return judgeWords([...state.operator.membership.kept.values(), word], facts).refused.every(
    (refused) => refused.word !== word,
  );
}

/** Called about once a second: writes words that count and that the table lacks. */
export function repeatWords(state: State): void {
  const { membership } = state.operator;
  if (membership.kept.size === 0 || !mayRecord(state) || !isRecorder(state)) return;
  const edits: TableEdit[] = [];
  for (const word of membership.kept.values()) {
    const { signature = "", peer: id, by } = word;
    if (edits.length === repeatsPerStep) break;
    if (membership.inTable.has(signature) || membership.repeated.has(signature)) continue;
    membership.repeated.add(signature);
    edits.push({ kind: "set", root: "membership", id, value: entryOf(word), by });
  }
  if (edits.length > 0) emit(state, { kind: "edit", edits, token: nextToken(state) });
}

/** Words that would forget a member, or take a forgotten peer in, and don't count, with the reasons. For people. */
export function refusedWords(state: State): { word: MembershipWord; why: string }[] {
  const { membership, forgotten } = state.operator;
  return membership.refused.flatMap(({ word, why }) => {
    const isMember = word.peer === state.settings.self || state.members.byId.has(word.peer);
    const isWish = word.forgotten ? isMember : forgotten.has(word.peer) && why !== "itself";
    const isOver = word.at <= (membership.kept.get(word.peer)?.at ?? -Infinity);
    return !isWish || isOver || why === "unchecked" ? [] : [{ word, why: reasons[why] }];
  });
}

const reasons: Readonly<Record<Exclude<WordRefusal, "unchecked">, string>> = {
  unsigned: "no peer has signed it (earlier versions sign nothing)",
  ahead: "its date is in the future",
  itself: "that peer has signed it itself",
  unknown: "the peer that signed it is no member",
  silenced: "the peer that signed it had been forgotten",
  forged: "its signature is false",
};

function holdWords(state: State, words: readonly MembershipWord[]): void {
  const { membership } = state.operator;
  membership.words = words;
  membership.inTable = new Set(words.map(({ signature = "" }) => signature));
  membership.isUnreviewed = true;
}

/** Judges the words. Returns whether another word than before decides about some peer. */
function review(state: State, more: readonly MembershipWord[] = []): boolean {
  const { membership } = state.operator;
  membership.reviewedMono = state.now.mono;
  const words = [...membership.kept.values(), ...membership.words, ...more];
  for (const word of more) membership.checked.set(word, isSigned(word) && hasGoodSignature(state, word));
  checkSignatures(state, words);
  const { standing, refused } = judgeWords(words, factsOf(state));
  membership.refused = refused;
  // Signatures may still be unchecked, a signer may become known, and a date may be reached.
  membership.isUnreviewed = refused.some(({ why }) => mayChange.has(why));
  describeRefused(state);
  const before = membership.kept;
  membership.kept = standing;
  return keep(state, before);
}

const mayChange: ReadonlySet<WordRefusal> = new Set(["unchecked", "unknown", "ahead"]);

function factsOf(state: State): WordFacts {
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
    isSignatureGood: (word) => checked.get(word),
  };
}

/** Checks the words that have waited the longest first, so that a member that floods the table delays others' words only so long. */
function checkSignatures(state: State, words: readonly MembershipWord[]): void {
  const { checked } = state.operator.membership;
  const present = new Set(words);
  for (const word of checked.keys()) if (!present.has(word)) checked.delete(word);
  for (const word of words) if (isSigned(word) && !checked.has(word)) checked.set(word, undefined);
  let left = checksPerStep;
  for (const [word, known] of checked) {
    if (known !== undefined) continue;
    if (left-- === 0) return;
    checked.set(word, isSigned(word) && hasGoodSignature(state, word));
  }
}

function hasGoodSignature({ settings }: State, word: SignedWord): boolean {
  const bytes = membershipBytes(word);
  return bytes !== undefined && settings.verifyText(word.signer, bytes, word.signature);
}

/** Carries out what the words that count say. Returns whether the members have changed. */
function follow(state: State): boolean {
  const { operator, settings } = state;
  const { kept } = operator.membership;
  const forgotten = [...kept.values()].filter((word) => word.forgotten);
  const readmitted = [...kept.values()].filter((word) => !word.forgotten);
  emit(state, {
    kind: "refuse",
    peers: forgotten.flatMap((word) =>
      word.peer === settings.self ? [] : [{ peer: word.peer, proof: JSON.stringify(word) }],
    ),
  });
  for (const peer of operator.forgotten.keys()) {
    if (kept.has(peer)) continue;
    operator.forgotten.delete(peer);
    note(state, "info", "the word by which a peer was forgotten doesn't count any more", { peer });
  }
  const { self } = settings;
  if (operator.membership.selfForgottenBy !== undefined && !kept.has(self)) carryOn(state);
  operator.membership.selfForgottenBy = kept.get(self)?.forgotten === true ? kept.get(self) : undefined;
  takeReadmitted(state, readmitted);
  return takeForgotten(state, forgotten);
}

/** What was in force here under an earlier version, signed by this peer: others can check it, and it can be shown at the door. */
function inherit(state: State, words: readonly MembershipWord[]): MembershipWord[] {
  const { self } = state.settings;
  const last = new Map(words.map((word) => [word.peer, word]));
  // That this peer was forgotten is stored elsewhere, and is not for itself to say.
  const inForce = [...last.values()].filter(({ peer, forgotten }) => peer !== self || !forgotten);
  return inForce.map((word) => {
    const { peer, forgotten, at, by, name } = word;
    return isSigned(word) ? word : signWord(state, { peer, forgotten, at, by, name });
  });
}

/** Logs, once a peer and life, that a word about it doesn't count. */
function describeRefused(state: State): void {
  const { described } = state.operator.membership;
  for (const { word, why } of refusedWords(state)) {
    if (described.has(word.peer)) continue;
    described.add(word.peer);
    mark(state, "word-refused");
    emit(state, { kind: "count", name: "refused_membership" });
    const what = word.forgotten ? "forget a peer" : "take a peer in again";
    note(state, "warn", `a request to ${what} is refused: ${why}`, { peer: word.peer, by: word.by });
  }
}

/** Stores the words that decide and did not before. Returns whether there are any, or others that decide no more. */
function keep(state: State, before: ReadonlyMap<PeerId, MembershipWord>): boolean {
  const { kept } = state.operator.membership;
  const writes: Write[] = [];
  for (const [peer, word] of kept) {
    if (sameValue(before.get(peer), word)) continue;
    writes.push({ kind: "meta", key: keptWordKey(peer), value: JSON.stringify(word) });
  }
  for (const peer of before.keys())
    if (!kept.has(peer)) writes.push({ kind: "meta", key: keptWordKey(peer), value: "" });
  if (writes.length > 0) emit(state, { kind: "store", writes });
  return writes.length > 0;
}
