/**
 * A binary heap whose entries can be moved and removed by key, so that no stale entry stays in it: each key is in it at most
 * once (the idea of Nomad's periodicHeap). All operations are O(log n). Entries with equal instants come out in the order of
 * `tie`. An entry is a place in two lists, because an object for each of 100,000 jobs would take 7 MB more.
 */
export class IndexedHeap<Key> {
  readonly #keys: Key[] = [];
  /** the instants of the keys, in the same places */
  readonly #instants: number[] = [];
  readonly #places = new Map<Key, number>();
  readonly #tie: (a: Key, b: Key) => boolean;

  /** `tie(a, b)`: of two keys with the same instant, `a` comes first. It must be a total order. */
  constructor(tie: (a: Key, b: Key) => boolean) {
    this.#tie = tie;
  }

  get size(): number {
    return this.#keys.length;
  }

  /** The entry with the smallest instant. */
  peek(): { readonly key: Key; readonly at: number } | undefined {
    const [key] = this.#keys;
    const [at] = this.#instants;
    return key === undefined || at === undefined ? undefined : { key, at };
  }

  /** The key's instant; Infinity = it is not in the heap. */
  at(key: Key): number {
    const place = this.#places.get(key);
    return (place === undefined ? undefined : this.#instants[place]) ?? Infinity;
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
    const place = this.#places.get(key) ?? this.#keys.length;
    this.#put(place, key, at);
    this.#sink(this.#rise(place));
  }

  remove(key: Key): void {
    const place = this.#places.get(key);
    if (place === undefined) return;
    this.#places.delete(key);
    const last = this.#keys.pop();
    const at = this.#instants.pop();
    if (last === undefined || at === undefined || place === this.#keys.length) return;
    this.#put(place, last, at);
    this.#sink(this.#rise(place));
  }

  #put(place: number, key: Key, at: number): void {
    this.#keys[place] = key;
    this.#instants[place] = at;
    this.#places.set(key, place);
  }

  /** Whether the first entry comes before the one in that place; false if there is none. */
  #isBefore(key: Key, at: number, place: number): boolean {
    const other = this.#keys[place];
    const instant = this.#instants[place];
    if (other === undefined || instant === undefined) return false;
    return at < instant || (at === instant && this.#tie(key, other));
  }

  /** Returns the entry's new place. */
  #rise(start: number): number {
    const key = this.#keys[start];
    const at = this.#instants[start];
    if (key === undefined || at === undefined) return start;
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!this.#isBefore(key, at, parent)) break;
      this.#move(parent, place);
      place = parent;
    }
    if (place !== start) this.#put(place, key, at);
    return place;
  }

  #sink(start: number): void {
    const key = this.#keys[start];
    const at = this.#instants[start];
    if (key === undefined || at === undefined) return;
    let place = start;
    for (;;) {
      const child = this.#firstChild(place);
      if (child >= this.#keys.length || this.#isBefore(key, at, child)) break;
      this.#move(child, place);
      place = child;
    }
    if (place !== start) this.#put(place, key, at);
  }

  /** The place of the smaller of the two entries below a place; beyond the end if there is none. */
  #firstChild(place: number): number {
    const left = 2 * place + 1;
    const key = this.#keys[left + 1];
    const at = this.#instants[left + 1];
    return key !== undefined && at !== undefined && this.#isBefore(key, at, left) ? left + 1 : left;
  }

  #move(from: number, to: number): void {
    const key = this.#keys[from];
    const at = this.#instants[from];
    if (key !== undefined && at !== undefined) this.#put(to, key, at);
  }
}
