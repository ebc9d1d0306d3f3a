/**
 * Masks secrets in what a run says: `***` stands for each of them, plain, in URL or JSON escapes, and in base64, which may
 * be in such escapes itself, whatever stands before it there. Each line of a value is masked, with and without the spaces around it.
 *
 * A stream may be cut anywhere. Only what may be the beginning of a secret is held back until more has come, so a reader of a
 * run that goes on sees everything else at once. Not found: a value that a run has changed in another way, such as letter by
 * letter, in hexadecimal digits, or escaped twice.
 */
import { Automaton } from "./automaton.ts";
import {
  AsBase64,
  AsItStands,
  backslash,
  percent,
  WithoutJsonEscapes,
  WithoutUrlEscapes,
  type Reading,
} from "./readings.ts";

/** As schema/secret.ts says of a value; the launcher loads no schema. A shorter line would mask common words. */
const shortestLine = 6;
const mask = Buffer.from("***");

export class Masker {
  readonly #plain: Automaton;
  readonly #base64: Automaton;

  constructor(values: Iterable<string>) {
    const texts = [...new Set([...values].flatMap((value) => [value, ...linesOf(value)]))];
    const bytes = texts.flatMap(bytesOf);
    // In a form's encoding + stands for a space.
    const forms = texts.filter((text) => text.includes(" ")).map((text) => text.replaceAll(" ", "+"));
    this.#plain = new Automaton([...bytes, ...forms.map((form) => Buffer.from(form))]);
    this.#base64 = new Automaton(bytes.flatMap((text) => [0, 1, 2].map((before) => inBase64(text, before))));
  }

  stream(): MaskStream {
    return new MaskStream([
      new Search(this.#plain, new AsItStands()),
      new Search(this.#base64, new AsBase64(new AsItStands())),
    ]);
  }

  text(text: string): string {
    const stream = this.stream();
    return Buffer.concat([stream.push(Buffer.from(text)), stream.end()]).toString();
  }
}

/** Looks for texts in one reading of a stream. */
class Search {
  readonly #automaton: Automaton;
  readonly #reading: Reading;
  #node = 0;
  /** how many bytes were taken, and where the last of them began in the stream */
  #taken = 0;
  readonly #starts: Float64Array;
  readonly #found: (start: number, end: number) => void;
  /** what was found since the last `take`; places in the stream */
  readonly found: { start: number; end: number }[] = [];

  constructor(automaton: Automaton, reading: Reading) {
    this.#automaton = automaton;
    this.#reading = reading;
    this.#starts = new Float64Array(automaton.longestText + 1);
    this.#found = (start, end) => {
      const last = this.found.at(-1);
      // A text that is repeated may be found at each of its bytes.
      if (last !== undefined && start <= last.end && start >= last.start) last.end = Math.max(last.end, end);
      else this.found.push({ start, end });
    };
  }

  read(bytes: Uint8Array, from: number): void {
    for (let index = 0; index < bytes.length; index++) {
      this.#reading.read(bytes[index] ?? 0, from + index, this.#take);
    }
  }

  readonly #take = (byte: number, start: number, end: number): void => {
    const automaton = this.#automaton;
    this.#starts[this.#taken % this.#starts.length] = start;
    this.#taken++;
    this.#node = automaton.step(this.#node, byte);
    const length = automaton.endsAt(this.#node);
    if (length > 0) this.#found(this.#startOf(length), end);
  };

  /** The same search, if all bytes so far are the same in that reading. */
  goOnWith(reading: Reading): Search {
    const search = new Search(this.#automaton, reading);
    search.#node = this.#node;
    search.#taken = this.#taken;
    search.#starts.set(this.#starts);
    return search;
  }

  /** From where on the stream's end may be the beginning of a text. */
  openFrom(): number {
    const open = this.#automaton.openAt(this.#node);
    return Math.min(open === 0 ? Infinity : this.#startOf(open), this.#reading.openFrom() ?? Infinity);
  }

  #startOf(length: number): number {
    return this.#starts[(this.#taken - length) % this.#starts.length] ?? 0;
  }
}

export class MaskStream {
  readonly #plain: Search;
  readonly #base64: Search;
  readonly #searches: Search[];
  /** the readings that begin with the first of these bytes */
  readonly #later = new Map<number, () => Reading>([
    [percent, () => new WithoutUrlEscapes()],
    [backslash, () => new WithoutJsonEscapes()],
  ]);
  /** read and not yet passed on */
  #held: Buffer = Buffer.alloc(0);
  #heldFrom = 0;
  #read = 0;
  /** found, and not yet passed on */
  #found: { start: number; end: number }[] = [];
  /** up to here a mask has been passed on already */
  #maskedUntil = -1;

  /** The searches in the stream as it stands, and in what it is as base64. */
  constructor([plain, base64]: readonly [Search, Search]) {
    this.#plain = plain;
    this.#base64 = base64;
    this.#searches = [plain, base64];
  }

  /** What can be passed on now. */
  push(bytes: Uint8Array): Buffer {
    for (const [mark, reading] of this.#later) {
      if (!bytes.includes(mark)) continue;
      this.#later.delete(mark);
      this.#searches.push(this.#plain.goOnWith(reading()), this.#base64.goOnWith(new AsBase64(reading())));
    }
    for (const search of this.#searches) {
      search.read(bytes, this.#read);
      this.#found.push(...search.found.splice(0));
    }
    this.#read += bytes.length;
    this.#held = this.#held.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes]);
    const open = Math.min(this.#read, ...this.#searches.map((search) => search.openFrom()));
    return this.#passUntil(open);
  }

  end(): Buffer {
    return this.#passUntil(this.#read);
  }

  #passUntil(until: number): Buffer {
    const parts: Buffer[] = [];
    const upTo = (end: number): void => {
      if (end <= this.#heldFrom) return;
      const from = Math.max(this.#heldFrom, Math.min(this.#maskedUntil, end));
      parts.push(this.#held.subarray(from - this.#heldFrom, end - this.#heldFrom));
      this.#held = this.#held.subarray(end - this.#heldFrom);
      this.#heldFrom = end;
    };
    const later: { start: number; end: number }[] = [];
    for (const found of this.#found.toSorted((a, b) => a.start - b.start)) {
      if (found.start >= until) {
        later.push(found);
        continue;
      }
      upTo(found.start);
      if (found.start > this.#maskedUntil) parts.push(mask);
      this.#maskedUntil = Math.max(this.#maskedUntil, found.end);
    }
    this.#found = later;
    upTo(until);
    return Buffer.concat(parts);
  }
}

/** In UTF-8, and in Latin-1, as headers have it. */
function bytesOf(text: string): Buffer[] {
  const isLatin1 = /^[\0-\xff]*$/.test(text) && /[\x80-\xff]/.test(text);
  return [Buffer.from(text), ...(isLatin1 ? [Buffer.from(text, "latin1")] : [])];
}

function linesOf(value: string): string[] {
  const lines = value.split(/\r?\n/).map((line) => line.trim());
  return lines.filter((line) => [...line].length >= shortestLine);
}

/** The digits that depend on the bytes alone when that many other bytes stand before them. */
function inBase64(bytes: Buffer, before: number): Buffer {
  const digits = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
  return Buffer.from(
    digits.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6)),
  );
}
