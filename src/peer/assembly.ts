/**
 * Puts together the parts of a running peer other than core, once its data folder has been read: the parts that store, fetch,
 * receive and forward what core doesn't decide about. Each part knows only the parts that are made before it.
 */
import type { EventBody } from "../core/events.ts";
import { meshSight } from "../core/operator/mesh-sight.ts";
import { isPossiblyStale, isTickAhead, remembersRun } from "../core/orders/runs.ts";
import type { State } from "../core/state.ts";
import {
  hasWarmedUp,
  isOpenBefore,
  jobsInProgress,
  isOpen,
  mayPlan,
  knownMembers,
  livingOthers,
  nameOfPeer,
  openSince,
  retentionOf,
  watermarksOf,
} from "../core/view.ts";
import type { Doors } from "../ports.ts";
import type { Command } from "../ports/command.ts";
import type { AuditEntry } from "../schema/audit.ts";
import { noteFirst, type Answered } from "./asked.ts";
import type { JobId, PeerId } from "../schema/ids.ts";
import type { Job } from "../schema/job.ts";
import type { OtherRecord } from "../schema/other-record.ts";
import type { Message, Protocol } from "../schema/message.ts";
import { channelsRoot } from "../table/roots.ts";
import type { JobTable } from "../table/table.ts";
import type { Codec } from "../wire/codec.ts";
import type { Booted } from "./boot.ts";
import { Edits } from "./edits.ts";
import { Horizons } from "./history/horizons.ts";
import { Intake } from "./history/intake.ts";
import { KeyRotation } from "./key-rotation.ts";
import { LogCopies } from "./outputs/log-copies.ts";
import { isAble } from "../core/members/capabilities.ts";
import { AuditReader } from "./audit.ts";
import { isRunStored, Logs, type OutputDeps } from "./outputs/logs.ts";
import { LongRuns } from "./notices/long-runs.ts";
import { MeshNotices } from "./notices/mesh-notices.ts";
import { NoticeSender } from "./notices/notice-sender.ts";
import { Notices } from "./notices/notices.ts";
import { Pings } from "./notices/pings.ts";
import { Receiver } from "./receiver.ts";
import { ClockProof } from "../core/time/clock-proof.ts";
import { Retention } from "./history/retention.ts";
import type { Sender } from "./messages/sender.ts";
import type { StaleRecords } from "./history/stale-records.ts";
import { HostUsers } from "./host/host-users.ts";
import { NamedItems } from "./host/named-items.ts";
import { ScriptStore } from "./host/scripts.ts";
import { SecretStore } from "./host/secrets.ts";
import { Sync } from "./sync/sync.ts";
import { exchangeWindowMs } from "./sync/sync-records.ts";
import { stepsOfMessage, WorkShares } from "./messages/work-shares.ts";

export interface Assembly {
  table: JobTable;
  edits: Edits;
  sync: Sync;
  horizons: Horizons;
  clockProof: ClockProof;
  retention: Retention;
  logs: Logs;
  audit: AuditReader;
  copies: LogCopies;
  scripts: ScriptStore;
  hostUsers: HostUsers;
  namedItems: NamedItems;
  secrets: SecretStore;
  keyRotation: KeyRotation;
  workShares: WorkShares;
  noticeSender: NoticeSender;
  notices: Notices;
  meshNotices: MeshNotices;
  longRuns: LongRuns;
  pings: Pings;
}

export interface AssemblyDeps {
  doors: Doors;
  /** Without what was loaded: with 100,000 jobs that is 80 MB, of which little is needed once core has taken it in. */
  booted: Omit<Booted, "loaded">;
  /** as they were loaded */
  horizons: Booted["loaded"]["horizons"];
  /** how many updates of the table were loaded */
  storedUpdates: number;
  sender: Sender;
  staleRecords: StaleRecords;
  /** Read through core/view.ts only. */
  state: Readonly<State>;
  historyMaxBytes: number;
  codec: Codec;
  feed: (event: EventBody) => void;
  command: (command: Command, answer: Answered, entries?: readonly AuditEntry[]) => void;
  /** called when the table has changed */
  tableChanged: () => void;
  count: (name: string) => void;
  /** Puts a record of another kind than a run's into the next batch. */
  gossipOther: (record: OtherRecord) => void;
}

