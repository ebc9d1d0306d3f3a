/**
 * Logs on this side why a connection was refused: another cluster key, or not a cicada peer at all.
 *
 * Each incoming connection that libp2p gets (openings.ts) is watched until it is encrypted: its first bytes show which mesh it
 * asked for. A host is reported at most once a minute, with the number of its attempts in between, so that a stranger can't
 * fill the log.
 */
import type { ConnectionGater, MultiaddrConnection } from "@libp2p/interface";
import type { Clock, Log } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import { hostOf, withoutPeer } from "./addresses.ts";
import type { Counters } from "./counters.ts";
import type { ClusterKeys } from "../keyring.ts";
import type { Handshakes } from "./handshakes.ts";
import { fingerprintsIn } from "./encrypter.ts";
import type { DenyList } from "./deny-list.ts";

const quietMs = 60_000;
/** How many hosts are remembered. Beyond that the oldest is forgotten, and may be reported too early. */
const hostsCap = 256;
/** Enough for the names that a libp2p dialler sends first. */
const openingCapBytes = 256;

export class Refusals {
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly counters: Counters;
  private readonly keyring: ClusterKeys;
  private readonly denyList: DenyList;
  /** monotonic ms */
  private turnedAwayAt: number | undefined;
  private readonly reported = new Map<string, { at: number; times: number }>();
  private readonly handshakes: Handshakes<MultiaddrConnection>;

  constructor(
    clock: Clock,
    log: Log,
    counters: Counters,
    keyring: ClusterKeys,
    denyList: DenyList,
    handshakes: Handshakes<MultiaddrConnection>,
  ) {
    this.clock = clock;
    this.log = log;
    this.counters = counters;
    this.keyring = keyring;
    this.denyList = denyList;
    this.handshakes = handshakes;
    denyList.onAttempt = (peer) => this.forgottenTried(peer);
  }

  /**
   * libp2p asks this about every connection. It denies dials to forgotten peers, and only watches all other
   * connections.
   */
  readonly gater: ConnectionGater = {
    denyDialPeer: (peer) => this.denyList.has(peer.toString() as PeerId),
    denyOutboundEncryptedConnection: (peer, connection) => {
      const id = peer.toString() as PeerId;
      if (!this.denyList.has(id)) return false;
      this.denyList.onFound(id, withoutPeer(connection.remoteAddr.toString()));
      return true;
    },
    denyInboundConnection: (connection) => {
      this.watch(connection);
      return false;
    },
    denyInboundEncryptedConnection: (_peer, connection) => {
      this.handshakes.leave(connection);
      return false;
    },
  };

  private forgottenTried(peer: PeerId): void {
    this.counters.add("mesh_forgotten_refused");
    this.report(peer, "refused a peer that has been forgotten", { peer });
  }

  /** Notes that a dial was refused in the negotiation. That proves nothing, because no key has been checked there. */
  turnedAway(address: string): void {
    this.counters.add("mesh_handshakes_refused");
    this.turnedAwayAt = this.clock.now().mono;
    this.report(
      `by ${hostOf(address) ?? address}`,
      "refused by a peer: it has another cluster key, or is not a cicada peer; if the mesh's key was rotated while this " +
        "peer was away, rejoin: cicada start --join, with what `cicada peers invite` prints there",
      { address, key: this.keyring.fingerprint() },
    );
  }

  /** True if a dial was refused recently: this peer's key may be an old one. */
  wasTurnedAway(): boolean {
    return this.turnedAwayAt !== undefined && this.clock.now().mono - this.turnedAwayAt < quietMs;
  }

  private watch(connection: MultiaddrConnection): void {
    this.handshakes.enter(connection, hostOf(connection.remoteAddr.toString()) ?? "");
    let opening = new Uint8Array(0);
    // The negotiation adds its own listener before the socket is read again, so it misses nothing.
    const peek = ({ data }: { data: Uint8Array | { subarray(): Uint8Array } }) => {
      const bytes = data.subarray();
      opening = Uint8Array.from([...opening, ...bytes.subarray(0, openingCapBytes - opening.length)]);
      if (this.namesKeyOfMesh(opening)) this.handshakes.named(connection);
      if (opening.length >= openingCapBytes || !this.handshakes.has(connection)) stop();
    };
    const stop = () => connection.removeEventListener("message", peek);
    connection.addEventListener("message", peek);
    connection.addEventListener("close", () => {
      if (this.handshakes.leave(connection)) this.inboundRefused(connection.remoteAddr.toString(), opening);
    });
  }

  private namesKeyOfMesh(opening: Uint8Array): boolean {
    const { keyring } = this;
    return fingerprintsIn(opening).some((key) => keyring.accepts(key) || keyring.isRetired(key));
  }

  /** A connection ended, or was ended, before it was encrypted. */
  inboundRefused(address: string, opening: Uint8Array): void {
    // The connection sent nothing: it was the probe of a port check or a balancer.
    if (opening.length === 0) return;
    const offered = fingerprintsIn(opening);
    // The other side had the right key, but closed the connection or had meant to dial another peer.
    if (offered.some((fingerprint) => this.keyring.accepts(fingerprint))) return;
    this.counters.add("mesh_handshakes_refused");
    const host = hostOf(address) ?? address;
    const [theirs] = offered;
    if (theirs === undefined) this.report(host, "refused a stranger: it is not a cicada peer", { address });
    else if (offered.some((fingerprint) => this.keyring.isRetired(fingerprint))) {
      this.report(
        host,
        "refused a peer: it has an old cluster key of this mesh that was replaced; if it belongs here, let it rejoin: " +
          "cicada start --join there, with what `cicada peers invite` prints here",
        { address, theirs },
      );
    } else {
      this.report(host, "refused a peer: it has another cluster key", {
        address,
        key: this.keyring.fingerprint(),
        theirs,
      });
    }
  }

  /** `about`: a host or a peer. Each is reported once in a while. */
  private report(about: string, message: string, fields: Record<string, string>): void {
    const now = this.clock.now().mono;
    const before = this.reported.get(about);
    if (before !== undefined && now - before.at < quietMs) {
      before.times++;
      return;
    }
    this.reported.delete(about);
    const oldest = this.reported.size >= hostsCap ? this.reported.keys().next().value : undefined;
    if (oldest !== undefined) this.reported.delete(oldest);
    this.reported.set(about, { at: now, times: 0 });
    this.log.warn(message, before === undefined ? fields : { ...fields, before: before.times });
  }
}
