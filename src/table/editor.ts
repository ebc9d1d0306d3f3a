/**
 * Writes edits of the table into the document: it decides which slots of which incarnations are written, and under
 * which stamp. It can also take its edits back.
 *
 * A put writes only the slots that change, so that edits of different fields made on different peers both survive. What a later
 * version has written stays, because a person at this version could not see what a put would clear. A delete removes every
 * incarnation that this peer sees. A stamp is above all stamps of its own job, not above those of other jobs. Each step is noted
 * with what was there before, so that taking an edit back restores exactly that, stamps and revision included, except where
 * another peer has written since.
 */
import * as Y from "yjs";
import { instantOfHlc, nextHlc } from "./hlc.ts";
import { assert, never } from "../errors.ts";
import type { JobId, PeerId } from "../schema/ids.ts";
import { sameValue } from "../schema/equal.ts";
import type { JobSpec, Skip, TableEdit } from "../schema/job.ts";
import { isPlanted, type PlantedBug } from "../core/probes/planted.ts";
import { readIncarnations, readSpec, type Reading } from "./projection.ts";
import {
  createdSlot,
  isKnownSlot,
  keyOfPause,
  keyOfSkip,
  keyOfSlot,
  resumedSlot,
  slotsOf,
  withLaterMembers,
  type Slot,
} from "./slots.ts";
import { keyOfValue, type RootValues } from "./values.ts";

/** If a stamp is this far ahead, its writer's clock was wrong by more than a time zone can explain, ms. */
const absurdStampMs = 48 * 3_600_000;

export type Incarnation = Y.Map<unknown>;

/** What the document holds under its roots. */
export interface Roots {
  /** incarnations by ULID */
  jobs: Y.Map<Incarnation>;
  /** the other roots, by name */
  values: ReadonlyMap<string, RootValues>;
}

/** One change that an edit made to the document. An undefined entry is absent. */
export type EditStep =
  | { kind: "entry"; ulid: string; key: string; before: unknown; written: unknown }
  | { kind: "added"; ulid: string; entries: ReadonlyMap<string, unknown> }
  | { kind: "removed"; ulid: string; entries: ReadonlyMap<string, unknown> }
  | { kind: "value"; root: string; key: string; before: unknown; written: unknown };

export interface EditorDeps {
  self: PeerId;
  /** what only the simulator gives: a bug to have */
  testing: { readonly planted?: PlantedBug };
  /** Makes a ULID for the wall clock (ms). */
  incarnation: (wall: number) => string;
  /** the roots of the present document */
  roots: () => Roots;
  /** ULIDs of a job's living incarnations */
  incarnationsOf: (id: JobId) => readonly string[];
  /** Called when an incarnation was written to, added or removed. */
  touched: (ulid: string) => void;
}

export class Editor {
  readonly #deps: EditorDeps;
  /** the stamp of the last edit since the start of this process */
  #lastStamp = 0;
  #steps: EditStep[] = [];

  constructor(deps: EditorDeps) {
    this.#deps = deps;
  }

  /** Must be called within a transaction. The returned steps are for `takeBack`. */
  write(edits: readonly TableEdit[], wall: number): EditStep[] {
    this.#steps = [];
    for (const edit of edits) this.#writeOne(edit, wall);
    return this.#steps;
  }

  #writeOne(edit: TableEdit, wall: number): void {
    switch (edit.kind) {
      case "put":
        return this.#put(edit.spec, edit.by, wall);
      case "delete":
        return this.#delete(edit.id);
      case "pause":
        for (const ulid of this.#deps.incarnationsOf(edit.id)) {
          this.#set(ulid, keyOfPause(edit.ulid), { ...edit.pause });
        }
        return;
      case "resume":
        return this.#resume(edit.id, edit.by, edit.at, wall);
      case "skip":
        return this.#skip(edit.id, edit.skips, wall);
      case "unskip":
        for (const ulid of this.#deps.incarnationsOf(edit.id))
          for (const tick of edit.ticks) this.#set(ulid, keyOfSkip(tick), undefined);
        return;
      case "set":
        return this.#setValue(edit, wall);
      default:
        return never(edit);
    }
  }

