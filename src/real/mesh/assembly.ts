/**
 * Assembles the mesh. Each part gets what it needs from the others as functions, and can be read alone. This file shows
 * the connections, such as that the dialler takes its addresses from the book, or that a replaced line goes to the
 * renewal. It holds no state and decides nothing.
 */
import { randomBytes } from "node:crypto";
import { IncompatiblePeers } from "../../core/members/incompatible.ts";
import type { Clock, Log, MeshEvents, Random } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { ProtocolRange } from "../../schema/protocol.ts";
import type { ClusterKeys } from "../keyring.ts";
import { sortForDialling } from "./addresses.ts";
import { AddressBook } from "./book.ts";
import { ConnectedPeers } from "./connected-peers.ts";
import type { Counters } from "./counters.ts";
import { Dialler, type DialOutcome } from "./dialler.ts";
import { Directory } from "./directory.ts";
import { Gossip } from "./gossip.ts";
import type { Host } from "./host.ts";
import { Links } from "./links.ts";
import type { DenyList } from "./deny-list.ts";
import { Reception } from "./reception.ts";
import { Renewal } from "./renewal.ts";
import { Upkeep } from "./upkeep.ts";

export interface Parts {
  book: AddressBook;
  gossip: Gossip;
  links: Links;
  dialler: Dialler;
  directory: Directory;
  reception: Reception;
  renewal: Renewal;
  upkeep: Upkeep;
  incompatible: IncompatiblePeers;
  connectedPeers: ConnectedPeers;
}

export interface AssemblyDoors {
  self: PeerId;
  protocol: ProtocolRange;
  peersMax: number | undefined;
  host: Host;
  keyring: ClusterKeys;
  denyList: DenyList;
  counters: Counters;
  clock: Clock;
  random: Random;
  log: Log;
  /** undefined before the mesh's start and after its stop */
  events: () => MeshEvents | undefined;
  /** True from the start until a stop begins. */
  isOpen: () => boolean;
  linkUp: (peer: PeerId) => void;
  linkDown: (peer: PeerId, why: "closed" | "reset") => void;
  /** `force`: even if there is a connection to the peer */
  dial: (address: string, peer: PeerId | undefined, force: boolean) => Promise<DialOutcome>;
  remember: (addresses: readonly string[]) => void;
  /** Never rings after the mesh has stopped. */
  after: (ms: number, ring: () => void) => void;
}

export function assemble(doors: AssemblyDoors): Parts {
  const { self, host, keyring, denyList, counters, clock, random, log, isOpen, after } = doors;
  const presentKey = (): string => keyring.fingerprint();
  const book = new AddressBook(self, clock.now().wall, () => links.connectedPeers());
  const addressesOf = (peer: PeerId): ReturnType<AddressBook["addressesOf"]> => {
    const { proven, others } = book.addressesOf(peer);
    return { proven, others: sortForDialling(others) };
  };
  const gossip = new Gossip(host, counters);
  const links: Links = new Links(
    self,
    {
      up: doors.linkUp,
      down: doors.linkDown,
      gone: (peer) => dialler.lost(peer, "not-greeted"),
      ended: (line) => reception.closed(line),
      renewed: (old) => renewal.retire(old),
      duplicated: (old) => {
        gossip.leave(old);
        gossip.restore(old.peer, links.linesOf(old.peer));
      },
      presentKey,
    },
    counters,
  );
  const dialler: Dialler = new Dialler({
    clock,
    random,
    self,
    dial: (address, peer) => doors.dial(address, peer, false),
    addressesOf: (peer) => book.addressesOf(peer),
    isConnected: (peer) => links.linesOf(peer).length > 0,
    sorted: sortForDialling,
    isAlone: () => links.upPeers().length === 0,
    refused: (peer, times) => doors.events()?.redialRefused(peer, times),
    resolved: (address, peer) => book.name(peer, address),
  });
  const directory = new Directory(self, book, {
    host,
    protocol: doors.protocol,
    life: randomBytes(8).toString("hex"),
    presentKey,
    log,
    after,
    remember: doors.remember,
    expect: (peer, news) => {
      if (!denyList.has(peer)) dialler.expect(peer, news);
    },
    passOn: (hello) => reception.sendToAll(hello),
  });
  const incompatible = new IncompatiblePeers(doors.protocol);
  const reception: Reception = new Reception({
    links,
    directory,
    gossip,
    counters,
    incompatible,
    clock,
    log,
    isOpen,
    after,
  });
  const renewal: Renewal = new Renewal({
    self,
    keyring,
    links,
    addressesOf,
    dialAgain: (address, peer) => doors.dial(address, peer, true),
    after,
    restoreGossip: (peer) => gossip.restore(peer, links.linesOf(peer)),
  });
  const { peersMax } = doors;
  const connectedPeers = new ConnectedPeers({ links, book, denyList, counters, log, peersMax });
  const upkeep = new Upkeep({
    links,
    gossip,
    renewal,
    keyring,
    counters,
    ping: (line) => reception.ping(line),
    now: () => clock.now().mono,
    after,
  });
  denyList.onFound = (peer, address) => dialler.identified(address, peer);
  denyList.onTurnedAway = (by, proof) => doors.events()?.turnedAway(by, proof);
  return {
    book,
    gossip,
    links,
    dialler,
    directory,
    reception,
    renewal,
    upkeep,
    incompatible,
    connectedPeers,
  };
}
