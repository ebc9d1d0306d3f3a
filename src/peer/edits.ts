/**
 * The path of a change of the job table. This peer's own change goes into the table at once, then to the disk, then to the
 * others. A change from another peer goes into the table and to the disk.
 *
 * Changes are stored in the order in which they were made; those that come while the disk is busy are stored together
 * afterwards. A change that the disk refuses is undone. Later own changes that still wait for the disk may build on it, so they
 * are undone too and made again on the restored table. None of them has been acknowledged, so no acknowledged change is ever
 * touched. A Yjs document can't forget: the refused change and its undoing both stay in the document's history.
 */
import { CicadaError } from "../errors.ts";
import type { Doors, Now } from "../ports.ts";
import type { Write } from "../ports/disk.ts";
import type { PeerId } from "../schema/ids.ts";
import type { TableEdit } from "../schema/job.ts";
import { messageCapBytes } from "../schema/message.ts";
import type { EditStep } from "../table/editor.ts";
import type { JobTable } from "../table/table.ts";
import { metaKeys } from "./history/meta-keys.ts";
import { JobHistory } from "./job-history.ts";
import type { Sender } from "./messages/sender.ts";

/** The largest update that is gossiped: in base64, with its envelope, it must fit into one message. */
const gossipedUpdateBytes = (messageCapBytes * 3) / 4 - 1_024;
/** Updates stored between two snapshots. More makes starts slower; less writes the whole table more often. */
const updatesPerSnapshot = 2_000;
/** How often a disk that has refused a write is tried again. */
const retryMs = 1_000;

type Done = (error?: CicadaError) => void;

/** A change that this peer makes. */
interface OwnChange {
  edits: readonly TableEdit[];
  steps: readonly EditStep[];
  /** stored together with it */
  notes: readonly Write[];
  done: Done;
}

/** An update that is in the table and not yet on the disk. */
interface Unstored {
  update: Uint8Array;
  /** made here, so it is gossiped once it is durable */
  isOwn: boolean;
  /** undefined: no caller waits for it */
  change: OwnChange | undefined;
}

export interface EditsDeps {
  doors: Pick<Doors, "clock" | "disk" | "mesh">;
  table: JobTable;
  /** how many updates the disk holds since its last snapshot */
  storedUpdates: number;
  sender: Sender;
  /** Called when the table has changed, before the change is stored. */
  onChange(): void;
}

export class Edits {
  readonly #deps: EditsDeps;
  readonly #table: JobTable;
  /** is told of each change by the caller's `onChange` */
  readonly history = new JobHistory();
  /** this peer has edited the table in this life */
  #hasWritten = false;
  /** peers that have said in this life how much of the table they have */
  readonly #heard = new Set<PeerId>();
  #waiting: Unstored[] = [];
  #storing = false;
  /** The disk lacks an update that later ones build on, so the whole table is stored next. */
  #lacking = false;
  #retryAtMono = 0;
  /** updates on the disk since the last snapshot */
  #updates: number;
  /** the client id that is stored on the disk */
  #clientId: number;

  constructor(deps: EditsDeps) {
    this.#deps = deps;
    this.#table = deps.table;
    this.#updates = deps.storedUpdates;
    this.#clientId = this.#table.clientId;
  }

  /**
   * Makes all edits as one change, and calls `done` when the change is durable here, with its notes, or has been undone; at
   * once, with TABLE_FULL, if there is no room for it.
   */
  edit(edits: readonly TableEdit[], done: Done, notes: readonly Write[] = []): void {
    const full = this.#table.fullFor(edits);
    if (full !== undefined) return done(new CicadaError("TABLE_FULL", full));
    this.#make({ edits, steps: [], notes, done });
    this.history.editing(edits);
    this.#deps.onChange();
    this.#store();
  }

  /** The peer has said how much of the table it has, and so how many of this peer's edits. */
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

  /** Puts the change into the table and queues it for the disk. */
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
    writes.push(...this.history.take(), ...changesOf(batch).flatMap(({ notes }) => notes));
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
      // An update that is too large for one message reaches the others by sync.
      if (isOwn && update.length <= gossipedUpdateBytes) {
        this.#deps.sender.publish("jobs", { kind: "update", update: Buffer.from(update).toString("base64") });
      }
      change?.done();
    }
  }

  /** Undoes this peer's own changes in the batch and those made after it, and makes the later ones again. */
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
   * Runs before the first edit of a life. This data folder may be an old copy, and another peer may have more of this peer's
   * edits than it. Unless every known peer has said how many it has, this life writes under a new client id.
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
