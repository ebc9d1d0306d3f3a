/** The real Random door: the system's generator, which is good enough for keys and tokens. */
import { randomBytes } from "node:crypto";
import type { Random } from "../ports.ts";

/** A double has 53 bits of fraction. */
const fractions = 2 ** 53;

export function openRandom(): Random {
  return {
    next: () => Number(randomBytes(8).readBigUInt64BE() >> 11n) / fractions,
    bytes: (length) => Uint8Array.from(randomBytes(length)),
  };
}
