/**
 * Which statements about membership count (DESIGN §3: a forget carries the signature of the peer where a person asked for it).
 *
 * Any peer with the key can write anything into the table. A statement counts if it is signed by a peer that is known as
 * a member and that no earlier statement has made the mesh forget. About each peer the latest statement that counts
 * decides, by the time that was signed: the table's own stamps are not signed, and with them an old statement could be
 * made the latest again. Statements are judged in the order of their times, so every peer with the same statements comes
 * to the same result. A forgotten peer can date a statement back to the time before; that ends when the key is rotated
 * without it.
 *
 * A peer's statement about itself counts only there: its person lets it carry on, and the members have to be asked as well.
 */
import { isSigned, type MembershipStatement, type SignedStatement } from "../../schema/membership.ts";
import type { PeerId } from "../../schema/ids.ts";

/**
 * A statement dated further ahead counts only once its time comes, because no later statement could overrule it until
 * then. Peers whose clock is a minute ahead write no statements; more allows for clocks that are behind.
 */
const aheadMaxMs = 10 * 60_000;

/** `itself`: the peer that it is about has signed it. `unchecked`: its signature has not been checked yet. */
export type StatementRefusal =
  | "unsigned"
  | "ahead"
  | "itself"
  | "unknown"
  | "silenced"
  | "forged"
  | "unchecked";

export interface RefusedStatement {
  readonly statement: MembershipStatement;
  readonly why: StatementRefusal;
}

export interface StatementFacts {
  readonly self: PeerId;
  /** wall clock, ms */
  readonly now: number;
  /** whether the peer is, or has been, a member */
  readonly isKnown: (peer: PeerId) => boolean;
  /** whether the statement has counted before: then it does so even if this peer's clock was set back since */
  readonly hasCounted: (statement: SignedStatement) => boolean;
  /** undefined = not checked yet */
  readonly isSignatureGood: (statement: SignedStatement) => boolean | undefined;
}

export interface JudgedStatements {
  /** by peer: the statement that decides */
  readonly deciding: ReadonlyMap<PeerId, MembershipStatement>;
  readonly refused: readonly RefusedStatement[];
}

export function judgeStatements(
  statements: readonly MembershipStatement[],
  facts: StatementFacts,
): JudgedStatements {
  const deciding = new Map<PeerId, MembershipStatement>();
  const refused: RefusedStatement[] = [];
  for (const statement of statements.toSorted(compareStatements)) {
    const why = whyRefused(statement, deciding, facts);
    if (why === undefined) deciding.set(statement.peer, statement);
    else refused.push({ statement, why });
  }
  return { deciding, refused };
}

function whyRefused(
  statement: MembershipStatement,
  deciding: ReadonlyMap<PeerId, MembershipStatement>,
  { self, now, isKnown, hasCounted, isSignatureGood }: StatementFacts,
): StatementRefusal | undefined {
  if (!isSigned(statement)) return "unsigned";
  if (statement.at > now + aheadMaxMs && !hasCounted(statement)) return "ahead";
  if (statement.signer === statement.peer) {
    if (statement.forgotten || statement.peer !== self) return "itself";
  } else {
    if (!isKnown(statement.signer)) return "unknown";
    if (deciding.get(statement.signer)?.forgotten === true) return "silenced";
  }
  const isGood = isSignatureGood(statement);
  if (isGood === undefined) return "unchecked";
  return isGood ? undefined : "forged";
}

/** If two statements have the same time, the one that takes a peer in again comes last, and decides. */
function compareStatements(a: MembershipStatement, b: MembershipStatement): number {
  return a.at - b.at || Number(b.forgotten) - Number(a.forgotten) || compareTexts(tieOf(a), tieOf(b));
}

function tieOf({ peer, signer, signature }: MembershipStatement): string {
  return [peer, signer, signature].join(" ");
}

function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
