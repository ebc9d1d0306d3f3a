/**
 * A run's output, wherever it is (DESIGN §9). The runner keeps it; when the run has ended, two more peers get a
 * gzipped copy, chosen by rendezvous on the run's id, so that the output outlives the host. That a run printed nothing
 * is told by its record.
 *
 * To read one, this peer looks at home, then asks the runner, then the living members in the order of that rank. A
 * piece is asked for and a piece is given: that is the credit which keeps a fast sender at bay. Not promised: that
 * a copy exists while fewer than two other peers are there, or that a copy is made again when its keeper dies.
 */
import type { Cancel, Clock, Executor, LogPiece } from "../ports.ts";
import { parseRunReference, runId, type PeerId, type RunId } from "../schema/ids.ts";
import type { Message, MessageOf } from "../schema/message.ts";
import type { RunRecord } from "../schema/run.ts";
import { rankKey, memberHashesOf } from "../core/members/rank.ts";

/** Raw bytes in one message: base64 makes 4/3 of it, which leaves room for the envelope. */
const pieceBytes = 131_072;
/** How long one peer may take to answer before the next is asked. */
const answerMs = 3_000;
const copies = 2;
/** A gzipped log is at most this large; what is larger is not copied. */
const copyCapBytes = 8_388_608;
/** Copies being received at once, and their bytes; the oldest are dropped for a new one. */
const arrivingMax = 64;
const arrivingBytes = 67_108_864;
/** Pieces being read for one peer at once: readers ask for one and wait, so a few people may read at a time. */
const givenAtOnce = 32;

export interface LogDeps {
  self: PeerId;
  clock: Clock;
  executor: Executor;
  send(to: PeerId, message: Message): void;
  /** alive, oneself not included */
  living(): PeerId[];
  count(name: string): void;
}

type LogMessage = MessageOf<"log-read" | "log-piece" | "log-copy">;
interface Waiting {
  from: PeerId;
  answer: (piece: LogPiece | undefined) => void;
  giveUp: Cancel;
}

export class Logs {
  readonly #deps: LogDeps;
  readonly #waiting = new Map<number, Waiting>();
  readonly #arriving = new Map<string, Uint8Array[]>();
  #arrivingBytes = 0;
  readonly #giving = new Map<PeerId, number>();
  #nextId = 1;

  constructor(deps: LogDeps) {
    this.#deps = deps;
  }

  /** The run has ended here: hands its output, if it has any, to the peers that are to keep a copy. */
  copy(record: RunRecord): void {
    if (record.logBytes === 0) return;
    const { executor } = this.#deps;
    const run = runId(record);
    const keepers = rankKey(run, memberHashesOf(this.#deps.living())).slice(0, copies);
    if (keepers.length === 0) return;
    executor.packLog(run, copyCapBytes, (gzip) => {
      if (gzip === "too-large") this.#deps.count("logs_too_large_to_copy");
      if (gzip === undefined || gzip === "too-large") return;
      const pieces = Math.max(1, Math.ceil(gzip.length / pieceBytes));
      for (const to of keepers) {
        for (let piece = 0; piece < pieces; piece++) {
          const bytes = encodeBytes(gzip.subarray(piece * pieceBytes, (piece + 1) * pieceBytes));
          this.#deps.send(to, { kind: "log-copy", run, piece, pieces, bytes });
        }
      }
      this.#deps.count("logs_copied");
    });
  }

  /** Reads at most `length` bytes from `offset`. Undefined when nobody in reach has the output. */
  read(run: RunId, offset: number, length: number, done: (piece: LogPiece | undefined) => void): void {
    const wanted = Math.min(length, pieceBytes);
    this.#deps.executor.readLog(run, offset, wanted, (piece) => {
      if (piece !== undefined) return done(piece);
      this.#askNext(this.#holders(run), run, offset, wanted, done);
    });
  }