/** Sends a message that is part of the neighbour's share. */
type Send = (to: PeerId, protocol: Protocol, message: Message) => void;

export function assemble(deps: AssemblyDeps): Assembly {
  const { doors, booted, sender, staleRecords, state, feed, count } = deps;
  const { table } = booted;
  const { clock, executor } = doors;
  const { settings } = state;
  // What is sent to a neighbour in answer to its questions is part of its share.
  const workShares = new WorkShares({ clock, take: (...message) => receiver.received(...message), count });
  const send: Send = (to, protocol, message) => {
    workShares.charge(to, stepsOfMessage(sender.send(to, protocol, message)));
  };
  const charge = (peer: PeerId, steps: number): void => workShares.charge(peer, steps);
  const horizons = new Horizons({
    settings,
    stored: deps.horizons,
    exchangeWindowMs,
    now: () => clock.now(),
    send: (to, message) => send(to, "sync", message),
    onPrunedElsewhere: (job, before) => closePruned(job, before),
  });
  const closePruned = (job: JobId, before: number): void => {
    if (isOpenBefore(state, job, before)) feed({ kind: "prunedElsewhere", job, before });
  };
  const intake = new Intake({
    settings,
    doors,
    staleRecords,
    horizons,
    isOpen: (record) => isOpen(state, record),
    isPossiblyStale: (record) => isPossiblyStale(state, record),
    isAhead: (tick) => isTickAhead(state, tick),
    feed,
    onOthers: (records) => {
      announcers.notices.heard(records);
      announcers.meshNotices.heard(records);
    },
    count,
  });
  const edits = new Edits({
    doors,
    table,
    storedUpdates: deps.storedUpdates,
    sender,
    onChange: deps.tableChanged,
  });
  const sync = new Sync({
    table,
    disk: doors.disk,
    random: doors.random,
    horizons,
    // After an absence that was longer than the window, records of the whole absence are compared.
    oldest: ({ wall }) => Math.min(wall - exchangeWindowMs, booted.lastAlive ?? wall),
    now: () => clock.now(),
    send: (to, message) => send(to, "sync", message),
    charge,
    onUpdate: (update) => edits.taken(update),
    onHave: (peer) => edits.heardTableOf(peer),
    onRecords: (things) => intake.learned(things),
    watermarks: () => watermarksOf(state),
    onWatermarks: (peer, watermarks) =>
      staleRecords.after(() => feed({ kind: "watermarks", peer, watermarks })),
    onSynced: (peer) => staleRecords.after(() => feed({ kind: "synced", peer })),
    count,
    log: doors.log,
  });
  const clockProof = new ClockProof(booted.proofLeftMs, booted.lastAlive);
  const retention = new Retention({
    doors,
    horizons,
    lastRound: booted.prunedAt,
    clockProof,
    historyMaxBytes: deps.historyMaxBytes,
    keepOf: (job) => retentionOf(state, job),
    isInTable: (job) => table.holds(job),
    mayPrune: () => mayPlan(state),
    hasWarmedUp: () => hasWarmedUp(state),
    openSince: (job) => openSince(state, job),
    // Some of it may have become known after the neighbours' horizons.
    onRound: () => {
      for (const job of jobsInProgress(state)) closePruned(job, horizons.elsewhere(job));
    },
    count,
  });
  const logs = new Logs({ ...outputDeps(deps), send: (to, message) => send(to, "log", message), executor });
  const audit = new AuditReader({
    self: doors.keys.self,
    clock,
    disk: doors.disk,
    send: (to, message) => send(to, "log", message),
    others: () => livingOthers(state).filter((peer) => isAble(state, peer, "audit")),
    count,
  });
  const copies = new LogCopies({
    ...outputDeps(deps),
    executor,
    charge,
    remembersRun: (run, peer) => remembersRun(state, run, peer),
    isRunStored: (run, peer, done) => isRunStored(doors.disk, run, peer, done),
  });
  const host = assembleHost(deps, send);
  const keyRotation = new KeyRotation({
    self: doors.keys.self,
    keyring: doors.keyring,
    clock,
    log: doors.log,
    members: () => knownMembers(state),
    send: (to, message) => sender.send(to, "key", message),
    count,
    changed: () => feed({ kind: "keyChanged" }),
  });
  const announcers = assembleAnnouncers(deps);
  const receiver: Receiver = new Receiver({
    doors,
    codec: deps.codec,
    intake,
    sync,
    logs,
    audit,
    copies,
    scripts: host.scripts,
    keyRotation,
    charge,
    feed,
    count,
  });
  return {
    table,
    edits,
    sync,
    horizons,
    clockProof,
    retention,
    logs,
    audit,
    copies,
    keyRotation,
    workShares,
    ...host,
    ...announcers,
  };
}

