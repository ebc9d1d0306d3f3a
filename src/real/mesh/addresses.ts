/**
 * Addresses of peers: how people write them, how libp2p writes them, and which to try first.
 *
 * Inside the mesh an address is a multiaddr over TCP without a peer id (`/ip4/10.0.0.5/tcp/7401`); the id is kept
 * beside it. People may also write `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
 */
import { isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { CicadaError } from "../../errors.ts";
import type { PeerId } from "../../schema/ids.ts";

const defaultPort = 7401;

export interface NamedAddress {
  address: string;
  /** when the address names its peer */
  peer: PeerId | undefined;
}

/** Reads an address that a person wrote. Throws USAGE if it is not the address of a peer. */
export function parseAddress(text: string): NamedAddress {
  const bad = (why: string) =>
    new CicadaError("USAGE", `${JSON.stringify(text)} is not the address of a peer: ${why}`);
  if (text.startsWith("/")) {
    const named = splitAddress(text);
    if (named === undefined) throw bad("write it as /ip4/10.0.0.5/tcp/7401 or HOST:PORT");
    return named;
  }
  const [, bracketed, bare, portText] = /^(?:\[([^\]]+)\]|([^:[\]\s]+))(?::(\d+))?$/.exec(text) ?? [];
  const host = isIPv6(text) ? text : (bracketed ?? bare);
  if (host === undefined) throw bad("write it as HOST, HOST:PORT or [IPV6]:PORT");
  const port = portText === undefined || isIPv6(text) ? defaultPort : Number(portText);
  if (port < 1 || port > 65_535) throw bad("a port is a number from 1 to 65535");
  if (bracketed !== undefined && !isIPv6(bracketed)) throw bad("only an IPv6 address goes in brackets");
  if (isIPv4(host)) return { address: `/ip4/${host}/tcp/${port}`, peer: undefined };
  if (isIPv6(host)) return { address: multiaddr(`/ip6/${host}/tcp/${port}`).toString(), peer: undefined };
  if (!/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?$/i.test(host)) throw bad("that is not a host name");
  return { address: `/dns/${host}/tcp/${port}`, peer: undefined };
}

/** Splits a multiaddr with or without `/p2p/ID` into address and id; undefined if it can't be dialled. */
export function splitAddress(text: string): NamedAddress | undefined {
  const [address, peer, ...more] = text.split("/p2p/");
  if (address === undefined || more.length > 0 || !isDialable(address)) return undefined;
  // The address is written as libp2p writes it, so that equal addresses are equal texts.
  const written = multiaddr(address).toString();
  if (peer === undefined) return { address: written, peer };
  return isPeerId(peer) ? { address: written, peer } : undefined;
}

export function joinAddress(address: string, peer: PeerId): string {
  return `${address}/p2p/${peer}`;
}

export function withoutPeer(address: string): string {
  return address.split("/p2p/")[0] ?? address;
}

/** True for the id of an Ed25519 peer, the only kind that cicada has. */
export function isPeerId(text: unknown): text is PeerId {
  if (typeof text !== "string" || text.length > 128) return false;
  try {
    return peerIdFromString(text).type === "Ed25519";
  } catch {
    return false;
  }
}

const hostKinds: ReadonlySet<string> = new Set(["ip4", "ip6", "dns", "dns4", "dns6"]);

/** True for a multiaddr of exactly a host and a TCP port other than 0. */
export function isDialable(address: string): boolean {
  try {
    const [host, port, ...more] = multiaddr(address).getComponents();
    if (host === undefined || port === undefined || more.length > 0) return false;
    return hostKinds.has(host.name) && port.name === "tcp" && port.value !== "0";
  } catch {
    return false;
  }
}

export function hostOf(address: string): string | undefined {
  return address.split("/")[2];
}

function isLoopback(address: string): boolean {
  return /^\/(ip4\/127\.|ip6\/::1\/|dns[46]?\/localhost\/)/.test(address);
}

/**
 * Sorts addresses for dialling. Loopback comes last, because it usually leads back to this peer; but it comes first if
 * the other peer is known to run on this host.
 */
export function sortForDialling(addresses: readonly string[]): string[] {
  const ownHosts = new Set(
    Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)),
  );
  const isNeighbour = addresses.some(
    (address) => !isLoopback(address) && ownHosts.has(hostOf(address) ?? ""),
  );
  const loopback = addresses.filter((address) => isLoopback(address));
  const others = addresses.filter((address) => !isLoopback(address));
  return isNeighbour ? [...loopback, ...others] : [...others, ...loopback];
}