  /** The living members in the order in which they are likely to have the output: its runner, then by rank. */
  #holders(run: RunId): PeerId[] {
    const ranked = rankKey(run, memberHashesOf(this.#deps.living()));
    const isRunner = (peer: PeerId) => isRunOf(run, peer);
    return [...ranked.filter(isRunner), ...ranked.filter((peer) => !isRunner(peer))];
  }

  #askNext(
    peers: PeerId[],
    run: RunId,
    offset: number,
    length: number,
    done: (piece: LogPiece | undefined) => void,
  ): void {
    const [to, ...rest] = peers;
    if (to === undefined) return done(undefined);
    const id = this.#nextId++;
    const answer = (piece: LogPiece | undefined): void => {
      if (piece === undefined) this.#askNext(rest, run, offset, length, done);
      else done(piece);
    };
    const { clock } = this.#deps;
    const giveUp = clock.alarm(clock.now().mono + answerMs, () => {
      this.#waiting.delete(id);
      answer(undefined);
    });
    this.#waiting.set(id, { from: to, answer, giveUp });
    this.#deps.send(to, { kind: "log-read", id, run, offset, length });
  }

  heard(from: PeerId, message: LogMessage): void {
    switch (message.kind) {
      case "log-read":
        return this.#give(from, message);
      case "log-piece":
        return this.#taken(from, message);
      case "log-copy":
        return this.#arrived(from, message);
    }
  }

  #give(to: PeerId, { id, run, offset, length }: MessageOf<"log-read">): void {
    const giving = this.#giving.get(to) ?? 0;
    if (giving >= givenAtOnce) return this.#deps.count("log_reads_refused");
    this.#giving.set(to, giving + 1);
    this.#deps.executor.readLog(run as RunId, offset, length, (piece) => {
      const left = (this.#giving.get(to) ?? 1) - 1;
      if (left > 0) this.#giving.set(to, left);
      else this.#giving.delete(to);
      this.#deps.send(to, {
        kind: "log-piece",
        id,
        found: piece !== undefined,
        offset,
        bytes: piece === undefined ? "" : encodeBytes(piece.bytes),
        size: piece?.size ?? 0,
        complete: piece?.complete ?? true,
      });
    });
  }

  #taken(from: PeerId, { id, found, offset, bytes, size, complete }: MessageOf<"log-piece">): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined || waiting.from !== from) return;
    this.#waiting.delete(id);
    waiting.giveUp();
    waiting.answer(found ? { bytes: Buffer.from(bytes, "base64"), offset, size, complete } : undefined);
  }

  #arrived(from: PeerId, { run, piece, pieces, bytes }: MessageOf<"log-copy">): void {
    // Only the runner itself hands its output on.
    if (!isRunOf(run as RunId, from) || pieces * pieceBytes > 2 * copyCapBytes) {
      return this.#deps.count("log_copies_refused");
    }
    const key = `${from} ${run}`;
    const before = this.#forget(key);
    const parts = piece === 0 ? [] : before;
    // The stream keeps order, so a piece that is not the next one belongs to a copy that broke off.
    if (parts === undefined || parts.length !== piece) return;
    parts.push(Buffer.from(bytes, "base64"));
    if (parts.length === pieces) return this.#deps.executor.keepLog(run as RunId, Buffer.concat(parts));
    this.#arriving.set(key, parts);
    this.#arrivingBytes += bytesIn(parts);
    for (const oldest of this.#arriving.keys()) {
      if (this.#arriving.size <= arrivingMax && this.#arrivingBytes <= arrivingBytes) return;
      this.#forget(oldest);
    }
  }

  #forget(key: string): Uint8Array[] | undefined {
    const parts = this.#arriving.get(key);
    this.#arriving.delete(key);
    this.#arrivingBytes -= bytesIn(parts ?? []);
    return parts;
  }
}

/** A run's id names its runner by the last characters of the peer's id. */
function isRunOf(run: RunId, peer: PeerId): boolean {
  return parseRunReference(run)?.peerEnd === peer.slice(-8);
}

function bytesIn(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

function encodeBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
