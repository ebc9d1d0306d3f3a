/**
 * Copies of outputs on other peers (DESIGN §10). When a run has ended, its runner sends the gzipped output to two other peers,
 * chosen by rendezvous on the run's id, so that the output outlives the host. An empty output is not copied: the run's record
 * says that it is empty.
 *
 * A large copy is sent piece by piece. The keeper asks for the next piece when it has the one before, so that no queue
 * overflows, and its last request confirms that it has all of them. A copy that fits into one message is sent without a
 * confirmation, which would double the messages of every run.
 *
 * A copy is kept only if this peer has a record of its run, because outputs are removed together with their records: without one,
 * a member that sends outputs of runs that never were would fill this peer's disk for good.
 *
 * Not promised: two copies while fewer than two other peers are alive, a new copy when its keeper dies, copies of outputs beyond
 * the cap.
 */
import type { Cancel, Executor } from "../../ports.ts";
import { runId, type PeerId, type RunId } from "../../schema/ids.ts";
import type { MessageOf } from "../../schema/message.ts";
import type { RunRecord } from "../../schema/run.ts";
import { memberHashesOf, rankKey } from "../../core/job/rank.ts";
import { isRunOf, type OutputDeps } from "./logs.ts";
import { encodeBytes, pieceBytes } from "../messages/pieces.ts";
import { stepsOfUnpacking } from "../messages/work-prices.ts";

const copies = 2;
/** A gzipped output larger than this is not copied. More costs each keeper that much of its disk and memory. */
const copyCapBytes = 8_388_608;
/** Bytes of gzipped outputs that wait for their keepers' requests. More costs memory; with less, more outputs stay uncopied. */
const givenBytesMax = 67_108_864;
/** A keeper that asks for nothing for this long gets no more pieces. */
const askedWithinMs = 30_000;
/** How long a copy waits for a record of its run, ms. Records come by gossip, the copy on a stream. */
const recordWithinMs = 10_000;
/**
 * Limits for copies that arrive at the same time or wait for a record, and for their bytes. Beyond either, the oldest copies are
 * dropped.
 */
const arrivingMax = 64;
const arrivingBytesMax = 67_108_864;

interface CopyDeps extends OutputDeps {
  executor: Pick<Executor, "packLog" | "keepLog">;
  /** Work that a message of this peer causes, in steps (work-shares.ts). */
  charge(peer: PeerId, steps: number): void;
  /** Whether a record of that peer's run is in memory. */
  remembersRun(run: RunId, peer: PeerId): boolean;
  /** The same, on the disk. */
  isRunStored(run: RunId, peer: PeerId, done: (isStored: boolean) => void): void;
}

/** A copy of several pieces on its way to a keeper. */
interface Given {
  gzip: Uint8Array;
  pieces: number;
  /** the piece that was sent last */
  piece: number;
  giveUp: Cancel;
}

export class LogCopies {
  readonly #deps: CopyDeps;
  readonly #given = new Map<string, Given>();
  #givenBytes = 0;
  readonly #arriving = new Map<string, Uint8Array[]>();
  #arrivingBytes = 0;

  constructor(deps: CopyDeps) {
    this.#deps = deps;
  }

  /** The run has ended here: sends its output, if there is any, to the peers that keep a copy. */
  copy(record: RunRecord): void {
    if (record.logBytes === 0) return;
    const run = runId(record);
    const keepers = rankKey(run, memberHashesOf(this.#deps.living())).slice(0, copies);
    if (keepers.length === 0) return;
    this.#deps.executor.packLog(run, copyCapBytes, (gzip) => {
      if (gzip === undefined) return;
      if (gzip === "too-large") return this.#deps.count("logs_too_large_to_copy");
      for (const keeper of keepers) this.#give(keeper, run, gzip);
    });
  }

  heard(from: PeerId, message: MessageOf<"log-copy" | "log-copy-next">): void {
    if (message.kind === "log-copy") this.#arrived(from, message);
    else this.#asked(from, message);
  }

