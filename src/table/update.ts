/**
 * Inspects updates of the table: reads a Yjs update (V1) byte by byte before Yjs itself may see it.
 *
 * Yjs trusts what it reads: lengths, references, types. A short hostile update can make it loop, fill its memory, or
 * throw half-way with the document already changed. So an update passes only if a cicada peer could have written it. It
 * may hold maps or plain JSON objects under named roots, plain JSON objects in those maps, and deletions, all within
 * limits. It may not build on anything that this peer doesn't have yet. The roots of roots.ts have forms of their own;
 * a root that only a later version knows must keep the same limits. Whether the values make a job is decided in
 * projection.ts.
 *
 * The format is that of Yjs 13's UpdateEncoderV1 and lib0's `writeAny`; numbers below are its tags.
 */
import { Buffer, isUtf8 } from "node:buffer";
import { hlcCap } from "./hlc.ts";
import { laterRoot, tableRoots, type Root } from "./roots.ts";
import { parseValueKey } from "./values.ts";

/**
 * Largest update in bytes; a whole table must fit in one. 100,000 jobs are about 30 MB. A higher limit lets others fill
 * a peer's memory; a lower one keeps new peers out of a mesh with many jobs.
 */
export const updateCapBytes = 268_435_456;
/** Structs, and deletions, in one update; each costs Yjs about 200 bytes. */
const structCap = 16_777_216;
/**
 * How many ids the deletions and deleted structs of one update may cover; a whole table covers each deleted id at most
 * twice. They cost little, because Yjs and the digest keep ranges. A higher limit lets a few forged updates use up the 2^52 ids
 * of a client; a lower one keeps new peers out of a mesh whose table has been edited for long.
 */
const idCap = 268_435_456;
const valueDepthCap = 12;
/** The form of a root's name, in any version. */
const rootForm = /^[a-z][A-Za-z0-9-]{0,31}$/;
const keyCapBytes = 512;

export type Inspection =
  | { kind: "refused"; reason: string }
  /** Well formed, but it builds on something that this peer doesn't have yet. */
  | { kind: "early"; missing: ReadonlyMap<number, number> }
  /**
   * May be applied. `ends`: by client, the clock that the document then has. `ids`: by root, the ids that the update names
   * there. Every id that is new is among them.
   */
  | {
      kind: "fits";
      ends: ReadonlyMap<number, number>;
      ids: ReadonlyMap<string, ReadonlySet<string>>;
    };

/** `clockOf`: how many ids of a client the document holds. Without `namesIds`, `ids` stays empty. */
export function inspectUpdate(
  bytes: Uint8Array,
  clockOf: (client: number) => number,
  roots: readonly Root[] = tableRoots,
  namesIds = true,
): Inspection {
  if (bytes.length > updateCapBytes) return { kind: "refused", reason: "update too large" };
  const reader = new UpdateReader(bytes, roots, namesIds);
  try {
    reader.readAll();
  } catch (error) {
    if (error instanceof Refusal) return { kind: "refused", reason: error.message };
    throw error;
  }
  return reader.compare(clockOf);
}

class Refusal extends Error {}

function refuse(reason: string): never {
  throw new Refusal(reason);
}

class UpdateReader {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #roots: readonly Root[];
  readonly #namesIds: boolean;
  /** the limit for a value whose root the update doesn't name: the largest of any root */
  readonly #valueCapBytes: number;
  #at = 0;
  #ids = 0;
  readonly #named = new Map<string, Set<string>>();
  /** by client: the clocks of the structs that the update brings, from ≤ clock < to */
  readonly #brings = new Map<number, { from: number; to: number }>();
  /** of the struct that is being read, if it names one */
  #rootName = "";
  /** by client: one above the highest clock that is referred to */
  readonly #needs = new Map<number, number>();

