/**
 * Finds the peers that no other accepts because of their cluster key. It reads the keys in all data folders whenever
 * those of one change.
 *
 * A peer's key is replaced while another peer, which no key lets it reach, has that key as a replaced one. A peer is
 * left behind while its key is replaced and a key lets it reach only peers of which that is true too. Two other peers are cut
 * off from each other while no key admits each at the other. A forgotten peer is stranded while no key lets it reach a member and
 * none can prove to it that its key was replaced, because members may keep an old key for 30 days only, and the newest 64. Copies of
 * folders are left out.
 */
import type { PeerId } from "../../schema/ids.ts";
import { admitEachOther, supersedes, type Holder } from "../keyring.ts";
import type { Chronicle } from "./chronicle.ts";
import type { Host } from "./host.ts";

export class KeyWatch {
  readonly #chronicle: Chronicle;
  /** what lasts now, with the function that ends it */
  readonly #lasting = new Map<string, () => void>();

  constructor(chronicle: Chronicle) {
    this.#chronicle = chronicle;
  }

  isLeftBehind(peer: PeerId): boolean {
    return this.#lasting.has(peer);
  }

  /** Must be called when the keys in a folder have changed. */
  check(hosts: readonly Host[]): void {
    const originals = hosts.filter(({ name, peer }) => name === peer);
    const holders = originals.filter(({ peer }) => !this.#chronicle.hasSurelyForgotten(peer));
    const behind = leftBehind(holders);
    const found = new Map([...behind].map((peer) => [peer as string, () => this.#behind(peer)] as const));
    for (const one of holders) {
      for (const other of holders) {
        const { peer } = other;
        if (other === one || behind.has(peer) || behind.has(one.peer) || admitEachOther(one, other)) continue;
        found.set(`${one.peer} ${peer}`, () =>
          this.#chronicle.cutBegins(one.peer, peer, supersedes(other, one)),
        );
      }
    }
    for (const one of originals) {
      if (!this.#chronicle.hasForgotten(one.peer)) continue;
      const isReached = holders.some((other) => admitEachOther(one, other) || supersedes(other, one));
      if (!isReached) found.set(`${one.peer} stranded`, () => this.#chronicle.strandingBegins(one.peer));
    }
    for (const [what, end] of this.#lasting) {
      if (found.has(what)) continue;
      this.#lasting.delete(what);
      end();
    }
    for (const [what, begin] of found) if (!this.#lasting.has(what)) this.#lasting.set(what, begin());
  }

  #behind(peer: PeerId): () => void {
    return this.#chronicle.faultBegins("missed rotation", peer);
  }
}

function leftBehind(holders: readonly Holder[]): Set<PeerId> {
  const isReplaced = (of: Holder) => holders.some((one) => supersedes(one, of) && !admitEachOther(one, of));
  const replaced = holders.filter(isReplaced);
  const isAccepted = (of: Holder) =>
    holders.some((one) => one !== of && !replaced.includes(one) && admitEachOther(one, of));
  return new Set(replaced.filter((one) => !isAccepted(one)).map(({ peer }) => peer));
}
