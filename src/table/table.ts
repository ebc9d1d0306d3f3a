/**
 * The job table: a Yjs document inside, plain jobs outside (DESIGN §4). Every peer holds one; peers that have taken in
 * the same edits, in any order and any number of times, hold the same jobs.
 *
 * The document has the roots of roots.ts. The root of the jobs maps incarnations (ULIDs) to maps of slots and pauses
 * (slots.ts). Each slot has one writer, so that the higher (hlc, peer) wins; Yjs alone would let the higher client id
 * win. Nothing that changes per tick, heartbeat or run is stored here, because Yjs remembers deleted ids for ever.
 *
 * This file holds the document. editor.ts writes this peer's own edits, and effective.ts keeps the jobs that the
 * document makes. update.ts inspects updates from others before they are applied. An update that builds on something
 * unknown is dropped and `pending` becomes true: sync fetches the whole difference anyway.
 */
import * as Y from "yjs";
import { readGroup } from "../core/job/group.ts";
import { assert } from "../errors.ts";
import type { Random } from "../ports.ts";
import type { JobId, PeerId } from "../schema/ids.ts";
import type { Job, Problem, Quarantined, TableEdit } from "../schema/job.ts";
import type { MembershipStatement } from "../schema/membership.ts";
import type { Admissions } from "./admissions.ts";
import { TableCaps } from "./caps.ts";
import { applyCompactly } from "./compact.ts";
import { DocumentDigest } from "./digest.ts";
import { Editor, incarnationAt, type EditorDeps, type EditStep, type Roots } from "./editor.ts";
import { EffectiveJobs, type JobChange } from "./effective.ts";
import { instantOfHlc } from "./hlc.ts";
import type { GroupEntry } from "./projection.ts";
import { groupsRoot, jobsRoot, tableRoots, type Root } from "./roots.ts";
import { inspectUpdate } from "./update.ts";
import { parseValueKey, RootValues } from "./values.ts";
import { MemberEntries } from "./member-entries.ts";

export type Applied = "changed" | "known" | "pending" | { refused: string };

export interface TableOptions {
  self: PeerId;
  /** The Yjs client id under which this peer writes; the same after a restart. See `JobTable.clientId`. */
  clientId: number;
  /** Draws another client id, which no other process of this peer would draw. */
  freshClientId: () => number;
  /** Makes a ULID for the wall clock (ms). */
  incarnation: (wall: number) => string;
  /** Says why this peer must not run a job that it can read; undefined = it may (effective.ts). */
  refusal?: ((job: Job) => Problem | undefined) | undefined;
  /** what only the simulator gives: a bug to have */
  testing?: EditorDeps["testing"];
  /** given only by tests that add a root */
  roots?: readonly Root[];
}

/**
 * How many clients' missing edits are remembered. An update may name any number of clients, and sync fetches everything
 * anyway.
 */
const awaitedCap = 4_096;

/** Client ids stay below 2^31, so that V8 stores them unboxed in each of the document's many ids. */
const clientIdLimit = 2 ** 31;

/**
 * The document's client id while nothing is being written. Yjs draws a new random client id when an update brings
 * structs of the present one, but only this file may decide which id this peer writes under.
 */
const noClientId = -1;

/** A client id for a peer that has none yet. */
export function freshClientId(random: Random): number {
  return 1 + Math.floor(random.next() * (clientIdLimit - 1));
}

export interface Reread {
  entries: number;
  jobs: number;
}

export class JobTable {
  readonly #freshClientId: () => number;
  #clientId: number;
  #doc: Y.Doc;
  #roots: Roots;
  readonly #rootRows: readonly Root[];
  readonly #caps: TableCaps;
  readonly #members = new MemberEntries((root) => this.#valuesOf(root));
  #digest = new DocumentDigest();
  readonly #effective: EffectiveJobs;
  readonly #editor: Editor;
  /** by client: the clock that a dropped update would have needed */
  readonly #awaited = new Map<number, number>();
  #changedByApply = false;
  #reread: Reread = { entries: 0, jobs: 0 };