  constructor(bytes: Uint8Array, roots: readonly Root[], namesIds: boolean) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#roots = roots;
    this.#namesIds = namesIds;
    this.#valueCapBytes = Math.max(...roots.map(({ valueCapBytes }) => valueCapBytes));
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  readAll(): void {
    const clients = this.#count("clients");
    for (let i = 0; i < clients; i++) this.#readClient();
    this.#readDeletions();
    if (this.#at !== this.#bytes.length) refuse("bytes after the end");
  }

  compare(clockOf: (client: number) => number): Inspection {
    const missing = new Map<number, number>();
    const ends = new Map<number, number>();
    for (const [client, { from, to }] of this.#brings) {
      const known = clockOf(client);
      if (from > known) missing.set(client, from);
      else ends.set(client, Math.max(known, to));
    }
    for (const [client, clock] of this.#needs) {
      if (clock > (ends.get(client) ?? clockOf(client))) {
        missing.set(client, Math.max(clock, missing.get(client) ?? 0));
      }
    }
    return missing.size > 0 ? { kind: "early", missing } : { kind: "fits", ends, ids: this.#named };
  }

  #readClient(): void {
    const structs = this.#count("structs");
    const client = this.#integer();
    const from = this.#integer();
    if (this.#brings.has(client)) refuse("a client twice");
    let clock = from;
    for (let i = 0; i < structs; i++) clock += this.#readStruct(client, clock);
    if (clock > Number.MAX_SAFE_INTEGER / 2) refuse("clock too high");
    if (structs > 0) this.#brings.set(client, { from, to: clock });
  }

  /** Returns how many ids the struct takes. */
  #readStruct(client: number, clock: number): number {
    const tag = this.#byte();
    if (tag === 0) return this.#length();
    const content = tag & 31;
    if ((tag & 64) !== 0) refuse("an item of a list");
    let parent: Root | "later" | "map" | "same" = "same";
    let key = "";
    if ((tag & 128) !== 0) {
      this.#reference(client, clock);
    } else {
      parent = this.#parent(client, clock);
      if ((tag & 32) === 0) refuse("an item of a list");
      key = this.#key();
      if (parent !== "map" && this.#namesIds) this.#nameId(key);
    }
    if (parent === "map") {
      if (!this.#roots.some((root) => root.holds === "maps" && root.isInnerKey(key))) {
        refuse("a key of unknown form");
      }
    } else if (typeof parent === "object" && !hasFormOf(parent, key)) {
      refuse(`a key of unknown form in ${parent.name}`);
    }
    const isMapsRoot = typeof parent === "object" && parent.holds === "maps";

    if (content === 1) return this.#length();
    if (content === 7) {
      if (!(isMapsRoot || parent === "later") || this.#integer() !== 1) refuse("a map where none belongs");
      return 1;
    }
    if (content !== 8) refuse("content of unknown kind");
    if (isMapsRoot) refuse("a value where a map belongs");
    if (this.#integer() !== 1) refuse("more than one value");
    const known = parent === "later" ? laterRoot : parent;
    this.#entry(typeof known === "object" ? known.valueCapBytes : this.#valueCapBytes);
    return 1;
  }

  #nameId(id: string): void {
    const named = this.#named.get(this.#rootName);
    if (named === undefined) this.#named.set(this.#rootName, new Set([id]));
    else named.add(id);
  }

  #parent(client: number, clock: number): Root | "later" | "map" {
    const named = this.#integer();
    if (named === 1) {
      const name = this.#key();
      this.#rootName = name;
      if (!rootForm.test(name)) refuse("a root that no version has");
      return this.#roots.find((root) => root.name === name) ?? "later";
    }
    if (named !== 0) refuse("a parent of unknown kind");
    this.#reference(client, clock);
    return "map";
  }

  /** Reads a reference to another struct. Within one client it may only point backwards. */
  #reference(ownClient: number, ownClock: number): void {
    const client = this.#integer();
    const clock = this.#integer();
    if (client === ownClient && clock >= ownClock) refuse("a reference to itself");
    this.#need(client, clock + 1);
  }

  #need(client: number, clock: number): void {
    if (clock > (this.#needs.get(client) ?? 0)) this.#needs.set(client, clock);
  }

  #readDeletions(): void {
    const clients = this.#count("clients");
    for (let i = 0; i < clients; i++) {
      const client = this.#integer();
      const ranges = this.#count("deletions");
      for (let j = 0; j < ranges; j++) {
        const clock = this.#integer();
        this.#need(client, clock + this.#length());
      }
    }
  }

  /** Reads the value of a slot or pause: a plain JSON object whose stamp, if it has one, is below the cap. */
  #entry(capBytes: number): void {
    const from = this.#at;
    if (this.#byte() !== 118) refuse("a value that is not an object");
    const members = this.#count("members");
    for (let i = 0; i < members; i++) {
      const length = this.#skipKey();
      if (this.#isBehind("hlc", length)) this.#stamp();
      else this.#value(1);
    }
    if (this.#at - from > capBytes) refuse("a value too large");
  }

  #stamp(): void {
    const tag = this.#byte();
    let hlc: number;
    if (tag === 125) hlc = this.#signedInteger();
    else if (tag === 124) hlc = this.#view.getFloat32(this.#skip(4));
    else if (tag === 123) hlc = this.#view.getFloat64(this.#skip(8));
    else refuse("a stamp that is not a number");
    if (!(hlc >= 0 && hlc < hlcCap)) refuse("a stamp beyond the year 2200");
  }

  #value(depth: number): void {
    if (depth > valueDepthCap) refuse("a value too deep");
    const tag = this.#byte();
    switch (tag) {
      case 126: // null
      case 121: // false
      case 120: // true
        return;
      case 125:
        this.#signedInteger();
        return;
      case 124:
        if (!Number.isFinite(this.#view.getFloat32(this.#skip(4)))) refuse("a number that is not finite");
        return;
      case 123:
        if (!Number.isFinite(this.#view.getFloat64(this.#skip(8)))) refuse("a number that is not finite");
        return;
      case 119:
        this.#skipText();
        return;
      case 118:
        for (let rest = this.#count("members"); rest > 0; rest--) {
          if (this.#isBehind("__proto__", this.#skipKey())) refuse("a forbidden key");
          this.#value(depth + 1);
        }
        return;
      case 117:
        for (let rest = this.#count("items"); rest > 0; rest--) this.#value(depth + 1);
        return;
      default:
        refuse("a value of unknown kind");
    }
  }

  #key(): string {
    const length = this.#skipKey();
    return this.#bytes.toString("utf8", this.#at - length, this.#at);
  }

  /** Returns its length in bytes. */
  #skipKey(): number {
    const length = this.#skipText();
    if (length > keyCapBytes) refuse("a key too long");
    return length;
  }

  /** Whether the text of that many bytes that was skipped last is `word`, which is ASCII. A million keys need not be decoded. */
  #isBehind(word: string, length: number): boolean {
    if (length !== word.length) return false;
    for (let i = 0; i < length; i++)
      if (this.#bytes[this.#at - length + i] !== word.charCodeAt(i)) return false;
    return true;
  }

  /** Skips a text and returns its length in bytes. */
  #skipText(): number {
    const length = this.#integer();
    const from = this.#skip(length);
    for (let i = from; i < this.#at; i++) {
      if ((this.#bytes[i] ?? 0) < 128) continue;
      if (!isUtf8(this.#bytes.subarray(from, this.#at))) refuse("text that is not UTF-8");
      break;
    }
    return length;
  }

  /** Reads how many ids a deletion or a deleted struct covers. */
  #length(): number {
    const length = this.#integer();
    if (length < 1) refuse("an empty range");
    this.#ids += length;
    if (this.#ids > idCap) refuse("too many ids");
    return length;
  }

  /** Reads how many things follow; each takes at least one byte. */
  #count(what: string): number {
    const count = this.#integer();
    if (count > structCap || count > this.#bytes.length - this.#at) refuse(`too many ${what}`);
    return count;
  }

  #integer(): number {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 49; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * factor;
      if (byte < 128) {
        if (value > Number.MAX_SAFE_INTEGER) refuse("a number too large");
        return value;
      }
    }
    return refuse("a number too large");
  }

  #signedInteger(): number {
    const first = this.#byte();
    const sign = (first & 64) !== 0 ? -1 : 1;
    let value = first & 63;
    if (first < 128) return sign * value;
    for (let factor = 64; factor <= 2 ** 48; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * factor;
      if (byte < 128) return sign * value;
    }
    return refuse("a number too large");
  }

  #byte(): number {
    return this.#bytes[this.#skip(1)] ?? 0;
  }

  /** Skips that many bytes and returns where they begin. */
  #skip(length: number): number {
    const from = this.#at;
    if (length > this.#bytes.length - from) refuse("cut off");
    this.#at += length;
    return from;
  }
}

function hasFormOf(root: Root, key: string): boolean {
  if (root.holds === "maps" || root.merge === "first") return root.isId(key);
  const named = parseValueKey(key);
  return named !== undefined && root.isId(named.id);
}
