/**
 * The parts of a living peer, put together once its data folder has been read: what stores, fetches, hands on and hears
 * that which core does not decide, and by whom each of them reaches the others. It holds no state of its own.
 */
import type { EventBody } from "../core/events.ts";
import { isPossiblyStale } from "../core/orders/runs.ts";
import type { State } from "../core/state.ts";
import { knownMembers, livingOthers, retentionOf, watermarksOf } from "../core/view.ts";
import type { Doors } from "../ports.ts";
import type { JobTable } from "../table/table.ts";
import type { Booted } from "./boot.ts";
import { Edits } from "./edits.ts";
import { KeyRotation } from "./key-rotation.ts";
import { Receiver } from "./receiver.ts";
import { Retention } from "./retention.ts";
import { LogCopies } from "./log-copies.ts";
import { Logs, type OutputDeps } from "./logs.ts";
import type { StaleRecords } from "./stale-records.ts";
import { Sync } from "./sync.ts";
import { exchangeWindowMs } from "./sync-records.ts";
import type { Sender } from "./sender.ts";

export interface Assembly {
  table: JobTable;
  sync: Sync;
  logs: Logs;
  copies: LogCopies;
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
  /** What core knows, once it is there. */
  const ofState = <Fact>(read: (known: Readonly<State>) => Fact): Fact | undefined => {
    const known = state();
    return known === undefined ? undefined : read(known);
  };
  const sync = new Sync({
    table,
    disk: doors.disk,
    random: doors.random,
    // After a longer absence the others are asked for all of it.
    oldest: ({ wall }) => Math.min(wall - exchangeWindowMs, booted.lastAlive ?? wall),
    send: (to, message) => voice.send(to, "sync", message),
    onUpdate: (update) => edits.taken(update),
    onRecords: (records, orders) => hearing.learned(records, orders),
    now: () => doors.clock.now(),
    watermarks: () => ofState(watermarksOf) ?? [],
    onWatermarks: (watermarks) => recall.after(() => feed({ kind: "watermarks", watermarks })),
    onSynced: (peer) => recall.after(() => feed({ kind: "synced", peer })),
    count,
    log: doors.log,
  });
  const { executor } = doors;
  const outputDeps: OutputDeps = {
    clock: doors.clock,
    send: (to, message) => voice.send(to, "log", message),
    living: () => ofState(livingOthers) ?? [],
    count,
  };
  const logs = new Logs({ ...outputDeps, executor });
  const copies = new LogCopies({ ...outputDeps, executor });
  const keeper = new Retention(doors, (job) => ofState((known) => retentionOf(known, job)));
  const edits: Edits = new Edits({
    doors,
    booted,
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
    members: () => ofState(knownMembers) ?? [],
    send: (to, message) => voice.send(to, "key", message),
    count,
  });
  const hearing: Receiver = new Receiver({
    doors,
    recall,
    handlers: { sync, logs, copies, edits, handover },
    isPossiblyStale: (record) => ofState((known) => isPossiblyStale(known, record)) ?? false,
    feed,
    count,
  });
  return { table, sync, logs, copies, keeper, edits, handover, hearing };
}
