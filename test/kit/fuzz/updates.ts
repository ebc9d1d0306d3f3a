/**
 * Hostile updates of the job table (Yjs, V1): valid ones with a changed byte, ones written with Yjs whose contents no
 * peer would write, and ones built struct by struct with random clocks, lengths, parents and deletions.
 */
import * as Y from "yjs";
import { edit } from "../tables.ts";
import { JobSpecSchema } from "../../../src/schema/job.ts";
import { ulid, type JobId, type PeerId } from "../../../src/schema/ids.ts";
import type { Dice } from "../../../src/sim/random.ts";
import { freshClientId, JobTable } from "../../../src/table/table.ts";
import { anyJson, concat, edgeNumber, edgeText, mutateBytes, valueOf } from "./garbage.ts";

/** For HLC stamps of about now, so that new entries win over existing ones. */
const hlcPerMs = 1_024;
const slotNames = [
  "created",
  "resumed",
  "schedule",
  "action",
  "enabled",
  "timeout",
  "catchUp",
  "keep",
  "target",
  "labels",
  "overlap",
  "partition",
  "paused",
  "mutex",
  "after",
];
/** Members that a later version may have in a group of fields. */
const laterMembers = ["http", "season", "__proto__", "a/b~c"];
const laterRoots = ["pools", "channels", "maintenance"];
const scheduleFields = ["schedule", "timezone", "startsAt", "endsAt", "except"] as const;
const schedules = [
  "* * * * * *",
  "@every 1s",
  "0 0 29 2 *",
  "@at 9999-12-31T23:59:59Z",
  "H H * * *",
  ["* * * * * *", "*/2 * * * * *", "@every 3s"],
] as const;

/** A writer with its own table, which sometimes catches up with the victim's. */
export class HostileWriter {
  readonly #dice: Dice;
  readonly #self: PeerId;
  #table: JobTable;
  #clients = 1;

  constructor(self: PeerId, dice: Dice) {
    this.#dice = dice;
    this.#self = self;
    this.#table = this.#newTable([]);
  }

  /** One update. `known`: the victim's table; `jobs`: the ids of its jobs. */
  draw(known: () => Uint8Array, jobs: readonly JobId[], wall: number): Uint8Array {
    const dice = this.#dice;
    const chance = dice.next();
    if (chance < 0.35) {
      const update = this.#edit(known, jobs, wall);
      return dice.chance(0.8) ? mutateBytes(update, dice) : update;
    }
    if (chance < 0.6) return this.#written(jobs, wall);
    if (chance < 0.9) return this.#built();
    if (chance < 0.95) return mutateBytes(known(), dice);
    return dice.bytes(dice.below(80));
  }

