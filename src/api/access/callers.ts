/**
 * Finds who calls: turns the token that came with a request into a caller with a role and groups. Tokens of the table count at
 * every peer, the `admin.token` file only at its own.
 *
 * Nothing is remembered about a token: each request looks it up again, so a token that was revoked, has expired or was narrowed
 * has lost its rights from the next request on.
 */
import { timingSafeEqual } from "node:crypto";
import type { Control } from "../../ports/control.ts";
import { livingTokens, type Role, type TokenEntry } from "../../schema/access.ts";
import { hashOfToken, isWholeToken } from "./token-text.ts";

export interface Caller {
  /** the token's id; `admin.token` for the peer's own file, `user:NAME` for a person whom the proxy has logged in */
  readonly token: string;
  /** shown to people */
  readonly name: string;
  readonly role: Role;
  /** undefined = all groups */
  readonly groups: readonly string[] | undefined;
  /** wall ms; undefined = never */
  readonly expires: number | undefined;
  /** as the table keeps it in `updatedBy` */
  readonly actor: string;
}

export const ownToken = "admin.token";

export class Callers {
  readonly #control: Pick<Control, "values">;
  readonly #own: Buffer;
  readonly #peer: string;
  readonly #now: () => number;
  /** what the two maps below were read from */
  #values: ReadonlyMap<string, unknown> | undefined;
  #tokens: ReadonlyMap<string, TokenEntry> = new Map();
  #idOf: ReadonlyMap<string, string> = new Map();

  /** `own`: the text of the peer's `admin.token`; `peer`: the peer's name. */
  constructor(control: Pick<Control, "values">, own: string, peer: string, now: () => number) {
    this.#control = control;
    this.#own = Buffer.from(hashOfToken(own), "hex");
    this.#peer = peer;
    this.#now = now;
  }

  /** The caller with this token, or what is wrong with it, in words. */
  byText(text: string): Caller | string {
    const hashed = hashOfToken(text);
    if (timingSafeEqual(Buffer.from(hashed, "hex"), this.#own)) return this.#admin();
    this.#read();
    const id = this.#idOf.get(hashed);
    const caller = id === undefined ? undefined : this.byId(id);
    if (caller !== undefined) return caller;
    if (id !== undefined) return "that token has expired";
    return isWholeToken(text)
      ? "that is neither this peer's own token nor a valid token of the mesh"
      : "that token is mistyped or cut short: copy it whole";
  }

  /** The caller with the token of this id; undefined if it no longer counts. */
  byId(id: string): Caller | undefined {
    if (id === ownToken) return this.#admin();
    this.#read();
    const entry = this.#tokens.get(id);
    if (entry === undefined || (entry.expires ?? Infinity) <= this.#now()) return undefined;
    const { name, role, groups, expires } = entry;
    return { token: id, name, role, groups, expires, actor: `${name}@${this.#peer}` };
  }

  /** Whether the caller may still do what it could when it called. Streams ask this every second. */
  holds(caller: Caller): boolean {
    if (caller.token.startsWith("user:")) return true;
    const now = this.byId(caller.token);
    return now !== undefined && rightsOf(now) === rightsOf(caller);
  }

  #admin(): Caller {
    const name = "admin";
    return {
      token: ownToken,
      name,
      role: "admin",
      groups: undefined,
      expires: undefined,
      actor: `${name}@${this.#peer}`,
    };
  }

  #read(): void {
    const values = this.#control.values("tokens");
    if (values === this.#values) return;
    this.#values = values;
    this.#tokens = livingTokens(values);
    this.#idOf = new Map([...this.#tokens].map(([id, { hash }]) => [hash, id]));
  }
}

/** The caller's token and rights as one text: what was kept for a caller counts only while this is the same. */
export function rightsOf({ token, role, groups }: Caller): string {
  return JSON.stringify([token, role, groups?.toSorted() ?? null]);
}
