/**
 * After a rotation, lines that were made under the old key are replaced by new ones, one after the other and before the
 * old key expires. Nobody notices, because a link lives on while one of its lines does. Lines that are left under a key
 * that is no longer accepted are cut; a peer at the other end that belongs here can connect again.
 */
import type { PeerId } from "../../schema/ids.ts";
import type { ClusterKeys } from "../keyring.ts";
import type { DialOutcome } from "./dialler.ts";
import type { Line, Links } from "./links.ts";

/** How long a replaced line is kept, so that what is on its way over it arrives. */
const retireMs = 1_000;
/** Until the streams of a line that was cut have ended. */
const cutMs = 20;
/** How long one end leaves the dialling to the other, and half the time until it tries again. */
const leaveMs = 5_000;

export interface RenewalDoors {
  self: PeerId;
  keyring: ClusterKeys;
  links: Links;
  addressesOf(peer: PeerId): { proven: readonly string[]; others: readonly string[] };
  /** even though there is a connection to it */
  dialAnew(address: string, peer: PeerId): Promise<DialOutcome>;
  after(ms: number, ring: () => void): void;
  /** gossip moves to the lines that are left */
  mendGossip(peer: PeerId): void;
}

export class Renewal {
  private readonly doors: RenewalDoors;
  private readonly underWay = new Set<PeerId>();

  constructor(doors: RenewalDoors) {
    this.doors = doors;
  }

  /** About once a second: replaces the lines whose other end prefers the present key too. */
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

  /** Cuts lines that were made under a key that is no longer accepted. */
  cutOld(): void {
    for (const line of this.doors.links.all()) {
      if (!this.doors.keyring.accepts(line.key)) {
        line.connection.abort(new Error("its key is no longer accepted"));
      }
    }
  }

  /** Another line has replaced it. */
  retire(old: Line): void {
    this.doors.after(retireMs, () => {
      old.connection.abort(new Error("replaced by a line under the new key"));
      this.doors.after(cutMs, () => this.doors.mendGossip(old.peer));
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
      if ((await this.doors.dialAnew(address, peer)) === "linked") return;
    }
  }
}
