/**
 * Sessions of browsers that have logged in with a token. A session stands for its token: when that no longer counts, neither does
 * the session, and what the token may do is looked up at each request.
 *
 * Sessions live in this process only. A restart ends them, and the page asks for the token again.
 */
import { createHash, randomBytes } from "node:crypto";

/** A working day. Unit: ms. More keeps a forgotten browser logged in; less asks for the token more often. */
export const sessionLifeMs = 12 * 3_600_000;
/** Beyond this number the oldest session ends. 1,000 × 100 bytes. */
const sessionCap = 1_000;
/**
 * … and beyond this number of one token, the oldest session of that token ends, so that one caller's logins don't end those of
 * others.
 */
const sessionCapPerToken = 100;

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export class Sessions {
  readonly #now: () => number;
  /** by the hash of the session's id: its token's id, and when it ends (ms); oldest first */
  readonly #open = new Map<string, { token: string; end: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The id of a new session, which is only ever put into the cookie. */
  open(token: string): string {
    for (const [oldest, { end }] of this.#open) {
      if (end > this.#now() && this.#open.size < sessionCap) break;
      this.#open.delete(oldest);
    }
    const ofToken = [...this.#open].filter(([, one]) => one.token === token);
    if (ofToken.length >= sessionCapPerToken) this.#open.delete(ofToken[0]?.[0] ?? "");
    const id = randomBytes(32).toString("base64url");
    this.#open.set(hash(id), { token, end: this.#now() + sessionLifeMs });
    return id;
  }

  /** The id of the token that a session stands for; undefined if it has ended. */
  tokenOf(id: string): string | undefined {
    const session = this.#open.get(hash(id));
    return session !== undefined && session.end > this.#now() ? session.token : undefined;
  }

  close(id: string): void {
    this.#open.delete(hash(id));
  }
}
