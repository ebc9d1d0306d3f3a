/**
 * Finds many texts at once in a stream of bytes (Aho and Corasick, "Efficient string matching", 1975): one step for each byte,
 * however many texts there are. After each byte it is known which of them end here, and how much of the stream's end may be
 * the beginning of one.
 */

const root = 0;

export class Automaton {
  /** of each node: its first child, the next child of its parent, and the byte that leads to it; 0 = none */
  readonly #child: Int32Array;
  readonly #sibling: Int32Array;
  readonly #byte: Uint8Array;
  /** the node of the longest ending of this node's text that is the beginning of a text */
  readonly #fail: Int32Array;
  readonly #depth: Int32Array;
  /** the length of the longest text that ends at the node; 0 = none does */
  readonly #longest: Int32Array;
  readonly #ofRoot = new Int32Array(256);
  readonly longestText: number;
  #size = 1;

  constructor(texts: readonly Uint8Array[]) {
    const most = texts.reduce((sum, { length }) => sum + length, 1);
    this.#child = new Int32Array(most);
    this.#sibling = new Int32Array(most);
    this.#byte = new Uint8Array(most);
    this.#fail = new Int32Array(most);
    this.#depth = new Int32Array(most);
    this.#longest = new Int32Array(most);
    this.longestText = texts.reduce((longest, { length }) => Math.max(longest, length), 0);
    for (const text of texts) this.#add(text);
    this.#link();
  }

  /** The node after one more byte. */
  step(node: number, byte: number): number {
    for (let at = node; ;) {
      const next = this.#next(at, byte);
      if (next !== root || at === root) return next;
      at = this.#fail[at] ?? root;
    }
  }

  /** The length of the longest text that ends at the node; 0 = none does. */
  endsAt(node: number): number {
    return this.#longest[node] ?? 0;
  }

  /** How much of what was read may be the beginning of a text that is not complete yet. */
  openAt(node: number): number {
    let at = node;
    while (at !== root && (this.#child[at] ?? root) === root) at = this.#fail[at] ?? root;
    return this.#depth[at] ?? 0;
  }

  #next(node: number, byte: number): number {
    if (node === root) return this.#ofRoot[byte] ?? root;
    for (let at = this.#child[node] ?? root; at !== root; at = this.#sibling[at] ?? root) {
      if (this.#byte[at] === byte) return at;
    }
    return root;
  }

  #add(text: Uint8Array): void {
    let node = root;
    for (const byte of text) {
      const known = this.#next(node, byte);
      node = known === root ? this.#grow(node, byte) : known;
    }
    this.#longest[node] = text.length;
  }

  #grow(parent: number, byte: number): number {
    const node = this.#size++;
    this.#byte[node] = byte;
    this.#depth[node] = (this.#depth[parent] ?? 0) + 1;
    this.#sibling[node] = this.#child[parent] ?? root;
    this.#child[parent] = node;
    if (parent === root) this.#ofRoot[byte] = node;
    return node;
  }

  /** Breadth first: the nodes that a node's ending leads to lie nearer to the root, and are linked before it. */
  #link(): void {
    const queue = [root];
    for (const node of queue) {
      for (let at = this.#child[node] ?? root; at !== root; at = this.#sibling[at] ?? root) {
        const fail = node === root ? root : this.step(this.#fail[node] ?? root, this.#byte[at] ?? 0);
        this.#fail[at] = fail;
        this.#longest[at] = Math.max(this.#longest[at] ?? 0, this.#longest[fail] ?? 0);
        queue.push(at);
      }
    }
  }
}