  #give(to: PeerId, run: RunId, gzip: Uint8Array): void {
    const pieces = Math.max(1, Math.ceil(gzip.length / pieceBytes));
    if (pieces === 1) {
      this.#sendPiece(to, run, { gzip, pieces, piece: 0 });
      return this.#deps.count("logs_copied");
    }
    if (this.#givenBytes + gzip.length > givenBytesMax) return this.#deps.count("logs_not_copied");
    const key = `${to} ${run}`;
    const given = { gzip, pieces, piece: 0, giveUp: this.#awaitRequest(key) };
    this.#given.set(key, given);
    this.#givenBytes += gzip.length;
    this.#sendPiece(to, run, given);
  }

  /** The keeper has all pieces before the one that it asks for. */
  #asked(from: PeerId, { run, piece }: MessageOf<"log-copy-next">): void {
    const key = `${from} ${run}`;
    const given = this.#given.get(key);
    // A request that is repeated, or that skips a piece, is ignored.
    if (given === undefined || piece !== given.piece + 1) return;
    given.giveUp();
    if (piece === given.pieces) return this.#endGiving(key, given, "logs_copied");
    given.piece = piece;
    given.giveUp = this.#awaitRequest(key);
    this.#sendPiece(from, run, given);
  }

  #awaitRequest(key: string): Cancel {
    const { clock } = this.#deps;
    return clock.alarm(clock.now().mono + askedWithinMs, () => {
      const given = this.#given.get(key);
      if (given !== undefined) this.#endGiving(key, given, "logs_not_copied");
    });
  }

  #endGiving(key: string, { gzip }: Given, count: "logs_copied" | "logs_not_copied"): void {
    this.#given.delete(key);
    this.#givenBytes -= gzip.length;
    this.#deps.count(count);
  }

  #sendPiece(to: PeerId, run: string, { gzip, pieces, piece }: Omit<Given, "giveUp">): void {
    const bytes = encodeBytes(gzip.subarray(piece * pieceBytes, (piece + 1) * pieceBytes));
    this.#deps.send(to, { kind: "log-copy", run, piece, pieces, bytes });
  }

  #arrived(from: PeerId, { run, piece, pieces, bytes }: MessageOf<"log-copy">): void {
    // Only the runner itself sends copies.
    if (!isRunOf(run, from) || (pieces - 1) * pieceBytes > copyCapBytes) {
      return this.#deps.count("log_copies_refused");
    }
    const key = `${from} ${run}`;
    const before = this.#forget(key);
    const parts = piece === 0 ? [] : before;
    // Streams keep the order, so a piece that is not the next one belongs to a copy that broke off.
    if (parts === undefined || parts.length !== piece) return;
    parts.push(Buffer.from(bytes, "base64"));
    if (pieces > 1) this.#deps.send(from, { kind: "log-copy-next", run, piece: parts.length });
    if (parts.length === pieces) {
      // `isRunOf` above has parsed it as a run's id.
      const id = run as RunId;
      if (this.#deps.remembersRun(id, from)) return this.#keep(from, id, parts);
      this.#awaitRecord(from, id, parts);
    }
    this.#arriving.set(key, parts);
    this.#arrivingBytes += bytesIn(parts);
    for (const oldest of this.#arriving.keys()) {
      if (this.#arriving.size <= arrivingMax && this.#arrivingBytes <= arrivingBytesMax) return;
      this.#forget(oldest);
    }
  }

  #keep(from: PeerId, run: RunId, parts: readonly Uint8Array[]): void {
    const gzip = Buffer.concat(parts);
    this.#deps.charge(from, stepsOfUnpacking(gzip));
    this.#deps.executor.keepLog(run, gzip);
  }

  /** The copy is complete. It is dropped unless a record of its run comes in time. */
  #awaitRecord(from: PeerId, run: RunId, parts: readonly Uint8Array[]): void {
    const { clock } = this.#deps;
    const key = `${from} ${run}`;
    clock.alarm(clock.now().mono + recordWithinMs, () => {
      if (this.#arriving.get(key) !== parts) return;
      this.#forget(key);
      if (this.#deps.remembersRun(run, from)) return this.#keep(from, run, parts);
      this.#deps.isRunStored(run, from, (isStored) => {
        if (isStored) this.#keep(from, run, parts);
        else this.#deps.count("log_copies_refused");
      });
    });
  }

  #forget(key: string): Uint8Array[] | undefined {
    const parts = this.#arriving.get(key);
    this.#arriving.delete(key);
    this.#arrivingBytes -= bytesIn(parts ?? []);
    return parts;
  }
}

function bytesIn(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