  /** Undoes the steps, the last one first. Must be called within a transaction. */
  takeBack(steps: readonly EditStep[], wall: number): void {
    this.#steps = [];
    /** A removed incarnation is restored under another ULID, because Yjs can't restore a removed map. */
    const restoredAs = new Map<string, string>();
    for (const step of steps.toReversed()) {
      if (step.kind === "value") {
        const values = this.#valuesOf(step.root);
        if (sameValue(values.entryAt(step.key), step.written)) values.write(step.key, step.before);
        continue;
      }
      const ulid = restoredAs.get(step.ulid) ?? step.ulid;
      const map = incarnationAt(this.#deps.roots().jobs, ulid);
      switch (step.kind) {
        case "removed":
          restoredAs.set(ulid, this.#add(step.entries, wall));
          break;
        case "added":
          if (map !== undefined && holdsOnly(map, step.entries)) this.#remove(ulid, map);
          break;
        case "entry":
          if (map !== undefined && sameValue(map.get(step.key), step.written)) {
            this.#set(ulid, step.key, step.before);
          }
          break;
        default:
          never(step);
      }
    }
  }

  #put(spec: JobSpec, by: string, wall: number): void {
    const wanted = slotsOf(spec);
    const { ulids, hlc } = this.#writable(spec.id, wall);
    if (ulids.length === 0) {
      const entries = new Map<string, unknown>();
      entries.set(this.#keyOf(createdSlot), { hlc, by, value: spec.id });
      for (const [slot, value] of wanted) entries.set(this.#keyOf(slot), { hlc, by, value });
      this.#add(entries, wall);
      return;
    }
    const reading = this.#read(ulids);
    const { hidden } = readSpec(spec.id, reading);
    for (const slot of reading.slots.keys()) {
      if (!wanted.has(slot) && !hidden.has(slot) && this.#mayClear(slot)) wanted.set(slot, null);
    }
    wanted.delete(createdSlot);
    wanted.delete(resumedSlot);
    for (const [slot, content] of wanted) {
      const present = reading.slots.get(slot);
      const { value, ...needs } = withLaterMembers(slot, content, present);
      if (sameValue(value, present?.value ?? null)) continue;
      this.#writeSlot(ulids, slot, { hlc, by, value, ...needs });
    }
    // A put repairs the job: it deletes unreadable entries, so that the job leaves quarantine.
    for (const key of reading.unreadable) for (const ulid of ulids) this.#set(ulid, key, undefined);
  }

  /** A person at this version can't have meant to clear what they could not see. */
  #mayClear(slot: string): boolean {
    return isKnownSlot(slot) || isPlanted({ settings: this.#deps.testing }, "later-fields-cleared");
  }

  #skip(id: JobId, skips: readonly Skip[], wall: number): void {
    const { ulids, hlc } = this.#writable(id, wall);
    for (const { tick, by, at, note } of skips) {
      const value = { at, ...(note === undefined ? {} : { note }) };
      for (const ulid of ulids) this.#set(ulid, keyOfSkip(tick), { hlc, by, value });
    }
  }

  #resume(id: JobId, by: string, at: number, wall: number): void {
    if (this.#read(this.#deps.incarnationsOf(id)).pauses.size === 0) return;
    const { ulids, hlc } = this.#writable(id, wall);
    const { pauses } = this.#read(ulids);
    for (const pause of pauses.keys())
      for (const ulid of ulids) this.#set(ulid, keyOfPause(pause), undefined);
    this.#writeSlot(ulids, resumedSlot, { hlc, by, value: at });
  }

  /**
   * The incarnations of a job, and a stamp above all stamps of this job. It need not be above the table's other stamps,
   * and must not be. Otherwise one stamp from a clock in the year 2100 would date every later edit to 2100, and no job
   * made after it would have a tick before then. A job that has such a stamp itself is written anew.
   */
  #writable(id: JobId, wall: number): { ulids: readonly string[]; hlc: number } {
    const ulids = this.#deps.incarnationsOf(id);
    const reading = this.#read(ulids);
    const known = [...reading.slots.values()].reduce((highest, { hlc }) => Math.max(highest, hlc), 0);
    const believed = [known, this.#lastStamp].filter((hlc) => instantOfHlc(hlc) <= wall + absurdStampMs);
    const hlc = nextHlc(Math.max(0, ...believed), wall);
    this.#lastStamp = hlc;
    const isBelieved = believed.includes(known);
    return { ulids: isBelieved ? ulids : [this.#rewrite(id, reading, hlc, wall)], hlc };
  }

  /** Whether the edit would write an id that its root has never had. */
  addsId(edit: TableEdit): boolean {
    if (edit.kind === "put") return this.#deps.incarnationsOf(edit.spec.id).length === 0;
    if (edit.kind !== "set") return false;
    const values = this.#valuesOf(edit.root);
    return !values.hasHad(values.root.merge === "first" ? edit.id : keyOfValue(edit.id, this.#deps.self));
  }

  #setValue({ root, id, value, by }: Extract<TableEdit, { kind: "set" }>, wall: number): void {
    const values = this.#valuesOf(root);
    if (values.root.merge === "first") {
      // Such a value is never taken back: other peers may act on it already, and the person who asked for it would ask
      // again.
      if (value !== null && values.entryAt(id) === undefined) values.write(id, value);
      return;
    }
    const key = keyOfValue(id, this.#deps.self);
    const hlc = nextHlc(Math.max(values.stampOf(id), this.#lastStamp), wall);
    this.#lastStamp = hlc;
    const written = { hlc, by, value };
    const before = values.entryAt(key);
    values.write(key, written);
    this.#steps.push({ kind: "value", root, key, before, written });
  }

  #valuesOf(root: string): RootValues {
    const values = this.#deps.roots().values.get(root);
    assert(values !== undefined, `the table has the root ${root}`);
    return values;
  }

  #rewrite(id: JobId, { slots, pauses, skips }: Reading, hlc: number, wall: number): string {
    this.#delete(id);
    const entries = new Map<string, unknown>();
    for (const [slot, { peer: _, ...entry }] of slots) entries.set(this.#keyOf(slot), { ...entry, hlc });
    for (const [ulid, pause] of pauses) entries.set(keyOfPause(ulid), pause);
    for (const { tick, by, at, note } of skips.values())
      entries.set(keyOfSkip(tick), { hlc, by, value: { at, ...(note === undefined ? {} : { note }) } });
    return this.#add(entries, wall);
  }

  #delete(id: JobId): void {
    for (const ulid of this.#deps.incarnationsOf(id)) {
      const map = incarnationAt(this.#deps.roots().jobs, ulid);
      if (map !== undefined) this.#remove(ulid, map);
    }
  }

  #read(ulids: readonly string[]): Reading {
    const { jobs } = this.#deps.roots();
    const maps = ulids.map((ulid) => incarnationAt(jobs, ulid));
    return readIncarnations(maps.filter((map) => map !== undefined));
  }

  #keyOf(slot: string): string {
    return keyOfSlot(slot, this.#deps.self);
  }

  /** Writes into every living incarnation, because a peer that sees only one of them may be deleting it right now. */
  #writeSlot(ulids: readonly string[], name: string, slot: Slot): void {
    for (const ulid of ulids) this.#set(ulid, this.#keyOf(name), slot);
  }

  // ------------------------------------------------------------- every change goes through these methods

  #set(ulid: string, key: string, written: unknown): void {
    const map = incarnationAt(this.#deps.roots().jobs, ulid);
    const before: unknown = map?.get(key);
    if (map === undefined || (before === undefined && written === undefined)) return;
    if (written === undefined) map.delete(key);
    else map.set(key, written);
    this.#note({ kind: "entry", ulid, key, before, written });
  }

  #add(entries: ReadonlyMap<string, unknown>, wall: number): string {
    const ulid = this.#deps.incarnation(wall);
    this.#deps.roots().jobs.set(ulid, new Y.Map(entries));
    this.#note({ kind: "added", ulid, entries });
    return ulid;
  }

  #remove(ulid: string, map: Incarnation): void {
    const entries = new Map(map.entries());
    this.#deps.roots().jobs.delete(ulid);
    this.#note({ kind: "removed", ulid, entries });
  }

  /** Touches the incarnation at once, because the next edit of the same change must see this step. */
  #note(step: Exclude<EditStep, { kind: "value" }>): void {
    this.#steps.push(step);
    this.#deps.touched(step.ulid);
  }
}

/** False if another peer has written into the map: then the map must stay. */
function holdsOnly(map: Incarnation, entries: ReadonlyMap<string, unknown>): boolean {
  for (const [key, entry] of map.entries()) if (!sameValue(entry, entries.get(key))) return false;
  return true;
}

/** The incarnation under a ULID; undefined if there is none, or if something else is there. */
export function incarnationAt(jobs: Roots["jobs"], ulid: string): Incarnation | undefined {
  const map: unknown = jobs.get(ulid);
  return map instanceof Y.Map ? map : undefined;
}
