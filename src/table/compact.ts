/**
 * Keeps a document small in memory: each text of an update is kept once, and values take no more room than they need. For 100,000
 * jobs that saves 110 MB. The document's content and its encoding stay the same.
 */
import { Buffer } from "node:buffer";
import * as Y from "yjs";

/**
 * How many texts are remembered, and how long they may be, in bytes. Most are keys: one for each field and writer, and the names
 * of members. Longer texts, such as commands, are seldom equal.
 */
const sharedTexts = 1_024;
const sharedBytes = 96;

/** The tags of lib0's `writeAny`. */
const tags = { text: 119, object: 118 } as const;
/** The number by which Yjs writes that an item holds plain values. */
const anyValue = 8;

/** Texts of this and earlier updates, each at the place that its bytes give. Another one with the same place replaces it. */
const texts: string[] = Array.from({ length: sharedTexts }, () => "");

/**
 * By number of members: what makes a plain object with room for no more. V8 gives `{}` room for four, but learns from the first
 * objects of a constructor how much the later ones need.
 */
const plainObjects = Array.from({ length: 8 }, () =>
  Object.assign(function () {} as unknown as new () => object, { prototype: Object.prototype }),
);

type Content = Y.Item["content"];

/** Applies an update (V1) like `Y.applyUpdate`. */
export function applyCompactly(doc: Y.Doc, update: Uint8Array): void {
  const apply = (transaction: Y.Transaction): void => {
    Y.applyUpdateV2(doc, update, undefined, SharingDecoder);
    trimArrived(transaction);
  };
  Y.transact(doc, apply, undefined, false);
}

/** Reads what inspection (update.ts) has let through, so every text is UTF-8 and no key is `__proto__`. */
class SharingDecoder extends Y.UpdateDecoderV1 {
  readonly #bytes: Buffer;

  constructor(...given: ConstructorParameters<typeof Y.UpdateDecoderV1>) {
    super(...given);
    const { buffer, byteOffset, byteLength } = this.restDecoder.arr;
    this.#bytes = Buffer.from(buffer, byteOffset, byteLength);
  }

  /** Reads the key of an item, among others. */
  override readString(): string {
    return this.#text();
  }

  /** Reads a value, or a part of one. Most of the time of Yjs's own function goes into its decoder of texts. */
  override readAny(): unknown {
    const tag = this.#bytes[this.restDecoder.pos];
    if (tag !== tags.text && tag !== tags.object) return super.readAny();
    this.restDecoder.pos++;
    if (tag === tags.text) return this.#text();
    const members = this.readLen();
    const object = new (plainObjects[members] ?? Object)() as Record<string, unknown>;
    for (let rest = members; rest > 0; rest--) object[this.#text()] = this.readAny();
    return object;
  }

  #text(): string {
    const length = this.readLen();
    const from = this.restDecoder.pos;
    this.restDecoder.pos += length;
    if (length > sharedBytes) return this.#bytes.toString("utf8", from, from + length);
    const place = this.#placeOf(from, from + length);
    const known = texts[place];
    if (known?.length === length && this.#isAt(from, known)) return known;
    const text = this.#bytes.toString("utf8", from, from + length);
    texts[place] = text;
    return text;
  }

  /** The FNV-1a hash of these bytes, cut to a place. */
  #placeOf(from: number, to: number): number {
    let hash = 0x811c9dc5;
    for (let at = from; at < to; at++) hash = Math.imul(hash ^ (this.#bytes[at] ?? 0), 0x01000193);
    return (hash ^ (hash >>> 16)) & (sharedTexts - 1);
  }

  /** Whether the bytes from there on are this text, and ASCII. */
  #isAt(from: number, text: string): boolean {
    for (let i = 0; i < text.length; i++) {
      const byte = this.#bytes[from + i] ?? 0;
      if (byte > 127 || byte !== text.charCodeAt(i)) return false;
    }
    return true;
  }
}

/** The content of an item with one value, as all in a map have. Yjs's own keeps it in a list, which takes 70 bytes more. */
class SingleValue implements Content {
  readonly #value: unknown;

  constructor(value: unknown) {
    this.#value = value;
  }

  getLength(): number {
    return 1;
  }

  getContent(): unknown[] {
    return [this.#value];
  }

  isCountable(): boolean {
    return true;
  }

  copy(): SingleValue {
    return new SingleValue(this.#value);
  }

  splice(): never {
    throw new RangeError("one value has no parts");
  }

  mergeWith(): boolean {
    return false;
  }

  integrate(): void {}

  delete(): void {}

  gc(): void {}

  write(encoder: Parameters<Content["write"]>[0]): void {
    encoder.writeLen(1);
    encoder.writeAny(this.#value);
  }

  getRef(): number {
    return anyValue;
  }
}

/** Nobody listens to the map of one job: the document tells of all changes (table.ts). So all maps share what has no listener. */
function shareListeners(type: Y.ContentType["type"]): void {
  // oxlint-disable no-underscore-dangle -- Yjs gives each map two of them
  type._eH = noListeners;
  type._dEH = noListeners;
  // oxlint-enable no-underscore-dangle
}

/** A listener that is added by mistake must not listen to all maps. */
const noListeners: Y.ContentType["type"]["_eH"] = Object.freeze({ l: Object.freeze([]) as never });

/** Puts what Yjs has read into less room: it reads each value into a list that has room for 17. */
function trimArrived({ beforeState, doc }: Y.Transaction): void {
  for (const [client, structs] of doc.store.clients) {
    const before = beforeState.get(client) ?? 0;
    if (before === Y.getState(doc.store, client)) continue;
    for (const struct of structs.slice(Y.findIndexSS(structs, before))) {
      if (!(struct instanceof Y.Item)) continue;
      if (struct.content instanceof Y.ContentAny) struct.content = new SingleValue(struct.content.arr[0]);
      if (struct.content instanceof Y.ContentType) shareListeners(struct.content.type);
    }
  }
}
