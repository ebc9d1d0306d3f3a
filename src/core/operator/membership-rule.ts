/**
 * Which words about membership count (DESIGN §3: a forget carries the signature of the peer where a person asked for it).
 *
 * Any peer with the key can write anything into the table. A word counts if it is signed by a peer that is known as a member
 * and that no earlier word has made the mesh forget. About each peer the latest word that counts decides, by the time that was
 * signed: the table's own stamps are not signed, and with them an old word could be made the latest again. Words are judged
 * in the order of their times, so every peer with the same words comes to the same result. A forgotten peer can date a word
 * back to the time before; that ends when the key is rotated without it.
 *
 * A peer's word about itself counts only there: its person lets it carry on, and the members have to be asked as well.
 */
import { isSigned, type MembershipWord, type SignedWord } from "../../schema/membership.ts";
import type { PeerId } from "../../schema/ids.ts";

/**
 * A word dated further ahead counts only once its time comes, because no later word could overrule it until then. Peers whose
 * clock is a minute ahead write no words; more allows for clocks that are behind.
 */
const aheadMaxMs = 10 * 60_000;

/** `itself`: the peer that it is about has signed it. `unchecked`: its signature has not been checked yet. */
export type WordRefusal = "unsigned" | "ahead" | "itself" | "unknown" | "silenced" | "forged" | "unchecked";

export interface RefusedWord {
  readonly word: MembershipWord;
  readonly why: WordRefusal;
}

export interface WordFacts {
  readonly self: PeerId;
  /** wall clock, ms */
  readonly now: number;
  /** whether the peer is, or has been, a member */
  readonly isKnown: (peer: PeerId) => boolean;
  /** whether the word has counted before: then it does so even if this peer's clock was set back since */
  readonly hasCounted: (word: SignedWord) => boolean;
  /** undefined = not checked yet */
  readonly isSignatureGood: (word: SignedWord) => boolean | undefined;
}

export interface JudgedWords {
  /** by peer: the word that decides */
  readonly standing: ReadonlyMap<PeerId, MembershipWord>;
  readonly refused: readonly RefusedWord[];
}

export function judgeWords(words: readonly MembershipWord[], facts: WordFacts): JudgedWords {
  const standing = new Map<PeerId, MembershipWord>();
  const refused: RefusedWord[] = [];
  for (const word of words.toSorted(compareWords)) {
    const why = whyRefused(word, standing, facts);
    if (why === undefined) standing.set(word.peer, word);
    else refused.push({ word, why });
  }
  return { standing, refused };
}

function whyRefused(
  word: MembershipWord,
  standing: ReadonlyMap<PeerId, MembershipWord>,
  { self, now, isKnown, hasCounted, isSignatureGood }: WordFacts,
): WordRefusal | undefined {
  if (!isSigned(word)) return "unsigned";
  if (word.at > now + aheadMaxMs && !hasCounted(word)) return "ahead";
  if (word.signer === word.peer) {
    if (word.forgotten || word.peer !== self) return "itself";
  } else {
    if (!isKnown(word.signer)) return "unknown";
    if (standing.get(word.signer)?.forgotten === true) return "silenced";
  }
  const isGood = isSignatureGood(word);
  if (isGood === undefined) return "unchecked";
  return isGood ? undefined : "forged";
}

/** Of two words of one time, that which takes a peer in again comes last, and decides. */
function compareWords(a: MembershipWord, b: MembershipWord): number {
  return a.at - b.at || Number(b.forgotten) - Number(a.forgotten) || compareTexts(tieOf(a), tieOf(b));
}

function tieOf({ peer, signer, signature }: MembershipWord): string {
  return [peer, signer, signature].join(" ");
}

function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
