/**
 * How many new writers (Yjs clients) an update from a neighbour may bring into the job table. Each writer stays in the table for
 * ever and makes its state vectors longer, so a neighbour that kept inventing new ones would in the end stop every sync.
 */
import type { Now } from "../../ports.ts";
import type { Applied, JobTable } from "../../table/table.ts";

/**
 * Clients whose edits a table may hold. Formula: a peer writes as one client, and takes a new client id when edits of its last
 * life may be lost, so a mesh of 50 peers that are all restored from old copies every day reaches the limit in 14 years. More
 * makes state vectors longer (about 7 bytes per client); less stops a long-lived mesh.
 */
const clientsMax = 262_144;
/** New clients that one neighbour may bring per day, once this peer has taken in a whole table. A member needs a few. */
const newClientsPerDay = 1_000;
const dayMs = 86_400_000;

/** How many new clients one neighbour has brought since `sinceMono`. */
export interface BroughtClients {
  count: number;
  sinceMono: number;
}

/** For the first table of a life, which may bring as many clients as a table can hold. */
export function applyWhole(table: JobTable, update: Uint8Array): Applied {
  return table.apply(update, clientsMax - table.clientCount());
}

/** For everything later: a neighbour may bring only a few clients per day. */
export function applyWithin(
  table: JobTable,
  update: Uint8Array,
  brought: BroughtClients | undefined,
  now: Now,
): Applied {
  const before = table.clientCount();
  if (brought !== undefined && now.mono - brought.sinceMono >= dayMs) {
    brought.count = 0;
    brought.sinceMono = now.mono;
  }
  const rest = newClientsPerDay - (brought?.count ?? 0);
  const applied = table.apply(update, Math.min(rest, clientsMax - before));
  if (brought !== undefined) brought.count += table.clientCount() - before;
  return applied;
}
