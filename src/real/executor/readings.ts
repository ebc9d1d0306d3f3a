/**
 * The ways in which an output is read when secrets are looked for in it: as it stands, without URL escapes, without JSON
 * escapes, and as base64. Each turns the stream's bytes into those that they stand for, one after the other, and knows which
 * bytes of the stream each of them comes from.
 */

/** Takes a byte that the stream's bytes from `start` on, up to `end`, stand for. */
export type Take = (byte: number, start: number, end: number) => void;

export interface Reading {
  /** `at`: the byte's place in the stream */
  read(byte: number, at: number, take: Take): void;
  /** the place of the first byte of an escape that is not complete yet; undefined = there is none */
  openFrom(): number | undefined;
}

export class AsItStands implements Reading {
  read(byte: number, at: number, take: Take): void {
    take(byte, at, at + 1);
  }

  openFrom(): undefined {
    return undefined;
  }
}

/** The bytes with which escapes begin. Most outputs have none, and without them all readings are the same. */
export const [percent, backslash] = [0x25, 0x5c];
const [plus, minus, slash, underscore] = [0x2b, 0x2d, 0x2f, 0x5f];
const [newline, carriageReturn, tab, space, letterU] = [0x0a, 0x0d, 0x09, 0x20, 0x75];

/** `%C3%A9`, in capitals or not, whatever characters are escaped. */
export class WithoutUrlEscapes implements Reading {
  #open: number[] = [];
  #from = 0;

  read(byte: number, at: number, take: Take): void {
    if (this.#open.length === 0) {
      if (byte !== percent) return take(byte, at, at + 1);
      this.#from = at;
      this.#open.push(byte);
      return;
    }
    const digit = hexDigit(byte);
    if (digit === undefined) {
      this.#giveUp(take);
      return this.read(byte, at, take);
    }
    if (this.#open.length === 1) {
      this.#open.push(byte);
      return;
    }
    const high = hexDigit(this.#open[1] ?? 0) ?? 0;
    this.#open = [];
    take(high * 16 + digit, this.#from, at + 1);
  }

  openFrom(): number | undefined {
    return this.#open.length === 0 ? undefined : this.#from;
  }

  #giveUp(take: Take): void {
    const bytes = this.#open;
    this.#open = [];
    for (const [index, byte] of bytes.entries()) take(byte, this.#from + index, this.#from + index + 1);
  }
}

const shortEscapes: ReadonlyMap<number, number> = new Map(
  [
    ['"', '"'],
    ["\\", "\\"],
    ["/", "/"],
    ["b", "\b"],
    ["f", "\f"],
    ["n", "\n"],
    ["r", "\r"],
    ["t", "\t"],
  ].map(([letter = "", stands = ""]) => [letter.charCodeAt(0), stands.charCodeAt(0)]),
);

/** `\"`, `\n`, `\u00e9`. A character beyond the first plane is two such escapes. */
export class WithoutJsonEscapes implements Reading {
  /** the bytes of the escape so far */
  #open: number[] = [];
  #from = 0;
  /** the first half of a pair */
  #half: { unit: number; start: number } | undefined;

  read(byte: number, at: number, take: Take): void {
    if (this.#open.length === 0) {
      if (byte === backslash) {
        this.#from = at;
        this.#open.push(byte);
        return;
      }
      this.#dropHalf(take);
      return take(byte, at, at + 1);
    }
    if (this.#open.length === 1 && byte !== letterU) {
      this.#dropHalf(take);
      const stands = shortEscapes.get(byte);
      if (stands === undefined) {
        this.#giveUp(take);
        return this.read(byte, at, take);
      }
      this.#open = [];
      return take(stands, this.#from, at + 1);
    }
    if (this.#open.length >= 2 && hexDigit(byte) === undefined) {
      this.#dropHalf(take);
      this.#giveUp(take);
      return this.read(byte, at, take);
    }
    this.#open.push(byte);
    if (this.#open.length < 6) return;
    const unit = Number.parseInt(String.fromCharCode(...this.#open.slice(2)), 16);
    this.#open = [];
    this.#takeUnit(unit, at + 1, take);
  }

  openFrom(): number | undefined {
    return this.#half?.start ?? (this.#open.length === 0 ? undefined : this.#from);
  }

  #takeUnit(unit: number, end: number, take: Take): void {
    const half = this.#half;
    if (half !== undefined && unit >= 0xdc00 && unit <= 0xdfff) {
      this.#half = undefined;
      return takeText(String.fromCharCode(half.unit, unit), half.start, end, take);
    }
    this.#dropHalf(take);
    if (unit >= 0xd800 && unit <= 0xdbff) this.#half = { unit, start: this.#from };
    else takeText(String.fromCharCode(unit), this.#from, end, take);
  }

  #dropHalf(take: Take): void {
    const half = this.#half;
    this.#half = undefined;
    if (half !== undefined) takeText("\ufffd", half.start, half.start + 6, take);
  }

  #giveUp(take: Take): void {
    const bytes = this.#open;
    this.#open = [];
    for (const [index, byte] of bytes.entries()) take(byte, this.#from + index, this.#from + index + 1);
  }
}

/** In both alphabets, and across the line breaks and indents that programs put in; base64 may be escaped itself. */
export class AsBase64 implements Reading {
  readonly #inner: Reading;
  readonly #takeDigit: Take;
  #take: Take = () => undefined;

  constructor(inner: Reading) {
    this.#inner = inner;
    this.#takeDigit = (byte, start, end) => {
      if (byte === newline || byte === carriageReturn || byte === space || byte === tab) return;
      this.#take(byte === minus ? plus : byte === underscore ? slash : byte, start, end);
    };
  }

  read(byte: number, at: number, take: Take): void {
    this.#take = take;
    this.#inner.read(byte, at, this.#takeDigit);
  }

  openFrom(): number | undefined {
    return this.#inner.openFrom();
  }
}

function takeText(text: string, start: number, end: number, take: Take): void {
  for (const byte of Buffer.from(text)) take(byte, start, end);
}

function hexDigit(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : undefined;
}
