/**
 * Seeded random numbers. Everything that the simulator draws comes from dice like these, so one seed gives one run.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand): it is small and fast, and uses only 32-bit integer
 * arithmetic, so it draws the same on every machine. `fork` gives each part of the world its own dice, named by a
 * label, so that the draws of one part don't shift those of another.
 */
import { assert } from "../errors.ts";
import type { Random } from "../ports.ts";

/** 32 bits of a text: FNV-1a, then murmur3's last mixing steps. */
export function hashText(text: string, start = 0x811c9dc5): number {
  let hash = start;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mixBits(hash);
}

export function mixBits(bits: number): number {
  let mixed = bits ^ (bits >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

export class Dice implements Random {
  private readonly name: string;
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(name: string) {
    this.name = name;
    this.a = hashText(name, 0x9e3779b9);
    this.b = hashText(name, 0x243f6a88);
    this.c = hashText(name, 0xb7e15162);
    for (let i = 0; i < 12; i++) this.bits();
  }

  fork(label: string): Dice {
    return new Dice(`${this.name}/${label}`);
  }

  /** 32 random bits. */
  bits(): number {
    const sum = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (this.c << 21) | (this.c >>> 11);
    this.c = (this.c + sum) | 0;
    return sum >>> 0;
  }

  next(): number {
    return this.bits() / 0x1_0000_0000;
  }

  bytes(length: number): Uint8Array {
    const drawn = new Uint8Array(length);
    for (let i = 0; i < length; i++) drawn[i] = this.bits() & 255;
    return drawn;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** A whole number: 0 ≤ n < count. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    assert(item !== undefined, "the list to pick from is not empty");
    return item;
  }

  shuffle<Item>(items: readonly Item[]): Item[] {
    const left = [...items];
    const shuffled: Item[] = [];
    while (left.length > 0) shuffled.push(...left.splice(this.below(left.length), 1));
    return shuffled;
  }
}
