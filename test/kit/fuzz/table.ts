/**
 * The door of the job table alone: thousands of hostile updates for one table. A refused update must change nothing.
 * After an accepted one the table must be shown and copied without an error, and equal any other with the same updates.
 * An edit by this version must leave unknown parts unchanged.
 */
import * as Y from "yjs";
import { edit } from "../tables.ts";
import type { JobId, PeerId } from "../../../src/schema/ids.ts";
import { JobSpecSchema, type JobSpec } from "../../../src/schema/job.ts";
import { ulid } from "../../../src/schema/ids.ts";
import { Dice } from "../../../src/sim/random.ts";
import { JobTable } from "../../../src/table/table.ts";
import { inspectUpdate } from "../../../src/table/update.ts";
import { Fault, type Door, type OpenDoor } from "./door.ts";
import { HostileWriter } from "./updates.ts";

const wall = Date.UTC(2026, 10, 20);
const ids = ["backup", "report", "mail"] as readonly string[] as readonly JobId[];
/** After this many inputs the table is compared with another one. */
const comparedEvery = 200;

export function tableDoor(): Door {
  return { name: "table", share: 20, round: 2_000, open: (seed) => new TableDoor(seed) };
}

class TableDoor implements OpenDoor {
  readonly #dice: Dice;
  readonly #table: JobTable;
  readonly #writer: HostileWriter;
  #last: Uint8Array = new Uint8Array();
  #inputs = 0;
  #tables = 0;

  constructor(seed: string) {
    this.#dice = new Dice(`table ${seed}`);
    this.#table = this.#newTable("a");
    this.#writer = new HostileWriter("x" as PeerId, this.#dice.fork("writer"));
    for (const id of ids) edit(this.#table, { kind: "put", spec: { id, command: "true" }, by: "x" }, wall);
  }

  #newTable(self: string): JobTable {
    const dice = this.#dice.fork(`${self} ${this.#tables++}`);
    return new JobTable({
      self: self as PeerId,
      clientId: 1 + dice.below(2 ** 31 - 1),
      freshClientId: () => 1 + dice.below(2 ** 31 - 1),
      incarnation: (at) => ulid(at, dice.bytes(16)),
    });
  }

  one(): void {
    const table = this.#table;
    this.#last = this.#writer.draw(() => table.snapshot(), ids, wall + ++this.#inputs);
    const before = table.digest();
    table.takeChanges();
    const applied = table.apply(this.#last);
    const isUnmoved = table.digest() === before && table.takeChanges().length === 0;
    if (applied !== "changed" && !isUnmoved)
      throw new Fault(`it was ${JSON.stringify(applied)}, and something moved`);
    table.quarantined();
    if (this.#dice.chance(0.05)) table.heardStateVector(this.#dice.bytes(this.#dice.below(30)));
    if (this.#dice.chance(0.05)) table.diff(this.#dice.bytes(this.#dice.below(30)));
    if (this.#dice.chance(0.05)) this.#editHere();
    if (this.#inputs % comparedEvery === 0) this.#compare();
  }

  /** Edits a job with this version, as a person who has read it does: unknown parts must stay. */
  #editHere(): void {
    const table = this.#table;
    const job = table.jobs().get(this.#dice.pick(ids));
    if (job === undefined) return;
    const before = laterParts(table, job.id);
    const drawn = {
      owner: `o${this.#inputs}`,
      stdin: `s${this.#inputs}`,
      timezone: this.#dice.pick(["UTC", "Europe/Berlin"]),
      keep: { runs: 1 + this.#dice.below(9) },
    };
    const spec: JobSpec = { ...job.spec, ...drawn };
    edit(table, { kind: "put", spec, by: "x" }, wall + this.#inputs);
    const after = laterParts(table, job.id);
    if (before !== after) throw new Fault(`an edit has changed unknown parts: ${before} to ${after}`);
  }

  last(): string {
    return Buffer.from(this.#last).toString("base64");
  }

  checkRound(): void {
    this.#compare();
  }

  #compare(): void {
    const other = this.#newTable("b");
    const difference = this.#table.diff(other.stateVector());
    if (difference === undefined || inspectUpdate(difference, () => 0).kind !== "fits") {
      throw new Fault("its own state does not pass its own door");
    }
    const applied = other.apply(difference);
    if (applied !== "changed") throw new Fault(`another table said ${JSON.stringify(applied)} to it`);
    if (other.digest() !== this.#table.digest())
      throw new Fault("another table with the same updates differs");
    if (shown(other) !== shown(this.#table)) throw new Fault("another table shows other jobs");
  }
}

const { properties } = JobSpecSchema;
const ownNames: ReadonlySet<string> = new Set([...Object.keys(properties), "action", "created", "resumed"]);
/** By slot: the names of its known members. */
const ownMembers: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ["schedule", ownNames],
  ["action", ownNames],
  ["keep", new Set(Object.keys(properties.keep.properties))],
]);

/**
 * The slots, and members of slots, that this version doesn't know, in all incarnations of the job. Found by name only,
 * independently of the code under test.
 */
function laterParts(table: JobTable, id: JobId): string {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, table.snapshot());
  const newest = new Map<string, { hlc: number; peer: string; value: unknown }>();
  for (const map of doc.getMap("jobs").values()) {
    if (!(map instanceof Y.Map)) continue;
    const entries = [...map.entries()].flatMap(([key, entry]) => {
      const at = key.indexOf("@");
      return typeof entry === "object" && entry !== null && "hlc" in entry && !key.startsWith("pause@")
        ? [{ slot: key.slice(0, at), peer: key.slice(at + 1), ...entry }]
        : [];
    });
    if (!entries.some(({ slot, value }) => slot === "created" && value === id)) continue;
    for (const entry of entries) {
      const known = newest.get(entry.slot);
      const isNewer =
        known === undefined || entry.hlc > known.hlc || (entry.hlc === known.hlc && entry.peer > known.peer);
      if (isNewer) newest.set(entry.slot, entry);
    }
  }
  const parts = [...newest].flatMap(([slot, { value }]): unknown[] => {
    if (!ownNames.has(slot)) return [[slot, value]];
    const members = ownMembers.get(slot);
    if (members === undefined || typeof value !== "object" || value === null) return [];
    return Object.entries(value).filter(([name]) => !members.has(name));
  });
  return JSON.stringify(parts.map((part) => JSON.stringify(part)).toSorted());
}

function shown(table: JobTable): string {
  const jobs = [...table.jobs()].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([jobs, table.quarantined().length]);
}