  constructor(options: TableOptions) {
    this.#clientId = options.clientId;
    this.#freshClientId = options.freshClientId;
    this.#rootRows = options.roots ?? tableRoots;
    this.#caps = new TableCaps(this.#rootRows);
    this.#effective = new EffectiveJobs(
      (ulid) => incarnationAt(this.#roots.jobs, ulid),
      options.refusal,
      (name) => this.#groupAt(name),
    );
    this.#editor = new Editor({
      self: options.self,
      testing: options.testing ?? {},
      incarnation: options.incarnation,
      roots: () => this.#roots,
      incarnationsOf: (id) => this.#effective.incarnationsOf(id),
      touched: (ulid) => this.#effective.touch(ulid),
    });
    [this.#doc, this.#roots] = this.#newDocument();
  }

  /**
   * The id under which this peer's next edit is written. The caller keeps it on disk beside the updates. It changes
   * when the mesh turns out to hold edits under this id that this peer has lost: two different edits under one id would
   * leave the tables different for ever.
   */
  get clientId(): number {
    return this.#clientId;
  }

  /** Applies the updates from the disk. Returns why some could not be used; sync brings what they held. */
  load(updates: readonly Uint8Array[]): { refused: string[] } {
    const refused: string[] = [];
    for (const update of updates) {
      const applied = this.#take(update, "disk", Infinity);
      if (typeof applied === "object") refused.push(applied.refused);
    }
    return { refused };
  }

  /**
   * Makes the edits as one change. The caller stores the update (V1), then gossips it. If the update can't be stored,
   * the steps are for `takeBack`.
   */
  edit(edits: readonly TableEdit[], wall: number): { update: Uint8Array; steps: readonly EditStep[] } {
    let steps: readonly EditStep[] = [];
    const update = this.#write(() => {
      steps = this.#editor.write(edits, wall);
    });
    return { update, steps };
  }

  /** Why the edits must not be made, in words: other peers would refuse the table then. Undefined if they may. */
  fullFor(edits: readonly TableEdit[]): string | undefined {
    return this.#caps.exceededByOwn(edits, (one) => this.#editor.addsId(one), this.#doc);
  }

  /** Restores what was there before each of the changes, the last one first, and returns the update that does so. */
  takeBack(changes: readonly (readonly EditStep[])[], wall: number): Uint8Array {
    return this.#write(() => {
      for (const steps of changes.toReversed()) this.#editor.takeBack(steps, wall);
    });
  }

  /** One transaction under this peer's client id. */
  #write(write: () => void): Uint8Array {
    this.#effective.reread();
    let written: Uint8Array = emptyUpdate;
    const keep = (update: Uint8Array): void => {
      written = update;
    };
    this.#doc.on("update", keep);
    this.#doc.clientID = this.#clientId;
    try {
      this.#doc.transact(write);
    } finally {
      this.#doc.clientID = noClientId;
      this.#doc.off("update", keep);
    }
    this.#effective.reread();
    this.#caps.grown(written.length);
    return written;
  }

  /**
   * Applies an update from any peer, unless it brings edits of more than `newClientsMax` clients that are new here.
   * Never throws; a refused update has changed nothing.
   */
  apply(update: Uint8Array, newClientsMax = Infinity): Applied {
    return this.#take(update, "mesh", newClientsMax);
  }

  /** How many clients have ever written to the table: one or more for each peer. */
  clientCount(): number {
    return this.#doc.store.clients.size;
  }

  #take(update: Uint8Array, from: "disk" | "mesh", newClientsMax: number): Applied {
    const clockOf = (client: number) => Y.getState(this.#doc.store, client);
    const inspection = inspectUpdate(update, clockOf, this.#rootRows, from === "mesh");
    if (inspection.kind === "refused") return { refused: inspection.reason };
    if (inspection.kind === "early") {
      if (this.#awaited.size > awaitedCap) this.#awaited.clear();
      for (const [client, clock] of inspection.missing) {
        this.#awaited.set(client, Math.max(clock, this.#awaited.get(client) ?? 0));
      }
      return "pending";
    }
    if (from === "mesh") {
      const refused = this.#caps.exceededBy(inspection, update.length, newClientsMax, this.#doc);
      if (refused !== undefined) return { refused };
    }
    const ownEnd = inspection.ends.get(this.#clientId) ?? 0;
    const isNewsOfSelf = ownEnd > Y.getState(this.#doc.store, this.#clientId);
    if (isNewsOfSelf && from === "mesh") this.leaveClientId();
    this.#changedByApply = false;
    try {
      applyCompactly(this.#doc, update);
    } catch (error) {
      this.#rebuild();
      return { refused: `yjs: ${error instanceof Error ? error.message : String(error)}` };
    }
    if (!this.#changedByApply) return "known";
    this.#caps.grown(update.length);
    return "changed";
  }

  /**
   * Compares another peer's state vector with this peer's own edits. If the other has more of them, this peer has lost
   * some and writes under a new id from now on.
   */
  heardStateVector(stateVector: Uint8Array): void {
    const theirs = readStateVector(stateVector)?.get(this.#clientId) ?? 0;
    if (theirs > Y.getState(this.#doc.store, this.#clientId)) this.leaveClientId();
  }

  /**
   * Writes under another id from now on, because some edits under the present one may be missing here. The id is drawn
   * at random each time, so that two processes restored from the same old disk don't choose the same one.
   */
  leaveClientId(): void {
    do this.#clientId = this.#freshClientId();
    while (Y.getState(this.#doc.store, this.#clientId) > 0);
  }

  /** Every effective job. The map is live; the jobs in it never change. */
  jobs(): ReadonlyMap<JobId, Job> {
    return this.#effective.jobs();
  }

  /** The jobs that are quarantined because they run after each other, with their parents. */
  cyclic(): ReadonlyMap<JobId, readonly JobId[]> {
    return this.#effective.cyclic();
  }

  quarantined(): readonly Quarantined[] {
    return this.#effective.quarantined();
  }

  /** True if a deletion of this id would remove something. The id is a job's, or one that `quarantined` names. */
  holds(id: JobId): boolean {
    return this.#effective.incarnationsOf(id).length > 0;
  }

  /** The values of a root other than that of the jobs, by id. The same map until one of them changes. */
  values(root: string): ReadonlyMap<string, unknown> {
    return this.#valuesOf(root).all();
  }

  #valuesOf(root: string): RootValues {
    const values = this.#roots.values.get(root);
    assert(values !== undefined, `the table has the root ${root}`);
    return values;
  }

  #groupAt(name: string): GroupEntry | undefined {
    const values = this.#roots.values.get(groupsRoot.name);
    const group = readGroup(values?.all().get(name));
    return group === undefined ? undefined : { group, writtenAt: instantOfHlc(values?.stampOf(name) ?? 0) };
  }

  /** Everything that was said about the membership of peers, unchecked. The same list until something is said. */
  membership(): readonly MembershipStatement[] {
    return this.#members.membership();
  }

  /** Who joined, and who was confirmed. The same object until either changes. */
  admissions(): Admissions {
    return this.#members.admissions();
  }

  /** The jobs that changed since the last call. */
  takeChanges(): JobChange[] {
    return this.#effective.takeChanges();
  }

  /** Equal tables have equal digests. */
  digest(): string {
    return this.#digest.of(this.#doc);
  }

  /**
   * How much has to be read again because of what was applied since the last call, although it was not part of that: the other
   * entries of a root, and the jobs of a group.
   */
  takeReread(): Readonly<Reread> {
    const reread = this.#reread;
    this.#reread = { entries: 0, jobs: 0 };
    return reread;
  }

  /** True while edits are missing on which a dropped update was built. */
  pending(): boolean {
    for (const [client, clock] of this.#awaited) {
      if (Y.getState(this.#doc.store, client) >= clock) this.#awaited.delete(client);
    }
    return this.#awaited.size > 0;
  }

  stateVector(): Uint8Array {
    return Y.encodeStateVector(this.#doc);
  }

  /** What a peer with that state vector lacks; undefined if the bytes are not a state vector. */
  diff(stateVector: Uint8Array): Uint8Array | undefined {
    const states = readStateVector(stateVector);
    return states === undefined ? undefined : Y.encodeStateAsUpdate(this.#doc, stateVector);
  }

  /** The whole table as one update. */
  snapshot(): Uint8Array {
    return Y.encodeStateAsUpdate(this.#doc);
  }

  // ------------------------------------------------------------------------------------------- the document

  #newDocument(): [Y.Doc, Roots] {
    const doc = new Y.Doc();
    doc.clientID = noClientId;
    const values = new Map<string, RootValues>();
    const valuesOf = new Map<unknown, RootValues>();
    for (const root of this.#rootRows) {
      if (root.holds === "maps") continue;
      const map = doc.getMap(root.name);
      const read = new RootValues(root, map);
      values.set(root.name, read);
      valuesOf.set(map, read);
    }
    const roots: Roots = { jobs: doc.getMap(jobsRoot.name), values };
    doc.on("afterTransaction", (transaction: Y.Transaction) => {
      if (this.#digest.observe(transaction)) this.#changedByApply = true;
      for (const [type, keys] of transaction.changed) {
        const read = valuesOf.get(type);
        if (read !== undefined) {
          read.changed();
          this.#reread.entries += read.size;
        }
        if (read?.root === groupsRoot) {
          const groups = new Set([...keys].map((key) => parseValueKey(key ?? "")?.id ?? ""));
          this.#reread.entries += this.#effective.touchGroups(groups);
          this.#reread.jobs += this.#effective.touchedCount;
        }
        if (Object.is(type, roots.jobs)) {
          for (const ulid of keys) if (ulid !== null) this.#effective.touch(ulid);
          continue;
        }
        // oxlint-disable-next-line no-underscore-dangle -- Yjs has no other way from a map to its key
        const ulid = type._item?.parentSub;
        if (typeof ulid === "string") this.#effective.touch(ulid);
      }
    });
    return [doc, roots];
  }

  /**
   * Called after Yjs threw in the middle of an update. Makes a new document from what the old one holds, so that
   * nothing in it is half-linked. Structs of that update that were already complete stay; each of them had passed
   * inspection.
   */
  #rebuild(): void {
    const held = Y.encodeStateAsUpdate(this.#doc);
    const inspection = inspectUpdate(held, () => 0, this.#rootRows);
    assert(inspection.kind === "fits", "the table's own document passes inspection");
    this.#doc.destroy();
    this.#digest = new DocumentDigest();
    this.#effective.touchAll();
    [this.#doc, this.#roots] = this.#newDocument();
    applyCompactly(this.#doc, held);
  }
}

/** No structs, no deletions. */
const emptyUpdate = Uint8Array.of(0, 0);

/** Undefined if the bytes are not a state vector. */
function readStateVector(bytes: Uint8Array): Map<number, number> | undefined {
  try {
    return Y.decodeStateVector(bytes);
  } catch {
    return undefined;
  }
}
