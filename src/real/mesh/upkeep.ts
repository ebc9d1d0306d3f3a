/**
 * Checks once a second for lines that have become quiet, streams that are stuck, gossip that has stopped, and keys that
 * have expired. A line is only given up if the other side is silent, never because this process was asleep.
 */
import type { ClusterKeys } from "../keyring.ts";
import type { Counters } from "./counters.ts";
import type { Gossip } from "./gossip.ts";
import type { Line, Links } from "./links.ts";
import type { Renewal } from "./renewal.ts";

const checkEveryMs = 1_000;
/** A line over which nothing has arrived for this long is pinged. */
const quietMs = 2_000;
/**
 * A line over which nothing has arrived for this long is given up. Less mistakes a busy peer for a lost one; more
 * delays the new connection after a cut. The rules of membership (5 s of silence) don't wait for this.
 */
const silentMs = 8_000;
/** A stream that nothing has left for this many checks is given up: about 10 s. */
const stuckChecks = 10;

export interface UpkeepDoors {
  links: Links;
  gossip: Gossip;
  renewal: Renewal;
  keyring: ClusterKeys;
  counters: Counters;
  ping: (line: Line) => void;
  /** monotonic ms */
  now: () => number;
  after: (ms: number, ring: () => void) => void;
}

export class Upkeep {
  private readonly doors: UpkeepDoors;
  private lastCheckAt = 0;

  constructor(doors: UpkeepDoors) {
    this.doors = doors;
  }

  start(): void {
    this.lastCheckAt = this.doors.now();
    this.doors.after(checkEveryMs, () => this.check());
  }

  private check(): void {
    const { links, gossip, renewal, keyring, now, after } = this.doors;
    after(checkEveryMs, () => this.check());
    this.checkLines(now());
    for (const peer of links.upPeers()) gossip.check(peer, links.linesOf(peer));
    keyring.expire();
    renewal.check();
  }

  private checkLines(now: number): void {
    // This process was held up, so messages that the others have sent may not have been read yet.
    const heldUpMs = Math.max(0, now - this.lastCheckAt - 2 * checkEveryMs);
    this.lastCheckAt = now;
    for (const line of this.doors.links.all()) {
      line.heardAt += heldUpMs;
      const quiet = now - line.heardAt;
      if (quiet > silentMs) {
        this.doors.counters.add("mesh_lines_silent");
        line.connection.abort(new Error("nothing was heard"));
      } else if (quiet > quietMs && line.greeted) {
        this.doors.ping(line);
      }
      for (const outgoing of line.outgoing.values()) outgoing.check(stuckChecks);
    }
  }
}