  #newTable(updates: readonly Uint8Array[]): JobTable {
    const dice = this.#dice.fork(`table ${this.#clients}`);
    const table = new JobTable({
      self: this.#self,
      clientId: 1_000_000 + this.#clients++,
      freshClientId: () => freshClientId(dice),
      incarnation: (wall) => ulid(wall, dice.bytes(16)),
    });
    table.load(updates);
    return table;
  }

  /** A valid edit of an existing or a new job. */
  #edit(known: () => Uint8Array, jobs: readonly JobId[], wall: number): Uint8Array {
    const dice = this.#dice;
    if (dice.chance(0.05)) this.#table = this.#newTable([known()]);
    const id = dice.chance(0.5) ? dice.pick(jobs) : (`fuzz-${dice.below(20)}` as JobId);
    const chance = dice.next();
    if (chance < 0.2) return edit(this.#table, { kind: "delete", id, by: "fuzz" }, wall);
    if (chance < 0.4) {
      const pause = { by: "fuzz", at: wall };
      return edit(this.#table, { kind: "pause", id, ulid: ulid(wall, dice.bytes(16)), pause }, wall);
    }
    const spec = { id, command: "true", schedule: "@every 30s", owner: edgeText(dice).slice(0, 40) };
    return edit(this.#table, { kind: "put", spec, by: "fuzz" }, wall);
  }

  /** Something that looks like a job, or nearly, with values that nobody would write. */
  #written(jobs: readonly JobId[], wall: number): Uint8Array {
    const dice = this.#dice;
    const doc = new Y.Doc();
    doc.clientID = dice.chance(0.9) ? 1 + dice.below(2 ** 31) : dice.pick([0, 2 ** 32, 2 ** 53 - 1]);
    const write = (): void => {
      const name = dice.chance(0.5) ? dice.pick(laterRoots) : edgeText(dice).slice(0, 20);
      const root = doc.getMap(dice.chance(0.94) ? "jobs" : name);
      for (let left = 1 + dice.below(2); left > 0; left--) {
        const map = new Y.Map<unknown>();
        const id = dice.chance(0.3) ? dice.pick(jobs) : `fuzz-${dice.below(50)}`;
        const hlc = wall * hlcPerMs + dice.below(1_000);
        if (dice.chance(0.95)) map.set(`created@${this.#self}`, { hlc, by: "fuzz", value: id });
        if (dice.chance(0.9)) {
          const action = { command: "true", ...this.#group("action") };
          map.set(`action@${this.#self}`, { hlc, by: "fuzz", value: action });
        }
        for (let slots = dice.below(5); slots > 0; slots--) this.#writeSlot(map, hlc);
        const key = dice.chance(0.97) ? ulid(wall, dice.bytes(16)) : edgeText(dice).slice(0, 40);
        root.set(key, dice.chance(0.97) ? map : strangeContent(dice));
      }
    };
    try {
      doc.transact(write);
    } catch {
      // Yjs can't encode the value; what was written before stays.
    }
    return Y.encodeStateAsUpdate(doc);
  }

  #writeSlot(map: Y.Map<unknown>, hlc: number): void {
    const dice = this.#dice;
    if (dice.chance(0.15)) {
      const pause = {
        by: "fuzz",
        at: edgeNumber(dice),
        ...(dice.chance(0.5) ? { until: edgeNumber(dice) } : {}),
      };
      map.set(`pause@${ulid(Math.floor(hlc / hlcPerMs), dice.bytes(16))}`, pause);
      return;
    }
    const slot = dice.chance(0.9) ? dice.pick(slotNames) : edgeText(dice).slice(0, 30);
    const stamp = dice.chance(0.9) ? hlc : edgeNumber(dice);
    const needs = dice.chance(0.3) ? { needs: this.#needs() } : {};
    const entry = { hlc: stamp, by: "fuzz", value: this.#valueOf(slot), ...needs };
    map.set(
      `${slot}@${dice.chance(0.9) ? this.#self : edgeText(dice).slice(0, 130)}`,
      dice.chance(0.98) ? entry : strangeContent(dice),
    );
  }

  #needs(): unknown {
    const dice = this.#dice;
    return dice.pick([() => [], () => ["majority"], () => ["chain", edgeText(dice)], () => anyJson(dice)])();
  }

  #valueOf(slot: string): unknown {
    const dice = this.#dice;
    if (slot === "resumed") return edgeNumber(dice);
    if (slot === "schedule" || slot === "action") return this.#group(slot);
    const properties: Readonly<
      Record<string, (typeof JobSpecSchema.properties)[keyof typeof JobSpecSchema.properties]>
    > = JobSpecSchema.properties;
    const schema = properties[slot];
    if (slot === "keep" && dice.chance(0.3)) return { runs: 3, [dice.pick(laterMembers)]: anyJson(dice) };
    return schema === undefined || dice.chance(0.2) ? anyJson(dice) : valueOf(schema, dice, () => undefined);
  }

  #group(slot: "schedule" | "action"): Record<string, unknown> {
    const dice = this.#dice;
    const fields = slot === "schedule" ? scheduleFields : (["env", "stdin", "argv", "umask", "cwd"] as const);
    const group: Record<string, unknown> = {};
    for (const field of fields) {
      if (dice.chance(0.7)) continue;
      group[field] = valueOf(JobSpecSchema.properties[field], dice, () => undefined);
    }
    if (slot === "schedule" && dice.chance(0.7)) group["schedule"] = dice.pick(schedules);
    if (slot === "schedule" && dice.chance(0.2))
      group["timezone"] = dice.pick(["Europe/Berlin", "eUROPE/bERLIN", "Asia/Gaza"]);
    if (slot === "schedule" && dice.chance(0.2))
      group["startsAt"] = dice.pick(["9999-01-01T00:00:00Z", "0000-01-01T00:00:00Z"]);
    if (dice.chance(0.2)) group[dice.pick(laterMembers)] = anyJson(dice);
    return group;
  }

  /** An update that is built struct by struct, in the format that update.ts reads. */
  #built(): Uint8Array {
    const dice = this.#dice;
    const clients = dice.below(3);
    const parts: Uint8Array[] = [integer(dice.chance(0.95) ? clients : edgeClock(dice))];
    for (let i = 0; i < clients; i++) {
      const structs = dice.below(5);
      parts.push(integer(structs), integer(this.#client()), integer(dice.chance(0.7) ? 0 : edgeClock(dice)));
      for (let j = 0; j < structs; j++) parts.push(this.#struct());
    }
    const deleters = dice.below(3);
    parts.push(integer(deleters));
    for (let i = 0; i < deleters; i++) {
      const ranges = dice.below(4);
      parts.push(integer(this.#client()), integer(ranges));
      for (let j = 0; j < ranges; j++) parts.push(integer(edgeClock(dice)), integer(edgeClock(dice)));
    }
    return concat(...parts);
  }

  #client(): number {
    return this.#dice.pick([1, 99, 1_000_001, 2 ** 31, edgeClock(this.#dice)]);
  }

  #struct(): Uint8Array {
    const dice = this.#dice;
    const key = dice.pick([
      `owner@${this.#self}`,
      "pause@01ARZ3NDEKTSV4RRFFQ69G5FAV",
      "01ARZ3NDEKTSV4RRFFQ69G5FAV",
      "x",
    ]);
    const content = dice.pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    if (content === 0) return concat(Uint8Array.of(0), integer(edgeClock(dice)));
    const origins = dice.pick([0, 0, 0x80, 0x40, 0xc0]);
    const parts: Uint8Array[] = [Uint8Array.of(content | origins | (dice.chance(0.8) ? 0x20 : 0))];
    if ((origins & 0x80) !== 0) parts.push(integer(this.#client()), integer(edgeClock(dice)));
    if ((origins & 0x40) !== 0) parts.push(integer(this.#client()), integer(edgeClock(dice)));
    if (origins === 0) {
      if (dice.chance(0.5)) parts.push(integer(1), text(dice.chance(0.8) ? "jobs" : dice.pick(laterRoots)));
      else parts.push(integer(0), integer(this.#client()), integer(edgeClock(dice)));
      parts.push(text(key));
    }
    if (content === 1) parts.push(integer(edgeClock(dice)));
    else if (content === 7) parts.push(integer(dice.below(8)));
    else parts.push(integer(dice.pick([0, 1, 1, 1, 2, edgeClock(dice)])), this.#any(3));
    return concat(...parts);
  }

  /** A value in the format of lib0's `writeAny`, with lengths that may be wrong. */
  #any(depth: number): Uint8Array {
    const dice = this.#dice;
    const tag = dice.pick([116, 117, 118, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127]);
    const parts: Uint8Array[] = [Uint8Array.of(tag)];
    if (tag === 125) parts.push(integer(edgeClock(dice)));
    else if (tag === 124) parts.push(dice.bytes(4));
    else if (tag === 123 || tag === 122) parts.push(dice.bytes(8));
    else if (tag === 119 || tag === 116) parts.push(text(edgeText(dice).slice(0, 50)));
    else if ((tag === 118 || tag === 117) && depth > 0) {
      const members = dice.below(4);
      parts.push(integer(dice.chance(0.9) ? members : edgeClock(dice)));
      for (let i = 0; i < members; i++) {
        if (tag === 118) parts.push(text(dice.pick(["hlc", "by", "value", "__proto__"])));
        parts.push(this.#any(depth - 1));
      }
    }
    return concat(...parts);
  }
}

function strangeContent(dice: Dice): unknown {
  return dice.pick([
    () => new Y.Array(),
    () => new Y.Text("x"),
    () => new Y.XmlElement("script"),
    () => new Y.Map([["x", 1]]),
    () => dice.bytes(10),
    () => anyJson(dice),
    () => 1n,
    () => Number.NaN,
  ])();
}

function edgeClock(dice: Dice): number {
  return dice.chance(0.6) ? dice.below(6) : Math.min(2 ** 53 - 1, Math.floor(Math.abs(edgeNumber(dice))));
}

/** A number in 7-bit groups, the least significant first. */
export function integer(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

function text(value: string): Uint8Array {
  const bytes = Buffer.from(value);
  return concat(integer(bytes.length), bytes);
}
