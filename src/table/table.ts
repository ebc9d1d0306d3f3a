/**
 * The job table: a Yjs document inside, plain jobs outside (DESIGN §4). Every peer holds one; peers that have taken
 * in the same edits, in any order and any number of times, hold the same jobs.
 *
 * The document maps incarnations (ULIDs) to maps of slots and pauses (slots.ts), and under a second root the ids of
 * forgotten peers to who forgot them and when. Each slot has one writer, so the
 * higher (hlc, peer) wins and not, as in Yjs alone, the higher client id. What happens per tick, heartbeat or run
 * never comes in here: a deleted id is remembered for ever.
 *
 * Updates from others are read by update.ts first; one that builds on something unknown is dropped and the table says
 * so (`pending`), since sync fetches the whole difference anyhow. Only incarnations that were touched are read again.
 */
import * as Y from "yjs";
import { instantOfHlc, nextHlc } from "../core/hlc.ts";
import { assert, never } from "../errors.ts";
import type { Random } from "../ports.ts";
import type { JobId, PeerId } from "../schema/ids.ts";
import type { Job, JobSpec, Quarantined, TableChange } from "../schema/job.ts";
import type { Forgotten } from "../schema/standing.ts";
import { DocumentDigest } from "./digest.ts";
import { isForgottenEntry } from "./forgotten.ts";
import { identityOf, projectJob, readIncarnations, type Reading } from "./projection.ts";
import { createdSlot, keyOfPause, keyOfSlot, resumedSlot, sameValue, slotsOf, type Slot } from "./slots.ts";
import { inspectUpdate, peersRootName, rootName } from "./update.ts";

export type Applied = "changed" | "known" | "pending" | { refused: string };

export interface TableOptions {
  self: PeerId;
  /** Under which this peer writes; the same after a restart. See `JobTable.clientId`. */
  clientId: number;
  /** Draws another one, which no other life of this peer would draw. */
  freshClientId: () => number;
  /** Makes a ULID for the wall clock (ms). */
  incarnation: (wall: number) => string;
}

/** A stamp so far ahead of this clock is no edit of now: a host's clock was wrong by more than a time zone. */
const absurdStampMs = 48 * 3_600_000;

/** Clients of whom something is awaited at most; a stranger may name any number, and sync fetches all anyhow. */
const awaitedCap = 4_096;

type Incarnation = Y.Map<unknown>;

/** Below 2^31, so that V8 keeps it without a box in each of a document's many ids. */
const clientIdLimit = 2 ** 31;

/**
 * The document's client id while nothing is being written. Yjs draws a new random id when an update brings structs
 * of the id it stands under; which id this peer writes under is decided here alone.
 */
const nobody = -1;

/** A client id for a peer that has none yet. */
export function freshClientId(random: Random): number {
  return 1 + Math.floor(random.next() * (clientIdLimit - 1));
}

export class JobTable {
  readonly #self: PeerId;
  readonly #incarnation: (wall: number) => string;
  readonly #freshClientId: () => number;
  #clientId: number;
  #doc: Y.Doc;
  #root: Y.Map<Incarnation>;
  #peersRoot: Y.Map<unknown>;
  /** undefined = to be read anew */
  #forgotten: readonly Forgotten[] | undefined;
  #digest = new DocumentDigest();
  /** of this life's own edits */
  #lastStamp = 0;
  /** by ULID: what the incarnation said its job is; undefined where it says none */
  readonly #idOf = new Map<string, JobId | undefined>();
  readonly #incarnationsOf = new Map<JobId, Set<string>>();
  readonly #jobs = new Map<JobId, Job>();
  readonly #quarantined = new Map<string, Quarantined>();
  /** incarnations written to since they were last read */
  #touched = new Set<string>();
  #changes = new Map<JobId, Job | undefined>();
  /** by client: the clock that an update too early would have needed */
  readonly #awaited = new Map<number, number>();
  #changedByApply = false;

