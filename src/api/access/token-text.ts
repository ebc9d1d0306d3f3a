/**
 * The text of a token: `cicada_`, 256 random bits, and a checksum that distinguishes a typo from an unknown token. The peer's own
 * `admin.token` has another form and is not read here.
 */
import { hash, randomBytes } from "node:crypto";

const prefix = "cicada_";
const secretLetters = 43;
const checksumLetters = 6;
const form = new RegExp(`^${prefix}[A-Za-z0-9_-]{${secretLetters + checksumLetters}}$`);

/** A new token, and the id under which the table keeps its hash. */
export function makeToken(): { id: string; text: string } {
  const secret = `${prefix}${randomBytes(32).toString("base64url")}`;
  const id = Array.from(randomBytes(12), (byte) => (byte % 32).toString(32)).join("");
  return { id, text: secret + checksumOf(secret) };
}

/** False for a text that begins as a token does and can't be one: a letter is wrong or missing. */
export function isWholeToken(text: string): boolean {
  if (!text.startsWith(prefix)) return true;
  const secret = text.slice(0, -checksumLetters);
  return form.test(text) && text.slice(-checksumLetters) === checksumOf(secret);
}

/** In hex, as the table keeps it. 256 random bits need no salt and no slow hash. */
export function hashOfToken(text: string): string {
  return hash("sha256", text, "hex");
}

function checksumOf(secret: string): string {
  return hash("sha256", secret, "base64url").slice(0, checksumLetters);
}
