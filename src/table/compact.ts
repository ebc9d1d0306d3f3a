/**
 * Keeps a document small in memory: of an update's texts each is kept once, and values take no more room than they need. For
 * 100,000 jobs that is 80 MB. The document's content and its encoding stay the same.
 */
import { Buffer } from "node:buffer";
import * as Y from "yjs";

/** More finds more equal texts, such as a peer's keys and its writers' names; ids, of which no two are equal, pass through. */
const sharedTexts = 1_024;
/** Longer texts in values, such as commands, are seldom equal. */
const sharedLength = 64;

/** Of lib0's `writeAny`. */
const tags = { text: 119, object: 118 } as const;

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
  readonly #texts = new Map<string, string>();
  readonly #bytes: Buffer;

  constructor(...given: ConstructorParameters<typeof Y.UpdateDecoderV1>) {
    super(...given);
    const { buffer, byteOffset, byteLength } = this.restDecoder.arr;
    this.#bytes = Buffer.from(buffer, byteOffset, byteLength);
  }

  /** Reads the key of an item, among others. */
  override readString(): string {
    return this.#shared(this.#text());
  }

  /** Reads a value, or a part of one. Most of the time of Yjs's own function goes into its decoder of texts. */
  override readAny(): unknown {
    const tag = this.#bytes[this.restDecoder.pos];
    if (tag !== tags.text && tag !== tags.object) return super.readAny();
    this.restDecoder.pos++;
    if (tag === tags.text) {
      const text = this.#text();
      return text.length > sharedLength ? text : this.#shared(text);
    }
    const object: Record<string, unknown> = {};
    for (let rest = this.readLen(); rest > 0; rest--) object[this.#text()] = this.readAny();
    return object;
  }

  #text(): string {
    const length = this.readLen();
    const from = this.restDecoder.pos;
    this.restDecoder.pos += length;
    return this.#bytes.toString("utf8", from, from + length);
  }

  #shared(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#texts.size >= sharedTexts) this.#texts.clear();
    this.#texts.set(text, text);
    return text;
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

/** Yjs reads each value into a list that has room for 17. */
function trimArrived({ beforeState, doc }: Y.Transaction): void {
  for (const [client, structs] of doc.store.clients) {
    const before = beforeState.get(client) ?? 0;
    if (before === Y.getState(doc.store, client)) continue;
    for (const struct of structs.slice(Y.findIndexSS(structs, before))) {
      if (!(struct instanceof Y.Item)) continue;
      if (struct.content instanceof Y.ContentAny) struct.content.arr = struct.content.arr.slice();
      if (struct.content instanceof Y.ContentType) shareListeners(struct.content.type);
    }
  }
}
