/** What every page needs: the peers of the mesh, its splits, and how many jobs are in which state. */
import { effect, signal } from "@preact/signals";
import { isLoggedIn } from "./ask.ts";
import type { Peer, Split, Summary } from "./types.ts";
import { watch, type Watch } from "./watch.ts";

export interface MeshPeer extends Peer {
  /** the address of its page, as far as it can be known; null = unknown */
  page: string | null;
}
export interface Roster {
  epoch: number;
  voters: string[];
  from: string;
  forced: { epoch: number; by: string }[];
}

export const mesh = signal<{ items: MeshPeer[]; roster: Roster | null } | undefined>(undefined);
/** that this peer has seen, newest first */
export const splits = signal<Split[]>([]);
export const summary = signal<Summary | undefined>(undefined);

let peers: Watch | undefined;

/** Something that a peer was asked to do, such as a drain, causes no event. */
export function readPeersAgain(): void {
  peers?.soon();
}

export function followMesh(): void {
  effect(() => {
    if (isLoggedIn.value !== true) {
      // The next login may be that of another person, who sees less.
      mesh.value = undefined;
      splits.value = [];
      summary.value = undefined;
      return undefined;
    }
    let before = "";
    let splitsBefore = "";
    peers = watch<{ items: Peer[]; roster: Roster | null }>(
      "/v1/peers",
      { on: ["peer"], pollMs: 5_000 },
      ({ body: { items, roster } }) => (mesh.value = { items: withPages(items), roster }),
    );
    const watches = [
      peers,
      watch<{ items: Split[] }>("/v1/splits", { on: ["peer"] }, ({ body, text }) => {
        if (text !== splitsBefore) splits.value = body.items;
        splitsBefore = text;
      }),
      watch<Summary>("/v1/summary", { on: ["run", "job", "peer"], everyMs: 2_000 }, ({ body, text }) => {
        if (text !== before) summary.value = body;
        before = text;
      }),
    ];
    return () => watches.forEach((one) => one.stop());
  });
}

/**
 * A peer tells others only its mesh address. The port of its page is guessed from the distance between this peer's page port and
 * mesh port, which is the same everywhere unless a person has chosen otherwise.
 */
function withPages(items: readonly Peer[]): MeshPeer[] {
  const own = items
    .find(({ self }) => self)
    ?.addresses.map(partsOf)
    .find(Boolean);
  const pagePort = Number(location.port || (location.protocol === "https:" ? 443 : 80));
  return items.map((peer) => ({
    ...peer,
    page: peer.self ? location.origin : pageOf(peer, own?.port, pagePort),
  }));
}

function pageOf({ addresses }: Peer, ownPort: number | undefined, pagePort: number): string | null {
  const all = addresses.flatMap((address) => partsOf(address) ?? []);
  const isLocal = isLoopback(location.hostname);
  const found = all.find(({ host }) => isLoopback(host) === isLocal) ?? all[0];
  if (found === undefined || ownPort === undefined || isLoopback(found.host) !== isLocal) return null;
  const port = found.port - (ownPort - pagePort);
  if (port < 1 || port > 65_535) return null;
  const host = isLocal ? location.hostname : found.host;
  return `${location.protocol}//${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
}

function partsOf(address: string): { host: string; port: number } | undefined {
  const [, , host = "", transport, port] = address.split("/");
  return transport === "tcp" && port !== undefined ? { host, port: Number(port) } : undefined;
}

function isLoopback(host: string): boolean {
  return host.startsWith("127.") || host === "localhost" || host === "::1" || host === "[::1]";
}
