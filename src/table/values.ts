/**
 * The effective values of one root: read from the document when a caller asks for them, and again only after a change.
 * roots.ts says how several entries of one value merge.
 */
import type * as Y from "yjs";
import { isLater } from "./projection.ts";
import type { ValuesRoot } from "./roots.ts";
import { isSlot, type Stamped } from "./slots.ts";

interface Entry {
  readonly id: string;
  readonly value: object;
}

export class RootValues {
  readonly root: ValuesRoot;
  readonly #map: Y.Map<unknown>;
  #read: ReadonlyMap<string, unknown> | undefined;
  /** by id: the entry that counts; kept up to date while one change writes many */
  #latestRead: Map<string, Stamped> | undefined;
  #entries: readonly Entry[] | undefined;

  constructor(root: ValuesRoot, map: Y.Map<unknown>) {
    this.root = root;
    this.#map = map;
  }

  /** Must be called when the document's map has changed. */
  changed(): void {
    this.#read = undefined;
    this.#latestRead = undefined;
    this.#entries = undefined;
  }

  /** How many entries must be gone through to read the values, overruled and removed ones included. */
  get size(): number {
    // oxlint-disable-next-line no-underscore-dangle -- Yjs makes a list of all entries to count them
    return this.#map._map.size;
  }

  /** By id, in the order of the ids. The same map until something changes. */
  all(): ReadonlyMap<string, unknown> {
    this.#read ??= new Map(
      [...this.#effective()]
        .filter(([id, value]) => this.root.isId(id) && this.root.accepts(value))
        .toSorted(([a], [b]) => (a < b ? -1 : 1)),
    );
    return this.#read;
  }

  /**
   * Every entry, including those that another one overrules or that `accepts` rejects; the last entry of each id is the effective
   * one. The same list until something changes.
   */
  entries(): readonly Entry[] {
    this.#entries ??= this.#readEntries();
    return this.#entries;
  }

  #readEntries(): readonly Entry[] {
    const read: (Entry & { hlc: number; peer: string })[] = [];
    for (const [key, entry] of this.#map.entries()) {
      const named = this.root.merge === "first" ? { id: key, peer: "" } : parseValueKey(key);
      const isRead = this.root.merge === "first" || isSlot(entry);
      if (named === undefined || !isRead || !this.root.isId(named.id)) continue;
      const { hlc, value } = isSlot(entry) ? entry : { hlc: 0, value: entry };
      if (typeof value === "object" && value !== null) read.push({ ...named, value, hlc });
    }
    return read.toSorted((a, b) => a.hlc - b.hlc || (a.peer < b.peer ? -1 : 1));
  }

  /** The highest stamp of an id; 0 if there is none. */
  stampOf(id: string): number {
    return this.#latest().get(id)?.hlc ?? 0;
  }

  /** The entry under a key, as the document holds it. */
  entryAt(key: string): unknown {
    return this.#map.get(key);
  }

  /** Whether there is an entry under a key, or was one. */
  hasHad(key: string): boolean {
    // oxlint-disable-next-line no-underscore-dangle -- Yjs shows removed keys only here
    return this.#map._map.has(key);
  }

  /** Must be called within a transaction; undefined removes the entry. */
  write(key: string, entry: unknown): void {
    if (entry === undefined) this.#map.delete(key);
    else this.#map.set(key, entry);
    const named = parseValueKey(key);
    if (this.#latestRead === undefined || named === undefined) return;
    const known = this.#latestRead.get(named.id);
    const isNewest = isSlot(entry) && (known === undefined || isLater(entry.hlc, named.peer, known));
    if (isNewest) this.#latestRead.set(named.id, { ...entry, peer: named.peer });
    else this.#latestRead = undefined;
  }

  #effective(): Iterable<[string, unknown]> {
    if (this.root.merge === "first") return this.#map.entries();
    return [...this.#latest()].map(([id, { value }]) => [id, value]);
  }

  #latest(): ReadonlyMap<string, Stamped> {
    this.#latestRead ??= this.#readLatest();
    return this.#latestRead;
  }

  #readLatest(): Map<string, Stamped> {
    const latest = new Map<string, Stamped>();
    for (const [key, entry] of this.#map.entries()) {
      const named = parseValueKey(key);
      if (named === undefined || !isSlot(entry)) continue;
      const known = latest.get(named.id);
      if (known === undefined || isLater(entry.hlc, named.peer, known)) {
        latest.set(named.id, { hlc: entry.hlc, by: entry.by, value: entry.value, peer: named.peer });
      }
    }
    return latest;
  }
}

/** The key under which a peer writes a value: `ID@PEER`. A peer's id contains no @. */
export function keyOfValue(id: string, peer: string): string {
  return `${id}@${peer}`;
}

/** Undefined if the key has another form. */
export function parseValueKey(key: string): { id: string; peer: string } | undefined {
  const at = key.lastIndexOf("@");
  return at < 1 || at === key.length - 1 ? undefined : { id: key.slice(0, at), peer: key.slice(at + 1) };
}
