/**
 * Sync: how two peers find out what one has and the other lacks, and fetch it. Gossip is fast and can lose anything; sync is
 * slower, and the promises rest on it. It runs between neighbours (peers with a link), for the job table and for run records,
 * and each side fetches what it lacks, so no peer has to remember what another one has.
 *
 * Table. A sends `table-have` with its digest and state vector, in pieces if it is long. B answers with its own, marked
 * `reply`. If the digests differ, B also sends the first piece of what A lacks, by `table-diff`, and A offers B what B lacks in
 * the same way. Each side asks for the next piece by `table-want`, so a table of any size crosses a link at its receiver's pace,
 * and a large one is fetched from one neighbour at a time. This happens when a link comes up, when two heartbeats in a row show
 * a different digest, and at once when an update arrives that builds on one that is missing here.
 *
 * Records. A sends `buckets`: digests of 5-minute buckets. B answers with its digests. Each side then asks by `want` for the
 * buckets that differ, newest first, page by page, and names what it has in them. The answer holds what is missing there, in
 * pieces, and its last piece is marked; the asking side stores it and asks for the next page. This happens when a link comes
 * up, every half a minute (the first time for records of all ages, then for those of the last three days), and for the last 15
 * minutes when core asks for it. What A has pruned doesn't come back: A has sent B its horizons (horizons.ts), and B sends A
 * nothing from before them.
 *
 * Watermarks. When the table and the records have been synced over a new link, each side asks the other up to which tick it
 * knows each job's ticks to be over (sync-watermarks.ts). Only then is `onSynced` called.
 *
 * Loss, repetition and simultaneous starts are ordinary. Every exchange has an id. A message that belongs to no open exchange is
 * taken in if it holds something new, and otherwise ignored. A request that isn't answered within 3 s is sent again, as long as
 * the link is up; the 3 s begin when it is sent, not when this side begins to read its disk. An exchange holds no lock: what
 * arrives twice is merged twice, which changes nothing.
 *
 * `onSynced(peer)` says that this side has taken in everything that the peer had when it was asked, after the link came up or
 * `wantRecent` was called. Not promised: that the peer has what this side has (the peer says that itself), that nothing has
 * changed since, or that records from before a prune horizon come back. Sync doesn't check signatures: `onRecords` must verify
 * the records that it gets, and must call `disk.store` for those that it keeps before it returns.
 */
import { assert } from "../../errors.ts";
import type { Log, Now, Random } from "../../ports.ts";
import type { Disk, Things } from "../../ports/disk.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Message } from "../../schema/message.ts";
import type { Watermark } from "../../schema/run.ts";
import type { JobTable } from "../../table/table.ts";
import type { Horizons } from "../history/horizons.ts";
import { RecordServer } from "./sync-serving.ts";
import { RecordSync, type RecentReach } from "./sync-records.ts";
import { TableSync } from "./sync-table.ts";
import { WatermarkSync } from "./sync-watermarks.ts";

export interface SyncDeps {
  table: JobTable;
  disk: Pick<Disk, "digests" | "things">;
  random: Random;
  horizons: Horizons;
  /** The instant (ms) from which on this peer wants every record. */
  oldest(now: Now): number;
  now(): Now;
  /** Sends on protocol `sync`. */
  send(to: PeerId, message: Message): void;
  /** What the peer has said caused that much work, in steps (work-shares.ts). */
  charge(peer: PeerId, steps: number): void;
  /** The update has changed the table, and is to be stored. */
  onUpdate(update: Uint8Array): void;
  /** The peer has said how much of the table it has. */
  onHave(peer: PeerId): void;
  onRecords(things: Omit<Things, "next">): void;
  /** Up to which tick this peer knows each job's ticks to be over. */
  watermarks(): readonly Watermark[];
  onWatermarks(peer: PeerId, watermarks: readonly Watermark[]): void;
  onSynced(peer: PeerId): void;
  count(name: string): void;
  log: Log;
}

interface Progress {
  table: boolean;
  records: boolean;
  /** "asked" until the answer is here */
  watermarks: "unknown" | "asked" | "here";
  /** `onSynced` was called, and `wantRecent` has not been called since */
  announced: boolean;
}

export class Sync {
  readonly #deps: SyncDeps;
  readonly #table: TableSync;
  readonly #records: RecordSync;
  readonly #recordServer: RecordServer;
  readonly #watermarks: WatermarkSync;
  readonly #progress = new Map<PeerId, Progress>();
  #lastId: number;

  constructor(deps: SyncDeps) {
    this.#deps = deps;
    // Ids begin at a random number, so that no answer to an earlier life of this peer fits a request of this one.
    this.#lastId = Math.floor(deps.random.next() * 2 ** 40);
    const nextId = (): number => ++this.#lastId;
    this.#table = new TableSync({ ...deps, nextId, onDone: (peer) => this.#done(peer, "table") });
    this.#records = new RecordSync({
      ...deps,
      nextId,
      random: () => deps.random.next(),
      onDone: (peer) => this.#done(peer, "records"),
    });
    this.#recordServer = new RecordServer({ ...deps, horizonAt: (peer, job) => deps.horizons.at(peer, job) });
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
    else if (message.kind === "want") this.#recordServer.heardWant(from, message);
    else if (message.kind === "records") this.#records.heardRecords(from, message, now);
    else if (message.kind === "watermarks-want") this.#watermarks.heardWant(from, message);
    else if (message.kind === "watermarks") this.#watermarks.heardWatermarks(from, message, now);
    else if (message.kind === "horizons") this.#deps.horizons.heard(from, message);
    else if (message.kind === "horizons-want") this.#deps.horizons.heardWant(from);
    else assert(false, `${message.kind} is no message of sync`);
  }

  /** Called about every second: repeats requests that have waited too long, and begins exchanges that are due. */
  woke(now: Now): void {
    this.#table.woke(now);
    this.#records.woke(now);
    this.#watermarks.woke(now);
  }

  /** Neighbours with which sync can't finish, and why, in words. */
  problems(now: Now): { peer: PeerId; what: string }[] {
    return [...this.#table.problems(now), ...this.#records.problems(now)];
  }

  /** The table's digest in a neighbour's heartbeat. */
  tableDigest(peer: PeerId, digest: string, now: Now): void {
    this.#table.digestHeard(peer, digest, now);
  }

  /** An update of the table that the peer has gossiped. Returns the steps that it causes beyond those for its bytes. */
  heardUpdate(from: PeerId, update: Uint8Array, now: Now): number {
    return this.#table.heardUpdate(from, update, now);
  }

  /**
   * Compares the records of the last 15 minutes now, and those that `reach` adds; `onSynced` is called again afterwards.
   */
  wantRecent(peer: PeerId, now: Now, reach: RecentReach = {}): void {
    const progress = this.#progress.get(peer);
    if (progress === undefined) return;
    progress.records = false;
    progress.announced = false;
    this.#records.wantRecent(peer, now, reach);
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

  /** A neighbour's watermarks count only together with all its records. */
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
