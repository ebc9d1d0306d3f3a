/**
 * Who may call the API: callers with the token, and browsers that have logged in with it. Only the token's hash is
 * kept.
 *
 * Sessions live in this process only. A restart ends them, and the page asks for the token again.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** A working day. Unit: ms. More keeps a forgotten browser logged in; less asks for the token more often. */
export const sessionLifeMs = 12 * 3_600_000;
/** Beyond this number the oldest session ends. 1,000 × 100 bytes. */
const sessionCap = 1_000;

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

export class Sessions {
  readonly #token: Buffer;
  readonly #now: () => number;
  /** hash of the session's id → when it ends, ms; oldest first */
  readonly #ends = new Map<string, number>();

  constructor(token: string, now: () => number) {
    this.#token = hash(token);
    this.#now = now;
  }

  /** Takes the same time for any text. */
  knowsToken(given: string): boolean {
    return timingSafeEqual(hash(given), this.#token);
  }

  /** The id of a new session, which is only ever put into the cookie. */
  open(): string {
    for (const [oldest, end] of this.#ends) {
      if (end > this.#now() && this.#ends.size < sessionCap) break;
      this.#ends.delete(oldest);
    }
    const id = randomBytes(32).toString("base64url");
    this.#ends.set(hash(id).toString("hex"), this.#now() + sessionLifeMs);
    return id;
  }

  has(id: string): boolean {
    return (this.#ends.get(hash(id).toString("hex")) ?? 0) > this.#now();
  }

  close(id: string): void {
    this.#ends.delete(hash(id).toString("hex"));
  }
}
