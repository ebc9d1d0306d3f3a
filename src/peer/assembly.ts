/**
 * The parts of a living peer, put together once its data folder has been read: what stores, fetches, hands on and hears
 * that which core does not decide, and by whom each of them reaches the others. It holds no state of its own.
 */
import type { EventBody } from "../core/events.ts";
import { livingMembers } from "../core/members/members.ts";
import type { State } from "../core/state.ts";
import type { Doors } from "../ports.ts";
import type { PeerId } from "../schema/ids.ts";
import type { JobTable } from "../table/table.ts";
import type { Booted } from "./boot.ts";
import { Edits } from "./edits.ts";
import { KeyRotation, type KnownMember } from "./key-rotation.ts";
import { Receiver } from "./receiver.ts";
import { Retention } from "./retention.ts";
import { Logs } from "./logs.ts";
import type { StaleRecords } from "./stale-records.ts";
import { Sync } from "./sync.ts";
import { exchangeWindowMs } from "./sync-records.ts";
import type { Sender } from "./sender.ts";

export interface Assembly {
  table: JobTable;
  sync: Sync;
  logs: Logs;
  keeper: Retention;
  edits: Edits;
  handover: KeyRotation;
  hearing: Receiver;
}

export interface LivingDeps {
  doors: Doors;
  booted: Booted;
  voice: Sender;
  recall: StaleRecords;
  state: () => Readonly<State> | undefined;
  feed: (event: EventBody) => void;
  /** The table holds something new. */
  tableChanged: () => void;
  count: (name: string) => void;
}

export function assemble(deps: LivingDeps): Assembly {
  const { doors, booted, voice, recall, state, feed, count } = deps;
  const { table } = booted;
  const { self } = doors.keys;
  const sync = new Sync({
    table,
    disk: doors.disk,
    random: doors.random,
    // After a longer absence the others are asked for all of it.
    oldest: ({ wall }) => Math.min(wall - exchangeWindowMs, booted.lastAlive ?? wall),
    send: (to, message) => voice.send(to, "sync", message),
    onUpdate: (update) => edits.taken(update),
    onRecords: (records, orders) => hearing.learned(records, orders),
    onSynced: (peer) => recall.after(() => feed({ kind: "synced", peer })),
    count,
    log: doors.log,
  });
  const logs = new Logs({
    self,
    clock: doors.clock,
    executor: doors.executor,
    send: (to, message) => voice.send(to, "log", message),
    living: () => others(state()),
    count,
  });
  const keeper = new Retention(doors, table, booted);
  const edits: Edits = new Edits({
    doors,
    table,
    keeper,
    sync,
    voice,
    onChange: deps.tableChanged,
    count,
  });
  const handover = new KeyRotation({
    self,
    keyring: doors.keyring,
    clock: doors.clock,
    log: doors.log,
    members: () => members(state()),
    send: (to, message) => voice.send(to, "key", message),
    count,
  });
  const hearing: Receiver = new Receiver({
    doors,
    recall,
    handlers: { sync, logs, edits, handover },
    state,
    feed,
    count,
  });
  return { table, sync, logs, keeper, edits, handover, hearing };
}

/** Every other member that is known, whatever its state. */
function members(state: Readonly<State> | undefined): KnownMember[] {
  return [...(state?.members.byId.values() ?? [])].map(({ id, linked, heartbeat }) => ({
    id,
    name: heartbeat?.name ?? id.slice(-8),
    linked,
  }));
}

/** Every other member that is alive. */
export function others(state: Readonly<State> | undefined): PeerId[] {
  return state === undefined ? [] : livingMembers(state).filter((peer) => peer !== state.settings.self);
}
