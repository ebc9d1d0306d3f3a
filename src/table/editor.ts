/**
 * Writes a change of the table into the document: which slots of which incarnations, and under which stamp.
 *
 * A put writes only the slots in which it differs, so that edits of different fields made apart both survive; a delete
 * takes every incarnation that is seen. The stamp wins over what is known of that job, and over nothing else.
 */
import * as Y from "yjs";
import { instantOfHlc, nextHlc } from "./hlc.ts";
import { never } from "../errors.ts";
import type { JobId, PeerId } from "../schema/ids.ts";
import { sameValue } from "../schema/equal.ts";
import type { JobSpec, TableChange } from "../schema/job.ts";
import { readIncarnations, type Reading } from "./projection.ts";
import { createdSlot, keyOfPause, keyOfSlot, resumedSlot, slotsOf, type Slot } from "./slots.ts";

/** A stamp so far ahead of this clock is no edit of now: a host's clock was wrong by more than a time zone. */
const absurdStampMs = 48 * 3_600_000;

export type Incarnation = Y.Map<unknown>;

/** What the document holds under its two roots. */
export interface Roots {
  /** by ULID */
  jobs: Y.Map<Incarnation>;
  /** forgotten ones, by id */
  peers: Y.Map<unknown>;
}

export interface EditorDeps {
  self: PeerId;
  /** Makes a ULID for the wall clock (ms). */
  incarnation: (wall: number) => string;
  /** those of the present document */
  roots: () => Roots;
  /** ULIDs of a job's living incarnations */
  incarnationsOf: (id: JobId) => readonly string[];
}

export class Editor {
  readonly #deps: EditorDeps;
  /** of this life's own edits */
  #lastStamp = 0;

  constructor(deps: EditorDeps) {
    this.#deps = deps;
  }

  /** Must be called within a transaction. */
  write(change: TableChange, wall: number): void {
    switch (change.kind) {
      case "put":
        this.#put(change.spec, change.by, wall);
        return;
      case "delete":
        this.#delete(change.id);
        return;
      case "pause":
        for (const map of this.#mapsOf(change.id)) map.set(keyOfPause(change.ulid), { ...change.pause });
        return;
      case "resume":
        this.#resume(change.id, change.by, change.at, wall);
        return;
      case "forget-peer": {
        const { peer, name, by } = change;
        const { peers } = this.#deps.roots();
        if (!peers.has(peer)) peers.set(peer, { at: wall, by, name });
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
      map.set(keyOfSlot(createdSlot, this.#deps.self), { hlc, by, value: spec.id });
      for (const [slot, value] of wanted) map.set(keyOfSlot(slot, this.#deps.self), { hlc, by, value });
      this.#add(map, wall);
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
    this.#delete(id);
    const map: Incarnation = new Y.Map();
    for (const [slot, { by, value }] of slots) map.set(keyOfSlot(slot, this.#deps.self), { hlc, by, value });
    for (const [ulid, pause] of pauses) map.set(keyOfPause(ulid), pause);
    this.#add(map, wall);
    return map;
  }

  /** Into every living incarnation: one of them may just be being deleted by somebody who doesn't see the other. */
  #writeSlot(maps: readonly Incarnation[], name: string, slot: Slot): void {
    for (const map of maps) map.set(keyOfSlot(name, this.#deps.self), slot);
  }

  #add(map: Incarnation, wall: number): void {
    this.#deps.roots().jobs.set(this.#deps.incarnation(wall), map);
  }

  #delete(id: JobId): void {
    for (const ulid of this.#deps.incarnationsOf(id)) this.#deps.roots().jobs.delete(ulid);
  }

  #mapsOf(id: JobId): Incarnation[] {
    const { jobs } = this.#deps.roots();
    const maps = this.#deps.incarnationsOf(id).map((ulid) => incarnationAt(jobs, ulid));
    return maps.filter((map) => map !== undefined);
  }
}

/** What lies under a ULID; undefined when it is none, whatever a stranger may have put there. */
export function incarnationAt(jobs: Roots["jobs"], ulid: string): Incarnation | undefined {
  const map: unknown = jobs.get(ulid);
  return map instanceof Y.Map ? map : undefined;
}
