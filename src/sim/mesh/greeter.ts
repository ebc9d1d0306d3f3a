/**
 * How a process of the simulated mesh greets: it says which protocol versions it speaks, and judges the other side's
 * versions by the same rule as the real mesh (core/members/incompatible.ts).
 */
import { IncompatiblePeers } from "../../core/members/incompatible.ts";
import type { Log } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { ProtocolRange } from "../../schema/protocol.ts";
import type { HostClock } from "../clock.ts";
import type { HostName } from "./wires.ts";

export class Greeter {
  private readonly protocol: ProtocolRange;
  private readonly clock: HostClock;
  private readonly log: Log;
  private readonly incompatible: IncompatiblePeers;

  constructor(protocol: ProtocolRange, clock: HostClock, log: Log) {
    this.protocol = protocol;
    this.clock = clock;
    this.log = log;
    this.incompatible = new IncompatiblePeers(protocol);
  }

  /** Judges the other side's versions; false = they have none in common. */
  accepts(peer: PeerId, host: HostName, other: Greeter): boolean {
    const address = `/sim/${host}`;
    const { spoken, news } = this.incompatible.judge(peer, other.protocol, address, this.clock.mono());
    if (news !== undefined) this.log[news.level](news.message, { peer, address });
    return spoken !== "incompatible";
  }

  warnings(): string[] {
    return this.incompatible.warnings(this.clock.mono());
  }
}
