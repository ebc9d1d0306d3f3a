/**
 * What the table says about the members: who belongs to the mesh, who joined, who was confirmed. It is read again only when it
 * has changed.
 */
import type { PeerId } from "../schema/ids.ts";
import { statementOf, type MembershipStatement } from "../schema/membership.ts";
import { readAdmissions, type Admissions } from "./admissions.ts";
import { confirmationsRoot, joinsRoot, membershipRoot, peersRoot } from "./roots.ts";
import type { RootValues } from "./values.ts";

export class MemberEntries {
  readonly #valuesOf: (root: string) => RootValues;
  #membership: { read: readonly unknown[]; statements: readonly MembershipStatement[] } | undefined;
  readonly #statements = new WeakMap<object, MembershipStatement>();
  #admissions: { read: readonly unknown[]; admissions: Admissions } | undefined;

  constructor(valuesOf: (root: string) => RootValues) {
    this.#valuesOf = valuesOf;
  }

  /**
   * Everything that was said about the membership of peers, unchecked; the last statement about a peer is the one that counted
   * for earlier versions. The same list until something is said.
   */
  membership(): readonly MembershipStatement[] {
    const read = [peersRoot.name, membershipRoot.name].map((name) => this.#valuesOf(name).entries());
    if (this.#membership?.read.some((one, index) => one !== read[index]) !== false) {
      const statements = read.flat().map(({ id, value }) => this.#statementOf(id, value));
      this.#membership = { read, statements: statements.filter((statement) => statement !== undefined) };
    }
    return this.#membership.statements;
  }

  /** The same object for the same entry. */
  #statementOf(id: string, entry: object): MembershipStatement | undefined {
    const known = this.#statements.get(entry) ?? statementOf(id as PeerId, entry);
    if (known !== undefined) this.#statements.set(entry, known);
    return known;
  }

  /** Who joined, and who was confirmed. The same object until either changes. */
  admissions(): Admissions {
    const [joins, confirmations] = [this.#valuesOf(joinsRoot.name), this.#valuesOf(confirmationsRoot.name)];
    const read = [joins.entries(), confirmations.entries()] as const;
    if (this.#admissions?.read[0] !== read[0] || this.#admissions.read[1] !== read[1]) {
      this.#admissions = { read, admissions: readAdmissions(...read) };
    }
    return this.#admissions.admissions;
  }
}
