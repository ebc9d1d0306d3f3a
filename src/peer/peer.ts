/**
 * One peer: takes events from the doors, lets core decide, and carries the effects out. It holds the state and the branches;
 * what it calls either computes or touches the world, never both.
 *
 * Events are handled one after the other: an event that an effect causes (an edit changes the table) waits until the effects
 * before it are done. So core sees one event at a time, in one order, in the real and in the simulated world. assembly.ts puts
 * together the parts for the rest: sync, logs, edits, keys, retention.
 */
import type { Effect, EventBody } from "../core/events.ts";
import { changesOthers, isBusy, livingOthers } from "../core/view.ts";
import { isAlone } from "../core/members/superseded-key.ts";
import { createState, type State } from "../core/state.ts";
import { leapOver, step } from "../core/step.ts";
import { assert, CicadaError, never } from "../errors.ts";
import type { Cancel, Doors, LogFields } from "../ports.ts";
import type { Command } from "../ports/command.ts";
import type { AuditEntry } from "../schema/audit.ts";
import type { PeerEvent } from "../ports/control.ts";
import { inParts } from "../schema/message.ts";
import type { RunRecord } from "../schema/run.ts";
import { readStatement } from "../wire/membership.ts";
import { wireCodec } from "../wire/codec.ts";
import type { Job } from "../schema/job.ts";
import { AskedCommands, noteFirst, type Answered } from "./asked.ts";
import { boot, loadedEvent, type Booted } from "./boot.ts";
import { assemble, type Assembly } from "./assembly.ts";
import { lookUp, readEnds } from "./history/lookup.ts";
import { Outbox } from "./messages/outbox.ts";
import { requestRotation, type RotationDeps } from "./rotation-request.ts";
import { WakeUp } from "./wake-up.ts";
import { StaleRecords } from "./history/stale-records.ts";
import { TableWatch } from "./table-watch.ts";
import { Writer } from "./history/writer.ts";
import { Sender } from "./messages/sender.ts";
import { coreSettings, type PeerSettings } from "./settings.ts";
import { PeerStatus } from "./status.ts";

/** Rare and important counters. They exist from the start, so that a graph begins at 0 and not with the first count. */
const zeros = {
  ticks_missed: 0,
  ticks_no_quorum: 0,
  runs_lost: 0,
  votes_promised: 0,
  votes_accepted: 0,
} as const;

/** Between the farewell and the end of the mesh, so that the farewell is sent. */
const farewellMs = 150;

export class Peer {
  readonly #doors: Doors;
  readonly #settings: PeerSettings;
  readonly #sender: Sender;
  readonly #outbox: Outbox;
  readonly #writer: Writer;
  readonly #staleRecords: StaleRecords;
  readonly #wakeUp: WakeUp;
  readonly #listeners = new Set<(event: PeerEvent) => void>();
  readonly #asked = new AskedCommands();
  readonly #counters: Record<string, number> = { ...zeros };
  readonly status: PeerStatus;
  readonly #inbox: EventBody[] = [];
  /** core's, read through core/view.ts */
  #state: State | undefined;
  #incarnation: number | undefined;
  #assembly: Assembly | undefined;
  #working = false;
  #stopped = false;
  #whenIdle: (() => void) | undefined;