function outputDeps({ doors, sender, state, count }: AssemblyDeps): OutputDeps {
  return {
    clock: doors.clock,
    send: (to, message) => sender.send(to, "log", message),
    living: () => livingOthers(state),
    count,
  };
}

/** What this host has for the jobs, and lacks. */
type HostParts = Pick<Assembly, "hostUsers" | "namedItems" | "scripts" | "secrets">;

function assembleHost(deps: AssemblyDeps, send: Send): HostParts {
  const { doors, state, feed, count } = deps;
  const { table } = deps.booted;
  const equipment = {
    lacksScripts: [] as readonly string[],
    lacksUsers: [] as readonly string[],
    has: [] as readonly string[],
  };
  const found = (some: Partial<typeof equipment>): void => {
    Object.assign(equipment, some);
    const { lacksScripts, lacksUsers, has } = equipment;
    feed({ kind: "equipment", lacks: [...lacksUsers, ...lacksScripts], has });
  };
  const hostUsers = new HostUsers(
    { door: doors.scripts, found: (lacksUsers, has) => found({ lacksUsers, has }) },
    table.jobs().values(),
  );
  const scripts = new ScriptStore(
    {
      door: doors.scripts,
      clock: doors.clock,
      send: (to, message) => send(to, "blob", message),
      living: () => livingOthers(state),
      lacks: (lacksScripts) => found({ lacksScripts }),
      count,
      note: (entries, done) => noteFirst(doors, entries, done),
    },
    table.jobs().values(),
  );
  const namedItems = new NamedItems(table.jobs().values());
  return { hostUsers, namedItems, scripts, secrets: assembleSecrets(deps) };
}

function assembleSecrets({ doors, booted: { table }, feed, command }: AssemblyDeps): SecretStore {
  return new SecretStore({
    door: doors.secrets,
    clock: doors.clock,
    sealed: () => table.values("secrets"),
    held: ({ own, unopened }) => feed({ kind: "secrets", held: { own: Object.fromEntries(own), unopened } }),
    note: (entries, done) => noteFirst(doors, entries, done),
    write: ({ name, value, by, entries }, done) => {
      const setting = "secrets";
      const change: Command =
        value === null
          ? { kind: "remove-setting", setting, name, by }
          : { kind: "put-setting", setting, name, value, by };
      command(change, (answer) => done(answer.kind === "refused" ? answer.error : undefined), entries);
    },
  });
}

/** What notifies people and services. */
type Announcers = Pick<Assembly, "noticeSender" | "notices" | "meshNotices" | "longRuns" | "pings">;

function assembleAnnouncers({
  doors,
  booted: { table },
  state,
  gossipOther,
  count,
}: AssemblyDeps): Announcers {
  const { self } = doors.keys;
  const jobOf = (id: JobId): Job | undefined => table.jobs().get(id);
  const channels = () => table.values(channelsRoot.name);
  const aboutPeers = {
    nameOf: (peer: PeerId) => nameOfPeer(state, peer),
    isAlive: (peer: PeerId) => livingOthers(state).includes(peer),
  };
  const noticeSender = new NoticeSender({
    doors,
    channelOf: (name) => channels().get(name),
    gossip: gossipOther,
    count,
  });
  const notices = new Notices({ doors, sender: noticeSender, jobOf, ...aboutPeers, count });
  const meshNotices = new MeshNotices({
    doors,
    sender: noticeSender,
    channels,
    sight: () => meshSight(state, doors.clock.now()),
    jobs: () => table.jobs(),
    ...aboutPeers,
  });
  const longRuns = new LongRuns({
    self,
    doors,
    jobOf,
    isLong: (job, tick) => notices.notifyLong(job, tick),
  });
  const pings = new Pings({ self, doors, jobOf, count });
  return { noticeSender, notices, meshNotices, longRuns, pings };
}
