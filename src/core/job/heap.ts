/**
 * A binary heap whose entries can be moved and removed by key, so that no stale entry stays in it: each key is in it at most
 * once (the idea of Nomad's periodicHeap). All operations are O(log n). Entries with equal instants come out in the order of
 * `tie`.
 */
export class IndexedHeap<Key> {
  readonly #entries: { key: Key; at: number }[] = [];
  readonly #places = new Map<Key, number>();
  readonly #tie: (a: Key, b: Key) => boolean;

  /** `tie(a, b)`: of two keys with the same instant, `a` comes first. It must be a total order. */
  constructor(tie: (a: Key, b: Key) => boolean) {
    this.#tie = tie;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The entry with the smallest instant. */
  peek(): { readonly key: Key; readonly at: number } | undefined {
    return this.#entries[0];
  }

  /** The key's instant; Infinity = it is not in the heap. */
  at(key: Key): number {
    const place = this.#places.get(key);
    return (place === undefined ? undefined : this.#entries[place]?.at) ?? Infinity;
  }

  has(key: Key): boolean {
    return this.#places.has(key);
  }

  /** In no order. */
  keys(): IterableIterator<Key> {
    return this.#places.keys();
  }

  /** Adds the key, or moves it. */
  set(key: Key, at: number): void {
    const place = this.#places.get(key);
    if (place === undefined) {
      this.#entries.push({ key, at });
      this.#places.set(key, this.#entries.length - 1);
      this.#rise(this.#entries.length - 1);
      return;
    }
    this.#put(place, { key, at });
    this.#sink(this.#rise(place));
  }

  remove(key: Key): void {
    const place = this.#places.get(key);
    const last = this.#entries.pop();
    if (place === undefined || last === undefined) {
      if (last !== undefined) this.#entries.push(last);
      return;
    }
    this.#places.delete(key);
    if (place === this.#entries.length) return;
    this.#put(place, last);
    this.#sink(this.#rise(place));
  }

  #put(place: number, entry: { key: Key; at: number }): void {
    this.#entries[place] = entry;
    this.#places.set(entry.key, place);
  }

  #isBefore(a: { key: Key; at: number }, b: { key: Key; at: number }): boolean {
    return a.at < b.at || (a.at === b.at && this.#tie(a.key, b.key));
  }

  /** Returns the entry's new place. */
  #rise(start: number): number {
    const entry = this.#entries[start];
    if (entry === undefined) return start;
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#entries[parent];
      if (above === undefined || !this.#isBefore(entry, above)) break;
      this.#put(place, above);
      place = parent;
    }
    if (place !== start) this.#put(place, entry);
    return place;
  }

  #sink(start: number): void {
    const entry = this.#entries[start];
    if (entry === undefined) return;
    let place = start;
    for (;;) {
      const left = this.#entries[2 * place + 1];
      const right = this.#entries[2 * place + 2];
      const takesRight = right !== undefined && left !== undefined && this.#isBefore(right, left);
      const child = takesRight ? right : left;
      if (child === undefined || !this.#isBefore(child, entry)) break;
      this.#put(place, child);
      place = 2 * place + (takesRight ? 2 : 1);
    }
    if (place !== start) this.#put(place, entry);
  }
}
