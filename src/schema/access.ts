/**
 * Who may do what: roles, the groups to which a token may be limited, and a token as the table keeps it.
 *
 * The table has only the hash of a token, so reading the table doesn't let anyone call the API. An entry that
 * this version can't read whole gives no rights here: a later version's further limit must not be ignored.
 */
import { Type, type Static } from "typebox";
import { checkOf } from "./check.ts";
import { groupForm, groupPattern } from "./job-vocabulary.ts";

/** From the least to the most: each may do what those before it may. */
export const roles = ["metrics", "viewer", "operator", "editor", "admin"] as const;
export type Role = (typeof roles)[number];

export function isAtLeast(role: Role, needed: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(needed);
}

/** How many groups one token may name, and how many tokens there may be at once. More would make each look-up longer. */
export const tokenGroupsMax = 64;
export const tokensMax = 1_000;

export const tokenNamePattern = "^[a-z0-9][a-z0-9._-]{0,63}$";
/** 12 letters, so that ids of tokens made on two sides of a split differ. */
export const tokenIdPattern = "^[0-9a-z]{12}$";
/** Under `ID.revoked` stands that a token is revoked. It is an id of its own, so that no edit of the token can undo it. */
const revokedEnd = ".revoked";
const tokenId = new RegExp(tokenIdPattern);

export function revocationOf(id: string): string {
  return `${id}${revokedEnd}`;
}

export function isRevocation(id: string): boolean {
  return id.endsWith(revokedEnd);
}

/** The form of ids in the table: a token's, or that of its revocation. */
export function isTokenKey(id: string): boolean {
  return tokenId.test(isRevocation(id) ? id.slice(0, -revokedEnd.length) : id);
}

export const TokenEntrySchema = Type.Object(
  {
    /** SHA-256 of the token's text, in hex */
    hash: Type.String({ pattern: "^[0-9a-f]{64}$" }),
    name: Type.String({
      pattern: tokenNamePattern,
      description: "1 to 64 characters from a-z, 0-9, '.', '_' and '-', beginning with a letter or digit",
    }),
    role: Type.Enum(roles),
    /** absent = all groups */
    groups: Type.Optional(
      Type.Array(Type.String({ pattern: groupPattern, description: groupForm }), {
        minItems: 1,
        maxItems: tokenGroupsMax,
      }),
    ),
    /** wall ms; absent = never */
    expires: Type.Optional(Type.Number()),
    /** wall ms */
    createdAt: Type.Number(),
    createdBy: Type.String({ maxLength: 256 }),
  },
  { additionalProperties: false },
);
export type TokenEntry = Static<typeof TokenEntrySchema>;

const entry = checkOf(TokenEntrySchema);

export function isTokenEntry(value: unknown): value is TokenEntry {
  return entry.accepts(value);
}

/** What stands under a revocation's id; anything there revokes. */
export interface Revocation {
  readonly revokedAt: number;
  readonly by: string;
}

/** The tokens of the table that count, by id: those that can be read and are not revoked. Expired ones are among them. */
export function livingTokens(values: ReadonlyMap<string, unknown>): Map<string, TokenEntry> {
  const living = new Map<string, TokenEntry>();
  for (const [id, value] of values) {
    if (tokenId.test(id) && isTokenEntry(value) && !values.has(revocationOf(id))) living.set(id, value);
  }
  return living;
}

/** Which tokens will still be admins of everything at that instant (ms). */
export function adminsAmong(tokens: ReadonlyMap<string, TokenEntry>, now: number): string[] {
  return [...tokens].flatMap(([id, { role, groups, expires = Infinity }]) =>
    role === "admin" && groups === undefined && expires > now ? [id] : [],
  );
}
