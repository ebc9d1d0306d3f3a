/**
 * libp2p as cicada uses it, with every parameter that differs from the defaults, and why.
 *
 * libp2p provides sockets, encryption, streams and gossip. The other files of this folder decide which peer to dial,
 * when a link counts and when it is dead, because libp2p gives up on peers and forgets them.
 */
import { gossipsub, type GossipSub, StrictSign } from "@chainsafe/libp2p-gossipsub";
import { identify, type Identify } from "@libp2p/identify";
import type { ConnectionGater, Libp2p } from "@libp2p/interface";
import { mdns } from "@libp2p/mdns";
import { ping, type Ping } from "@libp2p/ping";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { CicadaError } from "../../errors.ts";
import { messageCapBytes } from "../../schema/message.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { ClusterKeys } from "../keyring.ts";
import { parsePeerKey } from "../keys.ts";
import { joinAddress } from "./addresses.ts";
import type { DialOutcome } from "./dialler.ts";
import { forgottenMessage, replacedMessage, type Encrypters } from "./encrypter.ts";
import type { Openings } from "./openings.ts";
import { successionMessage } from "./succession.ts";

export type Host = Libp2p<{ identify: Identify; ping: Ping; gossip: GossipSub }>;

export interface HostOptions {
  peerKey: Uint8Array;
  keyring: ClusterKeys;
  listen: readonly string[];
  announce: readonly string[];
  mdns: boolean;
  gater: ConnectionGater;
  encrypters: Encrypters;
  openings: Openings;
  /** given only by tests; absent = `handshakeTimeoutMs` */
  handshakeMs?: number | undefined;
}

/**
 * A handshake takes milliseconds. A connection that needs longer is not a peer's, and must not occupy a place for long. Its
 * opening comes before (openings.ts).
 */
const handshakeTimeoutMs = 5_000;
/**
 * Connections that the kernel holds until they are accepted. With Node's 511, a flood of new connections makes it drop those of
 * members, which try again only after a second and more. The kernel may allow less; each costs it less than 1 KiB.
 */
const unacceptedConnections = 4_096;
const streamsPerConnection = 64;
/** How much may be in transit on one stream: a few of the largest messages, so that none waits for a round trip. */
export const streamWindowBytes = 4 * messageCapBytes;
/** The largest piece of gossip. An answer to IWANT may hold several messages. */
const gossipPieceCapBytes = 16 * messageCapBytes;
/** How much may wait for one peer that reads too slowly before its gossip stream is reset. */
const gossipQueueCapBytes = 32 * messageCapBytes;

/** Creates the host without starting it, so that the caller can attach its listeners first. Throws BAD_KEY or USAGE. */
export async function createHost(options: HostOptions): Promise<Host> {
  const privateKey = parsePeerKey(options.peerKey);
  for (const address of [...options.listen, ...options.announce]) checkMultiaddr(address);
  const host = await createLibp2p({
    start: false,
    privateKey,
    nodeInfo: { name: "cicada", userAgent: "cicada" },
    addresses: { listen: [...options.listen], announce: [...options.announce] },
    transports: [options.openings.transport(unacceptedConnections)],
    connectionEncrypters: [options.encrypters.first],
    streamMuxers: [
      yamux({
        // After a pause of the process, a late pong would end the connection, and the measured round trip times
        // make Yamux write to closed connections, whose errors can't be caught. upkeep.ts sends its own pings.
        enableKeepAlive: false,
        maxInboundStreams: streamsPerConnection,
        maxOutboundStreams: streamsPerConnection,
        streamOptions: { initialStreamWindowSize: streamWindowBytes },
      }),
    ],
    peerDiscovery: options.mdns ? [mdns({ serviceTag: `_cicada-${options.keyring.mesh}._udp.local` })] : [],
    connectionGater: options.gater,
    connectionManager: {
      // The default drops the sixth connection of one address within a second, which ten peers behind one router exceed.
      inboundConnectionThreshold: Number.POSITIVE_INFINITY,
      // This would be one pool for all. connected-peers.ts has a limit, at which the peer that was learned of last is
      // disconnected.
      maxConnections: Number.POSITIVE_INFINITY,
      // This too; handshakes.ts gives each host a share instead.
      maxIncomingPendingConnections: Number.POSITIVE_INFINITY,
      inboundUpgradeTimeout: options.handshakeMs ?? handshakeTimeoutMs,
      inboundStreamProtocolNegotiationTimeout: handshakeTimeoutMs,
      outboundStreamProtocolNegotiationTimeout: handshakeTimeoutMs,
      reconnectRetries: 0,
    },
    // The monitor closes a connection because of one slow answer. upkeep.ts judges by everything that arrives.
    connectionMonitor: { enabled: false },
    services: { identify: identify(), ping: ping(), gossip: gossip() },
  });
  options.encrypters.refresh();
  return host;
}

