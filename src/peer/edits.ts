/**
 * Changes of the job table on their way. An own change goes into the table at once, to the disk, and from there to the
 * others; one from elsewhere goes into the table and to the disk.
 *
 * Changes are stored in the order in which they were made, and what comes while the disk is at work is stored together
 * afterwards. Of a change that the disk refuses nothing stays: it is taken back, together with the later ones that are
 * still waiting (they may build on it), and those are made again on what is restored. Nobody has been told yet that they
 * are durable, so what was acknowledged is never touched. The document can't forget, it can only be written again: the
 * refused change and its way back are part of its history.
 */
import type { CicadaError } from "../errors.ts";
import type { Doors, Now } from "../ports.ts";
import type { Write } from "../ports/disk.ts";
import type { PeerId } from "../schema/ids.ts";
import type { TableEdit } from "../schema/job.ts";
import { messageCapBytes } from "../schema/message.ts";
import type { EditStep } from "../table/editor.ts";
import type { JobTable } from "../table/table.ts";
import { metaKeys } from "./boot.ts";
import type { Sender } from "./sender.ts";

/** An update in base64, with its envelope, must fit into one message. */
const gossipedUpdateBytes = (messageCapBytes * 3) / 4 - 1_024;
/** Updates stored since the last snapshot: more makes starts slower, less writes the whole table more often. */
const updatesPerSnapshot = 2_000;
/** A disk that has refused is tried again this often. */
const retryMs = 1_000;

type Done = (error?: CicadaError) => void;

/** A change that this peer makes. */
interface OwnChange {
  edits: readonly TableEdit[];
  steps: readonly EditStep[];
  done: Done;
}

/** An update that is in the table and not yet on the disk. */
interface Unstored {
  update: Uint8Array;
  /** to be told to the others when it is durable */
  isOwn: boolean;
  /** undefined: nobody waits for it */
  change: OwnChange | undefined;
}

export interface EditsDeps {
  doors: Pick<Doors, "clock" | "disk" | "mesh">;
  booted: { table: JobTable; loaded: { updates: readonly Uint8Array[] } };
  sender: Sender;
  /** The table holds something new. */
  onChange(): void;
}

export class Edits {
  readonly #deps: EditsDeps;
  readonly #table: JobTable;
  /** this life has written to the table */
  #hasWritten = false;
  /** who has said in this life what it has of the table */
  readonly #heard = new Set<PeerId>();
  #waiting: Unstored[] = [];
  #storing = false;
  /** The disk lacks an update that later ones build on: the next thing that is stored is the whole table. */
  #lacking = false;
  #retryAtMono = 0;
  /** updates on the disk since the last snapshot */
  #updates: number;
  /** as the disk has it */
  #clientId: number;

  constructor(deps: EditsDeps) {
    this.#deps = deps;
    this.#table = deps.booted.table;
    this.#updates = deps.booted.loaded.updates.length;
    this.#clientId = this.#table.clientId;
  }

  /** Makes all of the edits as one change; `done` when it is durable here, or has been taken back. */
  edit(edits: readonly TableEdit[], done: Done): void {
    this.#make({ edits, steps: [], done });
    this.#deps.onChange();
    this.#store();
  }

  /** The peer has said in this life what it has of the table, and of this peer's edits in it. */
  heardTableOf(peer: PeerId): void {
    this.#heard.add(peer);
  }

  /** An update from elsewhere has been taken into the table. */
  taken(update: Uint8Array): void {
    this.#waiting.push({ update, isOwn: false, change: undefined });
    this.#deps.onChange();
    this.#store();
  }

  woke({ mono }: Now): void {
    if (this.#lacking && mono >= this.#retryAtMono) this.#store();
  }

  /** Into the table, and among what is to be stored. */
  #make(change: OwnChange): void {
    this.#checkOwnEdits();
    const { update, steps } = this.#table.edit(change.edits, this.#deps.doors.clock.now().wall);
    change.steps = steps;
    this.#waiting.push({ update, isOwn: true, change });
  }

  #store(): void {
    if (this.#storing || (this.#waiting.length === 0 && !this.#lacking)) return;
    this.#storing = true;
    const batch = this.#waiting;
    this.#waiting = [];
    const { clientId } = this.#table;
    const isSnapshot = this.#lacking || this.#isManyUpdates(batch.length);
    const writes: Write[] = isSnapshot
      ? [{ kind: "snapshot", update: this.#table.snapshot() }]
      : batch.map(({ update }) => ({ kind: "update", update }));
    if (clientId !== this.#clientId) {
      writes.push({ kind: "meta", key: metaKeys.clientId, value: String(clientId) });
    }
    this.#deps.doors.disk.store(writes, (error) => {
      this.#lacking = error !== undefined;
      if (error === undefined) {
        this.#clientId = clientId;
        this.#updates = isSnapshot ? 0 : this.#updates + batch.length;
        this.#stored(batch);
      } else {
        this.#retryAtMono = this.#deps.doors.clock.now().mono + retryMs;
        this.#refused(batch, error);
      }
      this.#storing = false;
      if (this.#waiting.length > 0) this.#store();
    });
  }

  #isManyUpdates(more: number): boolean {
    return this.#updates + more >= Math.max(updatesPerSnapshot, this.#table.jobs().size);
  }

  #stored(batch: readonly Unstored[]): void {
    for (const { update, isOwn, change } of batch) {
      // What is too large for one message reaches the others by sync.
      if (isOwn && update.length <= gossipedUpdateBytes) {
        this.#deps.sender.publish("jobs", { kind: "update", update: Buffer.from(update).toString("base64") });
      }
      change?.done();
    }
  }

  /** Takes the own changes of the batch back, and makes those that came after them again. */
  #refused(batch: readonly Unstored[], error: CicadaError): void {
    const refused = changesOf(batch);
    if (refused.length === 0) return;
    const later = changesOf(this.#waiting);
    for (const one of this.#waiting) one.change = undefined;
    const all = [...refused, ...later].map(({ steps }) => steps);
    const update = this.#table.takeBack(all, this.#deps.doors.clock.now().wall);
    this.#waiting.push({ update, isOwn: true, change: undefined });
    for (const change of later) this.#make(change);
    this.#deps.onChange();
    for (const { done } of refused) done(error);
  }

  /**
   * Before the first edit of a life: unless every peer that should be there has said what it has of this one's edits,
   * somebody may have more of them than this disk, which may be an old copy. Then this life writes under a new client id.
   */
  #checkOwnEdits(): void {
    if (this.#hasWritten) return;
    this.#hasWritten = true;
    const known = this.#deps.doors.mesh.known();
    if (known.length === 0 || !known.every((peer) => this.#heard.has(peer))) this.#table.leaveClientId();
  }
}

function changesOf(batch: readonly Unstored[]): OwnChange[] {
  return batch.flatMap(({ change }) => change ?? []);
}
