/**
 * Sync: how two peers find out what one has and the other lacks, and mend it. Gossip is fast and may lose anything;
 * sync is slower and is what the promises rest on. It runs between neighbours (peers with a link), for the job table
 * and for run records alike, and each side fetches for itself: nobody has to remember what another has.
 *
 * Table. A sends `table-have` with its digest and state vector, in pieces if it is long. B answers with its own, marked
 * `reply`; if the digests differ, it adds the first piece of what A lacks by `table-diff`, and A offers B what B lacks in
 * the same way. Each asks for the next piece by `table-want`, so a table of any size goes over a link at the pace of its
 * receiver, and a large one is fetched from one neighbour at a time. This happens when a link comes up, when two
 * heartbeats in a row show another digest, and at once when an update came that builds on an unknown one.
 *
 * Records. A sends `buckets`: digests of 5-minute buckets. B answers with its digests, and each of the two asks by `want`
 * for the buckets that differ, newest first, page by page, naming what it has in them. The answer is what is missing
 * there, in pieces, the last one marked; A keeps it and asks for the next page. This happens when a link comes up, every
 * half a minute (the first time for records of all ages, then for those of the last three days), and when somebody asks for
 * the last 15 minutes. What A has pruned is no difference: it has sent B its horizons (horizons.ts), and B gives it nothing
 * below them.
 *
 * Watermarks. When the table and the records of a new link are here, each side asks the other how far it knows each job's
 * ticks to be over (sync-watermarks.ts). Only then is `onSynced` called.
 *
 * Loss, repetition and both sides beginning at once are ordinary. Every exchange has a number; what belongs to none
 * that is open is taken in if it says something new and is otherwise ignored. A question
 * that is not answered within 3 s is sent again, for ever, as long as the link is up; that counts from when it was sent, not
 * from when this side began to read its own disk. An exchange keeps no lock and no promise: what
 * arrives twice is merged twice, which changes nothing.
 *
 * `onSynced(peer)` says: since the link came up (or since `wantRecent`), this side has taken in everything that the
 * peer had when it was asked. Not promised: that the peer has what this side has (it says that itself), that nothing
 * has changed since, or that records below a prune horizon come back. Signatures are not looked at here; whoever is
 * given records by `onRecords` must verify them, and must call `disk.store` for what it keeps before it returns.
 */
import { assert } from "../errors.ts";
import type { Log, Now, Random } from "../ports.ts";
import type { Disk, Things } from "../ports/disk.ts";
import type { PeerId } from "../schema/ids.ts";
import type { Message } from "../schema/message.ts";
import type { Watermark } from "../schema/run.ts";
import type { JobTable } from "../table/table.ts";
import type { Horizons } from "./horizons.ts";
import { RecordGiving } from "./sync-giving.ts";
import { RecordSync } from "./sync-records.ts";
import { TableSync } from "./sync-table.ts";
import { WatermarkSync } from "./sync-watermarks.ts";

export interface SyncDeps {
  table: JobTable;
  disk: Pick<Disk, "digests" | "things">;
  random: Random;
  horizons: Horizons;
  /** The oldest instant (ms) to exchange records of. */
  oldest(now: Now): number;
  now(): Now;
  /** On protocol `sync`. */
  send(to: PeerId, message: Message): void;
  /** Applied to the table and new: to be stored. */
  onUpdate(update: Uint8Array): void;
  /** The peer has said what it has of the table. */
  onHave(peer: PeerId): void;
  onRecords(things: Omit<Things, "next">): void;
  /** How far this peer knows each job's ticks to be over. */
  watermarks(): readonly Watermark[];
  onWatermarks(watermarks: readonly Watermark[]): void;
  onSynced(peer: PeerId): void;
  count(name: string): void;
  log: Log;
}

interface Progress {
  table: boolean;
  records: boolean;
  /** "asked" until the answer is here */
  watermarks: "unknown" | "asked" | "here";
  /** `onSynced` was called and nothing has been asked for since */
  announced: boolean;
}

export class Sync {
  readonly #deps: SyncDeps;
  readonly #table: TableSync;
  readonly #records: RecordSync;
  readonly #giving: RecordGiving;
  readonly #watermarks: WatermarkSync;
  readonly #progress = new Map<PeerId, Progress>();
  #lastId: number;

