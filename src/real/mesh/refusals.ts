/**
 * Logs on this side why somebody did not get in: another cluster key, or not a cicada peer at all.
 *
 * Each incoming connection is watched until it is encrypted: its first bytes tell which mesh was asked for. One host is
 * reported once a minute at most, with the number of its attempts in between, so that a stranger can't fill the log.
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
/** Hosts that are remembered. Beyond that the oldest is forgotten, and may be reported too early. */
const hostsCap = 256;
/** Every libp2p dialler begins with this text, after its length (multistream-select 1.0). */
const greeting = Buffer.from("\x13/multistream/1.0.0\n");
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
    denyList.onKnock = (peer) => this.forgottenKnocked(peer);
  }

  /** libp2p asks it about every connection. It denies dials to forgotten peers, and only watches the others. */
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

  private forgottenKnocked(peer: PeerId): void {
    this.counters.add("mesh_forgotten_refused");
    this.report(peer, "refused a peer that has been forgotten", { peer });
  }

  /** A dial was turned away in the negotiation, and nothing was proved. */
  turnedAway(address: string): void {
    this.counters.add("mesh_handshakes_refused");
    this.turnedAwayAt = this.clock.now().mono;
    this.report(
      `by ${hostOf(address) ?? address}`,
      "refused by a peer: it has another cluster key, or is not a cicada peer; if the mesh's key was rotated while this " +
        "peer was away, join anew: cicada start --join, with what `cicada peers invite` prints there",
      { address, key: this.keyring.fingerprint() },
    );
  }

  /** True when a dial was refused recently: this peer's key may be an old one. */
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
      // libp2p would search all that a stranger sends for the end of a first word, at growing cost.
      if (!greeting.subarray(0, opening.length).equals(opening.subarray(0, greeting.length))) {
        stop();
        connection.abort(new Error("not a libp2p peer"));
        return;
      }
      if (this.namesKeyOfMesh(opening)) this.handshakes.named(connection);
      if (opening.length >= openingCapBytes || !this.handshakes.has(connection)) stop();
    };
    const stop = () => connection.removeEventListener("message", peek);
    connection.addEventListener("message", peek);
    connection.addEventListener("close", () => {
      if (this.handshakes.leave(connection)) this.knocked(connection.remoteAddr.toString(), opening);
    });
  }

  private namesKeyOfMesh(opening: Uint8Array): boolean {
    const { keyring } = this;
    return fingerprintsIn(opening).some((key) => keyring.accepts(key) || keyring.isRetired(key));
  }

  private knocked(address: string, opening: Uint8Array): void {
    // The probe of a port check or a balancer: it sent nothing.
    if (opening.length === 0) return;
    const offered = fingerprintsIn(opening);
    // It had the right key, and then hung up, or it had meant to dial another peer.
    if (offered.some((fingerprint) => this.keyring.accepts(fingerprint))) return;
    this.counters.add("mesh_handshakes_refused");
    const host = hostOf(address) ?? address;
    const [theirs] = offered;
    if (theirs === undefined) this.report(host, "refused a stranger: it is not a cicada peer", { address });
    else if (offered.some((fingerprint) => this.keyring.isRetired(fingerprint))) {
      this.report(
        host,
        "refused a peer: it has a cluster key of this mesh that was rotated away; if it belongs here, let it join anew: " +
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
