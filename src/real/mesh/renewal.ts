/**
 * After a rotation, replaces the lines that were made under the old key, one after the other and before that key
 * expires. No peer notices, because a link lives while one of its lines does. Lines under a key that doesn't admit the peer at
 * their other end, or does so no longer, are cut. A peer that belongs here can connect again.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { ClusterKeys } from "../keyring.ts";
import type { DialOutcome } from "./dialler.ts";
import type { Line, Links } from "./links.ts";

/** How long a replaced line is kept, so that messages in transit arrive. */
const retireMs = 1_000;
/** How long the streams of a cut line take to end. */
const cutMs = 20;
/** How long one end leaves the dialling to the other. After twice this time it tries again. */
const leaveMs = 5_000;

export interface RenewalDoors {
  self: PeerId;
  keyring: ClusterKeys;
  links: Links;
  addressesOf(peer: PeerId): { proven: readonly string[]; others: readonly string[] };
  /** dials even though there is a connection to the peer */
  dialAgain(address: string, peer: PeerId): Promise<DialOutcome>;
  after(ms: number, ring: () => void): void;
  /** moves gossip to the remaining lines */
  restoreGossip(peer: PeerId): void;
}

export class Renewal {
  private readonly doors: RenewalDoors;
  private readonly underWay = new Set<PeerId>();

  constructor(doors: RenewalDoors) {
    this.doors = doors;
  }

  /** Call it about once a second. It replaces lines whose other end prefers the present key, too. */
  check(): void {
    for (const peer of this.doors.links.upPeers()) {
      if (!this.isDue(peer) || this.underWay.has(peer)) continue;
      this.underWay.add(peer);
      // One of the two ends dials; if its dials fail, the other one does.
      const wait = this.doors.self < peer ? 0 : leaveMs;
      this.doors.after(wait, () => {
        this.renew(peer).catch(() => undefined);
        this.doors.after(2 * leaveMs, () => this.underWay.delete(peer));
      });
    }
  }

  /** Cuts lines that were made under a key that no longer admits their peer. */
  cutOld(): void {
    for (const line of this.doors.links.all()) {
      if (!this.doors.keyring.admits(line.key, line.peer)) {
        line.connection.abort(new Error("its key no longer admits it"));
      }
    }
  }

  /** Another line has replaced this one. */
  retire(old: Line): void {
    this.doors.after(retireMs, () => {
      old.connection.abort(new Error("replaced by a line under the new key"));
      this.doors.after(cutMs, () => this.doors.restoreGossip(old.peer));
    });
  }

  private isDue(peer: PeerId): boolean {
    const present = this.doors.keyring.fingerprint();
    const line = this.doors.links.currentLine(peer);
    return line !== undefined && line.key !== present && line.theirKey === present;
  }

  private async renew(peer: PeerId): Promise<void> {
    const { proven, others } = this.doors.addressesOf(peer);
    for (const address of [...proven, ...others]) {
      if (!this.isDue(peer)) return;
      // oxlint-disable-next-line no-await-in-loop -- one address that works is enough
      if ((await this.doors.dialAgain(address, peer)) === "linked") return;
    }
  }
}