/**
 * Each peer publishes directly to all others (`floodPublish`); the small degree only passes on what a missing link
 * would lose. Members are trusted once the key has admitted them, so nothing is scored: libp2p's scores punish slow
 * answers, and many peers on one address.
 */
function gossip(): ReturnType<typeof gossipsub> {
  return gossipsub({
    globalSignaturePolicy: StrictSign,
    emitSelf: false,
    floodPublish: true,
    batchPublish: true,
    fallbackToFloodsub: false,
    allowPublishToZeroTopicPeers: true,
    tagMeshPeers: false,
    D: 3,
    Dlo: 2,
    Dhi: 5,
    Dout: 1,
    Dscore: 2,
    Dlazy: 3,
    // This determines how long a new peer waits for gossip, and how soon a lost message is repeated.
    heartbeatInterval: 500,
    mcacheLength: 12,
    mcacheGossip: 6,
    seenTTL: 60_000,
    // Recognises a copy before its signature is checked, which would be most of the cost of a copy.
    fastMsgIdFn: ({ from, seqno }) => latin1(from) + latin1(seqno),
    // A peer that has just restarted must be grafted at once, not after a minute.
    pruneBackoff: 2_000,
    unsubcribeBackoff: 1_000,
    graftFloodThreshold: 0,
    maxInboundDataLength: gossipPieceCapBytes,
    maxOutboundBufferSize: gossipQueueCapBytes,
    scoreParams: { IPColocationFactorWeight: 0, behaviourPenaltyWeight: 0, appSpecificWeight: 0 },
  });
}

function checkMultiaddr(text: string): void {
  try {
    multiaddr(text);
  } catch {
    throw new CicadaError(
      "USAGE",
      `${JSON.stringify(text)} is not a multiaddr; for example /ip4/0.0.0.0/tcp/7401`,
    );
  }
}

function latin1(bytes: Uint8Array | undefined): string {
  return bytes === undefined
    ? ""
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** Starts to listen. Throws PORT_IN_USE or USAGE if that fails. */
export async function startHost(host: Host, listen: readonly string[]): Promise<void> {
  try {
    await host.start();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (why.includes("EADDRINUSE")) throw new CicadaError("PORT_IN_USE", listen.join(", "));
    throw new CicadaError("USAGE", `can't listen on ${listen.join(", ")}: ${why.trim()}`);
  }
}

/** A host that swallows packets must not delay the next address for long. A handshake takes milliseconds. */
const dialTimeoutMs = 3_000;

/**
 * Dials one address. Never rejects. If `peer` is given, only that peer counts. `force`: even if there is a connection to
 * it.
 */
export async function dialAddress(
  host: Host,
  address: string,
  peer: PeerId | undefined,
  force: boolean,
): Promise<DialOutcome> {
  try {
    const target = multiaddr(peer === undefined ? address : joinAddress(address, peer));
    await host.dial(target, { signal: AbortSignal.timeout(dialTimeoutMs), force });
    return "linked";
  } catch (error) {
    return outcomeOf(error);
  }
}

function outcomeOf(error: unknown): DialOutcome {
  if (!(error instanceof Error)) return "failed";
  if (error.name === "InvalidPeerIdError") return "self";
  if ("code" in error && error.code === "ECONNREFUSED") return "refused";
  // libp2p only keeps the message of an error in a handshake.
  if (error.message.includes(forgottenMessage)) return "forgotten";
  if (error.message.includes(successionMessage) || error.message.includes(replacedMessage)) return "rotated";
  const isTurnedAway =
    error.name === "EncryptionFailedError" && error.message.includes("Protocol selection failed");
  return isTurnedAway ? "turned-away" : "failed";
}