  constructor(deps: SyncDeps) {
    this.#deps = deps;
    // An answer to an earlier life of this peer must not be taken for one to this.
    this.#lastId = Math.floor(deps.random.next() * 2 ** 40);
    const nextId = (): number => ++this.#lastId;
    this.#table = new TableSync({ ...deps, nextId, onDone: (peer) => this.#done(peer, "table") });
    this.#records = new RecordSync({
      ...deps,
      nextId,
      random: () => deps.random.next(),
      onDone: (peer) => this.#done(peer, "records"),
    });
    this.#giving = new RecordGiving({ ...deps, horizonAt: (peer, job) => deps.horizons.at(peer, job) });
    this.#watermarks = new WatermarkSync({
      ...deps,
      nextId,
      onDone: (peer) => this.#heardWatermarksOf(peer),
    });
  }

  linkUp(peer: PeerId, now: Now): void {
    this.#progress.set(peer, { table: false, records: false, watermarks: "unknown", announced: false });
    this.#deps.horizons.linkUp(peer);
    this.#table.linkUp(peer, now);
    this.#records.linkUp(peer, now);
  }

  linkDown(peer: PeerId): void {
    this.#progress.delete(peer);
    this.#table.linkDown(peer);
    this.#records.linkDown(peer);
    this.#watermarks.linkDown(peer);
    this.#deps.horizons.linkDown(peer);
  }

  /** A message of protocol `sync`, decoded. */
  heard(from: PeerId, message: Message, now: Now): void {
    if (message.kind === "table-have") this.#table.heardHave(from, message, now);
    else if (message.kind === "table-have-want") this.#table.heardHaveWant(from, message, now);
    else if (message.kind === "table-diff") this.#table.heardDiff(from, message, now);
    else if (message.kind === "table-want") this.#table.heardWant(from, message, now);
    else if (message.kind === "buckets") this.#records.heardBuckets(from, message, now);
    else if (message.kind === "want") this.#giving.heardWant(from, message);
    else if (message.kind === "records") this.#records.heardRecords(from, message, now);
    else if (message.kind === "watermarks-want") this.#watermarks.heardWant(from, message);
    else if (message.kind === "watermarks") this.#watermarks.heardWatermarks(from, message, now);
    else if (message.kind === "horizons") this.#deps.horizons.heard(from, message);
    else if (message.kind === "horizons-want") this.#deps.horizons.heardWant(from);
    else assert(false, `${message.kind} is no message of sync`);
  }

  /** About every second: what has waited too long is asked again, what is due is begun. */
  woke(now: Now): void {
    this.#table.woke(now);
    this.#records.woke(now);
    this.#watermarks.woke(now);
  }

  /** Neighbours with whom no sync can be finished, and why, in words. */
  troubles(now: Now): { peer: PeerId; what: string }[] {
    return [...this.#table.troubles(now), ...this.#records.troubles(now)];
  }

  /** The table's digest in a neighbour's heartbeat. */
  tableDigest(peer: PeerId, digest: string, now: Now): void {
    this.#table.digestHeard(peer, digest, now);
  }

  /** An update of the table that the peer has gossiped. */
  heardUpdate(from: PeerId, update: Uint8Array, now: Now): void {
    this.#table.heardUpdate(from, update, now);
  }

  /** Compares the records of the last 15 minutes now; `onSynced` follows once more. */
  wantRecent(peer: PeerId, now: Now): void {
    const progress = this.#progress.get(peer);
    if (progress === undefined) return;
    progress.records = false;
    progress.announced = false;
    this.#records.wantRecent(peer, now);
  }

  #done(peer: PeerId, what: "table" | "records"): void {
    const progress = this.#progress.get(peer);
    if (progress === undefined) return;
    progress[what] = true;
    if (!progress.table || !progress.records || progress.announced) return;
    if (progress.watermarks === "here") this.#announce(peer, progress);
    else if (progress.watermarks === "unknown") {
      progress.watermarks = "asked";
      this.#watermarks.ask(peer, this.#deps.now());
    }
  }

  /** What a neighbour knows to be over counts only beside all its records. */
  #heardWatermarksOf(peer: PeerId): void {
    const progress = this.#progress.get(peer);
    if (progress === undefined) return;
    progress.watermarks = "here";
    if (progress.table && progress.records && !progress.announced) this.#announce(peer, progress);
  }

  #announce(peer: PeerId, progress: Progress): void {
    progress.announced = true;
    this.#deps.onSynced(peer);
  }
}
