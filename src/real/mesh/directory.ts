/**
 * Keeps the address book up to date: learns from greetings, passes news on, and stores the book on disk.
 *
 * News is collected for a moment first. Otherwise peers that all start at once would send everything once for every
 * pair.
 */
import type { Log } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { ProtocolRange } from "../../schema/protocol.ts";
import { hostOf, joinAddress, sortForDialling, splitAddress, withoutPeer } from "./addresses.ts";
import type { AddressBook } from "./book.ts";
import { addressesCap, type Greeting } from "./greeting.ts";
import type { Host } from "./host.ts";
import type { Line } from "./links.ts";

const newsDelayMs = 50;
/** How soon the book is stored, and how often: each time costs an fsync. Less stores it more often while a neighbour has news. */
const rememberDelayMs = 500;
/**
 * How often to correct a wrong list. Without a limit, two processes with one identity would correct each other for
 * ever.
 */
const correctEveryMs = 5_000;

export type Hello = Greeting & { kind: "hello" };

export interface DirectoryDoors {
  host: Host;
  /** what this peer speaks */
  protocol: ProtocolRange;
  /** identifies this process, in greetings */
  life: string;
  /** fingerprint of the cluster key that this peer prefers */
  presentKey(): string;
  log: Log;
  after(ms: number, ring: () => void): void;
  remember(addresses: readonly string[]): void;
  /** a peer that should be reachable; `news`: it is new, or is said to have new addresses */
  expect(peer: PeerId, news: boolean): void;
  /** sends the greeting to all linked peers */
  passOn(hello: Hello): void;
}

export class Directory {
  private readonly self: PeerId;
  private readonly book: AddressBook;
  private readonly doors: DirectoryDoors;
  private newsPlanned = false;
  private rememberPlanned = false;
  /** whether a correction was sent in the last `correctEveryMs`, and another one is due after it */
  private correction: "not" | "once" | "again" = "not";

  constructor(self: PeerId, book: AddressBook, doors: DirectoryDoors) {
    this.self = self;
    this.book = book;
    this.doors = doors;
  }

  hello(): Hello {
    const { protocol, life } = this.doors;
    const self = this.book.ownEntry(this.ownAddresses());
    return { kind: "hello", protocol, self, others: this.book.others(), key: this.doors.presentKey(), life };
  }

  ownAddresses(): string[] {
    const all = this.doors.host.getMultiaddrs().map((address) => withoutPeer(address.toString()));
    return sortForDialling([...new Set(all)]).slice(0, addressesCap);
  }

  learn({ connection, peer }: Line, { self, others }: Hello): void {
    let isNews = this.book.learnFromPeer(self);
    const reached = withoutPeer(connection.remoteAddr.toString());
    const isProof = this.book.prove(
      peer,
      connection.direction === "outbound" ? { dialled: reached } : { host: hostOf(reached) },
    );
    for (const one of others) {
      if (!this.book.learnFromOther(one)) continue;
      if (one.peer === this.self) {
        this.correct();
        continue;
      }
      isNews = true;
      this.doors.expect(one.peer, true);
    }
    this.doors.expect(peer, false);
    if (isNews) this.planNews();
    if (isNews || isProof) this.planRemember();
  }

  /** A peer was found on the LAN. */
  discover(peer: PeerId, addresses: readonly string[]): void {
    const found = addresses.map((address) => splitAddress(joinAddress(withoutPeer(address), peer)));
    this.book.restore(found.filter((address) => address !== undefined));
    if (peer !== this.self) this.doors.expect(peer, true);
  }

  remember(): void {
    try {
      this.doors.remember(this.book.toRemember());
    } catch (error) {
      // At worst, the next start needs a named address. Nothing has to stop now.
      this.doors.log.warn("the addresses of the peers can't be stored", { why: String(error) });
    }
  }

  /** Others have a list of this peer's addresses that is not its own: corrects it. */
  private correct(): void {
    if (this.correction !== "not") {
      this.correction = "again";
      return;
    }
    this.correction = "once";
    this.planNews();
    this.doors.after(correctEveryMs, () => {
      const isDue = this.correction === "again";
      this.correction = "not";
      if (isDue) this.correct();
    });
  }

  private planNews(): void {
    if (this.newsPlanned) return;
    this.newsPlanned = true;
    this.doors.after(newsDelayMs, () => {
      this.newsPlanned = false;
      this.doors.passOn(this.hello());
    });
  }

  private planRemember(): void {
    if (this.rememberPlanned) return;
    this.rememberPlanned = true;
    this.doors.after(rememberDelayMs, () => {
      this.rememberPlanned = false;
      this.remember();
    });
  }
}