  constructor(doors: Doors, settings: PeerSettings) {
    this.#doors = doors;
    this.#settings = settings;
    this.status = new PeerStatus(doors.clock, this.#counters);
    this.#sender = new Sender(doors, settings.testing?.codec ?? wireCodec, (what) => this.#count(what));
    this.#outbox = new Outbox(doors.clock, (batch) => this.#sender.publish("runs", batch));
    this.#writer = new Writer(doors, {
      stored: (token = 0, failed) => this.#feed({ kind: "stored", token, failed }),
      resend: (records) => this.#resend(records),
    });
    this.#staleRecords = new StaleRecords(doors.disk, this.#writer);
    this.#wakeUp = new WakeUp(doors.clock, () => this.#woke());
  }

  /** Reads the data folder and joins the mesh. `ready` gets an error when the folder can't be used. */
  start(ready: (error?: CicadaError) => void): void {
    this.#doors.executor.start({
      childStarted: (run, at) => this.#feed({ kind: "childStarted", run, at }),
      childStuck: (run, reason) => this.#feed({ kind: "childStuck", run, reason }),
      childEnded: (run, outcome, at) => {
        if (outcome.kind === "not-started") {
          this.#assembly?.scripts.checkOf(run);
          // The file of a secret may be gone.
          this.#assembly?.secrets.begin();
        }
        this.#feed({ kind: "childEnded", run, outcome, at });
      },
    });
    boot(this.#doors, this.#settings, (booted) => {
      if (this.#stopped) return;
      if (booted instanceof CicadaError) return ready(booted);
      this.#live(booted);
      ready();
    });
  }

  #live({ loaded, ...booted }: Booted): void {
    const { doors } = this;
    const { historyMaxBytes, testing } = this.#settings;
    const { onLive, codec = wireCodec } = testing ?? {};
    this.#incarnation = booted.incarnation;
    this.#state = createState(coreSettings(doors.keys, this.#settings, booted.incarnation));
    this.#assembly = assemble({
      doors,
      booted,
      horizons: loaded.horizons,
      storedUpdates: loaded.updates.length,
      sender: this.#sender,
      staleRecords: this.#staleRecords,
      state: this.#state,
      historyMaxBytes,
      codec,
      feed: (event) => this.#feed(event),
      tableChanged: () => watch.changed(),
      command: (command, answer, entries) => this.command(command, answer, entries),
      count: (what) => this.#count(what),
      gossipOther: (record) => this.#outbox.other(record),
    });
    const watch = new TableWatch({
      parts: this.#assembly,
      clock: doors.clock,
      feed: (event) => this.#feed(event),
      notify: (event) => this.#notify(event),
    });
    this.status.booted({ state: this.#state, assembly: this.#assembly });
    const { table, edits, scripts, secrets, sync, keyRotation, workShares, notices, meshNotices } =
      this.#assembly;
    onLive?.({
      state: this.#state,
      table,
      takeEdit: (update) => {
        if (table.apply(update) === "changed") edits.taken(update);
      },
    });
    doors.mesh.start({
      linkUp: (peer) => {
        sync.linkUp(peer, doors.clock.now());
        this.#feed({ kind: "linkUp", peer });
        keyRotation.linkUp(peer);
      },
      linkDown: (peer, why) => {
        sync.linkDown(peer);
        workShares.linkDown(peer);
        this.#feed({ kind: "linkDown", peer, why });
      },
      redialRefused: (peer, times) => this.#feed({ kind: "redialRefused", peer, times }),
      turnedAway: (by, proof) => this.#feed({ kind: "turnedAway", by, statement: readStatement(proof) }),
      keySuperseded: (by) => this.#feed({ kind: "keySuperseded", by, key: doors.keyring.fingerprint() }),
      received: (from, channel, bytes, by = from) => {
        if (!this.#stopped) workShares.received(from, channel, bytes, by !== from);
      },
    });
    table.takeChanges();
    this.#feed(loadedEvent(doors, { ...booted, loaded }));
    scripts.begin();
    secrets.begin();
    notices.resume();
    meshNotices.resume();
  }

  get doors(): Doors {
    return this.#doors;
  }

  // ------------------------------------------------------------------------------------------- events

  #feed(event: EventBody): void {
    this.#inbox.push(event);
    if (this.#working || this.#state === undefined) return;
    this.#working = true;
    try {
      for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) {
        for (const effect of step(this.#state, Object.assign(next, { now: this.#doors.clock.now() })))
          this.#carryOut(effect);
      }
    } finally {
      this.#working = false;
    }
    if (this.#whenIdle !== undefined && !isBusy(this.#state)) this.#whenIdle();
  }

  /** The parts other than core, once the data folder has been read. */
  get parts(): Assembly {
    assert(this.#assembly !== undefined, "the peer has not booted");
    return this.#assembly;
  }

  /** The job that core was working on when it threw. */
  get workingOn(): Job | undefined {
    const job = this.#state?.workingOn;
    return job === undefined ? undefined : this.#assembly?.table.jobs().get(job);
  }

  // ------------------------------------------------------------------------------------------ effects

  #carryOut(effect: Effect): void {
    const { executor } = this.#doors;
    switch (effect.kind) {
      case "wakeAt":
        if (!this.#stopped) this.#wakeUp.at(effect.mono);
        return;
      case "gossip":
        return this.#outbox.record(effect.record);
      case "decline":
        return this.#outbox.decline(effect.key);
      case "order":
        return this.#outbox.order(effect.order);
      case "cancel":
        return this.#outbox.cancel(effect.run, effect.by, effect.reason);
      case "send":
        this.#sender.send(effect.to, effect.protocol, effect.message);
        return;
      case "store":
        return this.#writer.store([...effect.writes, ...this.#asked.notesOf(effect)], effect.token);
      case "edit":
        return this.#edit(effect);
      case "refuse":
        return this.#doors.mesh.refuse(effect.peers);
      case "start":
        return executor.launch(effect.spec);
      case "stop":
        return executor.stop(effect.run);
      case "sweep":
        return executor.sweep(effect.runs);
      case "answer":
        return this.#asked.answer(effect);
      case "lookUp": {
        const { job, tick } = effect;
        return lookUp(this.#doors, effect, (records) => {
          const found = { job, records, pruned: this.parts.horizons.ownOf(job) };
          this.#feed(
            tick === undefined ? { kind: "lookedUp", ...found } : { kind: "tickLookedUp", tick, ...found },
          );
        });
      }
      case "readEnds": {
        const { job } = effect;
        return readEnds(this.#doors, effect, (records) => this.#feed({ kind: "endsRead", job, records }));
      }
      case "syncRecent":
        return this.parts.sync.wantRecent(effect.peer, this.#doors.clock.now(), effect);
      case "ended":
        return this.parts.copies.copy(effect.record);
      case "announce":
        return this.parts.notices.announce(effect.job, effect.tick);
      case "notify":
        if (effect.event.kind === "run") {
          this.parts.longRuns.moved(effect.event.record);
          this.parts.pings.moved(effect.event.record);
        }
        return this.#notify(effect.event);
      case "count":
        return this.#count(effect.name, effect.by);
      case "note":
        return this.#note(effect.level, effect.message, effect.fields);
      default:
        return never(effect);
    }
  }

  #notify(event: PeerEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Sends the records by streams, because gossip may have lost them. */
  #resend(records: readonly RunRecord[]): void {
    for (const some of inParts(records)) {
      for (const to of this.#state === undefined ? [] : livingOthers(this.#state)) {
        this.#sender.send(to, "ask", { kind: "answer", id: 0, records: some, goesFirst: [], settled: [] });
      }
    }
  }

  #woke(): void {
    if (this.#stopped) return;
    this.#feed({ kind: "woke" });
    const now = this.#doors.clock.now();
    const { sync, keyRotation, edits, retention, scripts, hostUsers, secrets } = this.parts;
    this.#writer.woke(now);
    for (const part of [sync, keyRotation, edits, retention]) part.woke(now);
    scripts.woke(now.mono);
    hostUsers.woke(now.mono);
    this.parts.meshNotices.woke(now);
    secrets.woke(now.mono);
  }

  #count(name: string, by = 1): void {
    this.#counters[name] = (this.#counters[name] ?? 0) + by;
  }

  #note(level: "debug" | "info" | "warn", message: string, fields: LogFields): void {
    this.#doors.log[level](message, fields);
  }

  // ------------------------------------------------------------------------------------ what is asked

  /**
   * Carries a command out. `answer` is called once: when the result is durable here, or when the command is refused.
   * `entries`: what the audit notes of the command if it is done (asked.ts).
   */
  command(command: Command, answer: Answered, entries: readonly AuditEntry[] = []): void {
    if (this.#state === undefined || this.#stopped) {
      const error = new CicadaError("NOT_READY", "the peer is starting or stopping");
      return answer({ kind: "refused", error }, false);
    }
    if (command.kind === "rotate-key") return this.#rotateKey(this.#state, command, answer, entries);
    if (entries.length > 0 && changesOthers(this.#state, this.#doors.clock.now(), command)) {
      return noteFirst(this.#doors, entries, () => this.command(command, (given) => answer(given, true)));
    }
    const token = this.#asked.enter(answer, entries);
    const inTable = command.kind === "delete-job" && this.parts.table.holds(command.id);
    this.#feed({ kind: "command", command, token, random: this.#doors.random.bytes(16), inTable });
  }

  #rotateKey(
    state: State,
    command: Extract<Command, { kind: "rotate-key" }>,
    answer: Answered,
    entries: readonly AuditEntry[],
  ): void {
    let isNoted = false;
    const deps: RotationDeps = {
      isAlone: () => isAlone(state),
      isSuperseded: () => state.members.supersededKey !== undefined,
      heirs: () => this.status.heirs(),
      forgotten: () => [...state.operator.forgotten.values()],
      begin: (begun) => {
        isNoted = true;
        noteFirst(this.#doors, entries, begun);
      },
      forget: (peer, by, forgotten) => this.command({ kind: "forget-peer", peer, by }, forgotten),
      rotate: (graceMs, by, rotated) => this.parts.keyRotation.rotate(graceMs, by, rotated),
    };
    requestRotation(command, deps, (rotated) => answer(rotated, isNoted));
  }

  #edit(effect: Extract<Effect, { kind: "edit" }>): void {
    const { edits, token } = effect;
    const stored = (error?: CicadaError): void => {
      if (error === undefined) this.parts.notices.edited(edits);
      if (error?.code === "TABLE_FULL") this.#feed({ kind: "tableFull", token, detail: error.detail });
      else this.#feed({ kind: "stored", token, failed: error !== undefined });
    };
    this.parts.edits.edit(edits, stored, this.#asked.notesOf(effect));
  }

  /** The simulator has moved the wall clock forward over a time in which there was nothing to do. */
  leapt(ms: number): void {
    if (this.#state !== undefined) leapOver(this.#state, ms);
    this.#assembly?.clockProof.wentOn(ms);
  }

  subscribe(listener: (event: PeerEvent) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Stops cleanly: takes no more ticks and says so, gives runs and elections `drainMs` to end, kills the others, and says goodbye.
   */
  stop(done: () => void): void {
    const { clock, executor } = this.#doors;
    this.#feed({ kind: "drain" });
    let closing = false;
    const close = (): void => {
      if (closing) return;
      closing = true;
      limit();
      executor.close(() => this.#leave(done));
    };
    const limit = clock.alarm(clock.now().mono + this.#settings.drainMs, close);
    if (this.#state === undefined || !isBusy(this.#state)) close();
    else this.#whenIdle = close;
  }

  #leave(done: () => void): void {
    const { clock, mesh, disk } = this.#doors;
    this.#outbox.flush();
    if (this.#incarnation !== undefined) {
      this.#sender.publish("members", { kind: "leave", incarnation: this.#incarnation });
      this.#writer.noteAlive(clock.now());
    }
    clock.alarm(clock.now().mono + farewellMs, () => {
      this.#stopped = true;
      this.#sender.silence();
      this.#wakeUp.cancel();
      this.#assembly?.workShares.stop();
      mesh.stop(() => disk.close(done));
    });
  }
}