  constructor(options: TableOptions) {
    this.#self = options.self;
    this.#clientId = options.clientId;
    this.#incarnation = options.incarnation;
    this.#freshClientId = options.freshClientId;
    [this.#doc, this.#root, this.#peersRoot] = this.#newDocument();
  }

  /**
   * The id under which this peer's next edit is written. To be kept on disk beside the updates: it changes when the
   * mesh turns out to hold edits of it that this peer has lost, since two different edits under one id would
   * leave the tables different for ever.
   */
  get clientId(): number {
    return this.#clientId;
  }

  /** Takes in what the disk kept. Returns what of it could not be used; the rest stands, and sync brings the lost. */
  load(updates: readonly Uint8Array[]): { refused: string[] } {
    const refused: string[] = [];
    for (const update of updates) {
      const applied = this.#take(update, "disk");
      if (typeof applied === "object") refused.push(applied.refused);
    }
    return { refused };
  }

  /** Makes the change and returns the update (V1): to be stored first, then gossiped. */
  edit(change: TableChange, wall: number): Uint8Array {
    this.#settle();
    let written: Uint8Array = emptyUpdate;
    const keep = (update: Uint8Array): void => {
      written = update;
    };
    this.#doc.on("update", keep);
    this.#doc.clientID = this.#clientId;
    try {
      this.#doc.transact(() => this.#write(change, wall));
    } finally {
      this.#doc.clientID = nobody;
      this.#doc.off("update", keep);
    }
    this.#settle();
    return written;
  }

  /** Takes in an update from anybody. Never throws; what is refused has changed nothing. */
  apply(update: Uint8Array): Applied {
    return this.#take(update, "mesh");
  }

  #take(update: Uint8Array, from: "disk" | "mesh"): Applied {
    const inspection = inspectUpdate(update, (client) => Y.getState(this.#doc.store, client));
    if (inspection.kind === "refused") return { refused: inspection.reason };
    if (inspection.kind === "early") {
      if (this.#awaited.size > awaitedCap) this.#awaited.clear();
      for (const [client, clock] of inspection.missing) {
        this.#awaited.set(client, Math.max(clock, this.#awaited.get(client) ?? 0));
      }
      return "pending";
    }
    const ownEnd = inspection.ends.get(this.#clientId) ?? 0;
    const isNewsOfSelf = ownEnd > Y.getState(this.#doc.store, this.#clientId);
    if (isNewsOfSelf && from === "mesh") this.leaveClientId();
    this.#changedByApply = false;
    try {
      Y.applyUpdate(this.#doc, update);
    } catch (error) {
      this.#rebuild();
      return { refused: `yjs: ${error instanceof Error ? error.message : String(error)}` };
    }
    return this.#changedByApply ? "changed" : "known";
  }

  /**
   * What the mesh has of this peer's own edits, by a state vector from another: if it is more than is here, some
   * were lost, and this peer goes on under a new id.
   */
  heardStateVector(stateVector: Uint8Array): void {
    const theirs = readStateVector(stateVector)?.get(this.#clientId) ?? 0;
    if (theirs > Y.getState(this.#doc.store, this.#clientId)) this.leaveClientId();
  }

  /**
   * Goes on under another id: what was written under this one may not all be here. It is drawn anew each time, for two
   * lives that were put back to the same old disk must not write under the same one either.
   */
  leaveClientId(): void {
    do this.#clientId = this.#freshClientId();
    while (Y.getState(this.#doc.store, this.#clientId) > 0);
  }

  /** Every effective job. The map is the table's own and follows it; the jobs in it never change. */
  jobs(): ReadonlyMap<JobId, Job> {
    this.#settle();
    return this.#jobs;
  }

  quarantined(): readonly Quarantined[] {
    this.#settle();
    return [...this.#quarantined.values()];
  }

  /** True when something is under that id, of a job or as `quarantined` names it: a deletion would take it away. */
  holds(id: JobId): boolean {
    this.#settle();
    return this.#living(id).length > 0;
  }

  /** Peers whose identity is refused. The same list until it changes. */
  forgotten(): readonly Forgotten[] {
    this.#forgotten ??= [...this.#peersRoot]
      .flatMap(([peer, entry]) =>
        isForgottenEntry(entry)
          ? [{ peer: peer as PeerId, at: entry.at, by: entry.by, name: entry.name }]
          : [],
      )
      .toSorted((a, b) => (a.peer < b.peer ? -1 : 1));
    return this.#forgotten;
  }

  /** What has changed since the last call; `job` is undefined when there is no runnable one any more. */
  takeChanges(): { id: JobId; job: Job | undefined }[] {
    this.#settle();
    const changes = [...this.#changes].map(([id, job]) => ({ id, job }));
    this.#changes = new Map();
    return changes;
  }

  /** Equal tables, equal digests. */
  digest(): string {
    return this.#digest.of(this.#doc);
  }

  /** True while an update that came too early has not been made good. */
  pending(): boolean {
    for (const [client, clock] of this.#awaited) {
      if (Y.getState(this.#doc.store, client) >= clock) this.#awaited.delete(client);
    }
    return this.#awaited.size > 0;
  }

  stateVector(): Uint8Array {
    return Y.encodeStateVector(this.#doc);
  }

  /** What a peer with that state vector lacks; undefined when it is none. */
  diff(stateVector: Uint8Array): Uint8Array | undefined {
    const states = readStateVector(stateVector);
    return states === undefined ? undefined : Y.encodeStateAsUpdate(this.#doc, stateVector);
  }

  /** The whole table as one update. */
  snapshot(): Uint8Array {
    return Y.encodeStateAsUpdate(this.#doc);
  }

  // -------------------------------------------------------------------------------------------- writing

  #write(change: TableChange, wall: number): void {
    switch (change.kind) {
      case "put":
        this.#put(change.spec, change.by, wall);
        return;
      case "delete":
        for (const ulid of this.#living(change.id)) this.#root.delete(ulid);
        return;
      case "pause":
        for (const map of this.#mapsOf(change.id)) map.set(keyOfPause(change.ulid), { ...change.pause });
        return;
      case "resume":
        this.#resume(change.id, change.by, change.at, wall);
        return;
      case "forget-peer": {
        const { peer, name, by } = change;
        if (!this.#peersRoot.has(peer)) this.#peersRoot.set(peer, { at: wall, by, name });
        return;
      }
      default:
        never(change);
    }
  }

  #put(spec: JobSpec, by: string, wall: number): void {
    const wanted = slotsOf(spec);
    const { maps, hlc } = this.#writable(spec.id, wall);
    if (maps.length === 0) {
      const map: Incarnation = new Y.Map();
      map.set(keyOfSlot(createdSlot, this.#self), { hlc, by, value: spec.id });
      for (const [slot, value] of wanted) map.set(keyOfSlot(slot, this.#self), { hlc, by, value });
      this.#root.set(this.#incarnation(wall), map);
      return;
    }
    const reading = readIncarnations(maps);
    for (const slot of reading.slots.keys()) if (!wanted.has(slot)) wanted.set(slot, null);
    wanted.delete(createdSlot);
    wanted.delete(resumedSlot);
    for (const [slot, value] of wanted) {
      if (sameValue(value, reading.slots.get(slot)?.value ?? null)) continue;
      this.#writeSlot(maps, slot, { hlc, by, value });
    }
    // A put mends what could not be read: the unreadable entries go, so that the job leaves quarantine.
    for (const key of reading.unreadable) for (const map of maps) map.delete(key);
  }

  #resume(id: JobId, by: string, at: number, wall: number): void {
    if (readIncarnations(this.#mapsOf(id)).pauses.size === 0) return;
    const { maps, hlc } = this.#writable(id, wall);
    const { pauses } = readIncarnations(maps);
    for (const ulid of pauses.keys()) for (const map of maps) map.delete(keyOfPause(ulid));
    this.#writeSlot(maps, resumedSlot, { hlc, by, value: at });
  }

  /**
   * The incarnations of a job, and the stamp of an edit that wins over all that is known of it. Only over that: were
   * it to lie above all that the table holds, one stamp of a clock in the year 2100 would date every later edit so,
   * and no job made from then on would have a tick before. A job that bears such a stamp itself is written anew.
   */
  #writable(id: JobId, wall: number): { maps: Incarnation[]; hlc: number } {
    const maps = this.#mapsOf(id);
    const reading = readIncarnations(maps);
    const known = [...reading.slots.values()].reduce((highest, { hlc }) => Math.max(highest, hlc), 0);
    const believed = [known, this.#lastStamp].filter((hlc) => instantOfHlc(hlc) <= wall + absurdStampMs);
    const hlc = nextHlc(Math.max(0, ...believed), wall);
    this.#lastStamp = hlc;
    const isBelieved = believed.includes(known);
    return { maps: isBelieved ? maps : [this.#rewritten(id, reading, hlc, wall)], hlc };
  }

  #rewritten(id: JobId, { slots, pauses }: Reading, hlc: number, wall: number): Incarnation {
    for (const ulid of this.#living(id)) this.#root.delete(ulid);
    const map: Incarnation = new Y.Map();
    for (const [slot, { by, value }] of slots) map.set(keyOfSlot(slot, this.#self), { hlc, by, value });
    for (const [ulid, pause] of pauses) map.set(keyOfPause(ulid), pause);
    this.#root.set(this.#incarnation(wall), map);
    return map;
  }

  /** Into every living incarnation: one of them may just be being deleted by somebody who doesn't see the other. */
  #writeSlot(maps: readonly Incarnation[], name: string, slot: Slot): void {
    for (const map of maps) map.set(keyOfSlot(name, this.#self), slot);
  }

  /** Of an incarnation that doesn't say which job it is, its ULID is the id. */
  #living(id: JobId): string[] {
    const nameless = this.#idOf.has(id) && this.#idOf.get(id) === undefined;
    return nameless ? [id] : [...(this.#incarnationsOf.get(id) ?? [])].toSorted();
  }

  #mapsOf(id: JobId): Incarnation[] {
    const maps = this.#living(id).map((ulid) => this.#incarnationAt(ulid));
    return maps.filter((map) => map !== undefined);
  }

  #incarnationAt(ulid: string): Incarnation | undefined {
    const map: unknown = this.#root.get(ulid);
    return map instanceof Y.Map ? map : undefined;
  }

  // -------------------------------------------------------------------------------------------- reading

  /** Reads again what was touched. Everything that shows jobs calls it first, so many updates cost one reading. */
  #settle(): void {
    if (this.#touched.size === 0) return;
    const touched = this.#touched;
    this.#touched = new Set();
    const stale = new Set<JobId>();
    const single = new Map<JobId, Reading>();
    for (const ulid of touched) {
      const map = this.#incarnationAt(ulid);
      const reading = map === undefined ? undefined : readIncarnations([map]);
      const id = reading === undefined ? undefined : identityOf(reading);
      this.#file(ulid, id, reading, stale);
      if (id !== undefined && reading !== undefined) single.set(id, reading);
    }
    for (const id of stale) {
      const known = this.#incarnationsOf.get(id);
      const reading = known?.size === 1 ? single.get(id) : undefined;
      this.#show(id, known === undefined ? undefined : (reading ?? readIncarnations(this.#mapsOf(id))));
    }
  }

  /** Notes which job an incarnation is about, and which jobs have to be shown anew for that. */
  #file(ulid: string, id: JobId | undefined, reading: Reading | undefined, stale: Set<JobId>): void {
    const before = this.#idOf.get(ulid);
    if (before !== undefined) {
      stale.add(before);
      if (before !== id) {
        const others = this.#incarnationsOf.get(before);
        others?.delete(ulid);
        if (others?.size === 0) this.#incarnationsOf.delete(before);
      }
    }
    this.#quarantined.delete(ulid);
    if (reading === undefined) {
      this.#idOf.delete(ulid);
      return;
    }
    this.#idOf.set(ulid, id);
    if (id === undefined) {
      const problems = [{ pointer: "/id", message: "the replica doesn't say which job it is" }];
      this.#quarantined.set(ulid, { id: ulid, problems });
      return;
    }
    stale.add(id);
    const incarnations = this.#incarnationsOf.get(id);
    if (incarnations === undefined) this.#incarnationsOf.set(id, new Set([ulid]));
    else incarnations.add(ulid);
  }

  #show(id: JobId, reading: Reading | undefined): void {
    const before = this.#jobs.get(id);
    const projected = reading === undefined ? undefined : projectJob(id, reading);
    this.#quarantined.delete(id);
    if (projected === undefined || "problems" in projected) {
      if (projected !== undefined) this.#quarantined.set(id, projected);
      this.#jobs.delete(id);
      if (before !== undefined) this.#changes.set(id, undefined);
      return;
    }
    this.#jobs.set(id, projected);
    if (before?.revision !== projected.revision) this.#changes.set(id, projected);
  }

  // ------------------------------------------------------------------------------------------- the document

  #newDocument(): [Y.Doc, Y.Map<Incarnation>, Y.Map<unknown>] {
    const doc = new Y.Doc();
    doc.clientID = nobody;
    const root = doc.getMap<Incarnation>(rootName);
    const peersRoot = doc.getMap<unknown>(peersRootName);
    this.#forgotten = undefined;
    doc.on("afterTransaction", (transaction: Y.Transaction) => {
      if (this.#digest.observe(transaction)) this.#changedByApply = true;
      for (const [type, keys] of transaction.changed) {
        if (Object.is(type, peersRoot)) this.#forgotten = undefined;
        if (Object.is(type, root)) {
          for (const ulid of keys) if (ulid !== null) this.#touched.add(ulid);
          continue;
        }
        // oxlint-disable-next-line no-underscore-dangle -- Yjs has no other way from a map to the key it lies under
        const ulid = type._item?.parentSub;
        if (typeof ulid === "string") this.#touched.add(ulid);
      }
    });
    return [doc, root, peersRoot];
  }

  /**
   * After Yjs threw in the middle of an update: a new document from what the old one holds, so that nothing in it is
   * half-linked. Whole structs of that update that were already in stay; each of them had passed inspection.
   */
  #rebuild(): void {
    const held = Y.encodeStateAsUpdate(this.#doc);
    const inspection = inspectUpdate(held, () => 0);
    assert(inspection.kind === "fits", "the table's own document passes inspection");
    this.#doc.destroy();
    this.#digest = new DocumentDigest();
    for (const ulid of this.#idOf.keys()) this.#touched.add(ulid);
    [this.#doc, this.#root, this.#peersRoot] = this.#newDocument();
    Y.applyUpdate(this.#doc, held);
  }
}

/** No structs, no deletions. */
const emptyUpdate = Uint8Array.of(0, 0);

/** A state vector of a stranger; undefined when it is none. */
function readStateVector(bytes: Uint8Array): Map<number, number> | undefined {
  try {
    return Y.decodeStateVector(bytes);
  } catch {
    return undefined;
  }
}
