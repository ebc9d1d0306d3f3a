/** What the law of decoders (costs.ts) says about one of them. */
import type { Dice } from "../../../src/sim/random.ts";

/** A decoder with its inputs, and the constants of its law. */
export interface Costed {
  name: string;
  draw(dice: Dice): Uint8Array;
  take(bytes: Uint8Array): void;
  /** steps for an input, however short */
  base: number;
  /** steps for each byte */
  perByte: number;
}

/** The longest input of a decoder that takes lists, in bytes. */
export const longest = 200_000;

/** The piece again and again, with a different number in each, up to a length that varies from bytes to the longest. */
export function repeated(dice: Dice, piece: (index: number) => string, most = longest): string {
  const length = Math.ceil(most ** dice.next());
  let text = "";
  for (let index = 0; text.length < length; index++) text += piece(index);
  return text;
}
