/**
 * Changes of the job table on their way: an own one goes into the table at once, to the disk, and from there to the
 * others; one from elsewhere goes into the table and to the disk. One that the disk does not take is taken back.
 */
import type { CicadaError } from "../errors.ts";
import type { Doors } from "../ports.ts";
import { ulid, type PeerId } from "../schema/ids.ts";
import type { TableChange } from "../schema/job.ts";
import { messageCapBytes } from "../schema/message.ts";
import type { JobTable } from "../table/table.ts";
import type { Retention } from "./retention.ts";
import type { Sync } from "./sync.ts";
import { undo } from "./undo.ts";
import type { Sender } from "./sender.ts";

/** An update in base64, with its envelope, must fit into one message. */
const gossipedUpdateBytes = (messageCapBytes * 3) / 4 - 1_024;

export interface EditsDeps {
  doors: Doors;
  table: JobTable;
  keeper: Retention;
  sync: Sync;
  voice: Sender;
  /** The table holds something new. */
  onChange(): void;
  count(name: string): void;
}

export class Edits {
  readonly #deps: EditsDeps;
  /** this life has written to the table */
  #hasWritten = false;

  constructor(deps: EditsDeps) {
    this.#deps = deps;
  }

  /** Makes the change; `done` when it is durable here, or has been taken back. */
  edit(change: TableChange, done: (error?: CicadaError) => void): void {
    const { doors, table } = this.#deps;
    const id = change.kind === "put" ? change.spec.id : change.kind === "forget-peer" ? undefined : change.id;
    const before = id === undefined ? undefined : table.jobs().get(id);
    this.#write(change, (error) => {
      if (error !== undefined) {
        const { wall } = doors.clock.now();
        const makeUlid = (): string => ulid(wall, doors.random.bytes(16));
        for (const back of undo(change, before, makeUlid)) this.#write(back, () => undefined);
      }
      done(error);
    });
  }

  /** An update that somebody has gossiped. */
  heard(from: PeerId, update: Uint8Array): void {
    const { doors, table, sync } = this.#deps;
    const applied = table.apply(update);
    if (applied === "changed") return this.taken(update);
    if (applied === "pending") return sync.tablePending(from, doors.clock.now());
    if (applied === "known") return;
    this.#deps.count("refused_update");
    doors.log.warn("a change of the job table was refused", { from, why: applied.refused });
  }

  /** An update from elsewhere is in the table: it is stored, and what it changes is told. */
  taken(update: Uint8Array): void {
    this.#deps.keeper.keepUpdate(update, () => undefined);
    this.#deps.onChange();
  }

  /** Into the table at once, to the others when it is durable. */
  #write(change: TableChange, done: (error?: CicadaError) => void): void {
    const { doors, table, keeper, voice } = this.#deps;
    this.#checkOwnEdits();
    const update = table.edit(change, doors.clock.now().wall);
    this.#deps.onChange();
    keeper.keepUpdate(update, (error) => {
      // What is too large for one message reaches the others by sync.
      if (error === undefined && update.length <= gossipedUpdateBytes) {
        voice.publish("jobs", { kind: "update", update: Buffer.from(update).toString("base64") });
      }
      done(error);
    });
  }

  /**
   * Before the first edit of a life: unless every peer that should be there has told what it has of this one's edits,
   * somebody may have more of them than this disk, which may be an old copy. Then this life writes under an id of its own.
   */
  #checkOwnEdits(): void {
    if (this.#hasWritten) return;
    this.#hasWritten = true;
    const { doors, table, sync } = this.#deps;
    const known = doors.mesh.known();
    if (known.length === 0 || !known.every((peer) => sync.knowsTableOf(peer))) table.leaveClientId();
  }
}
