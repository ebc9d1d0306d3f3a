/**
 * Reads a run's output, wherever it is (DESIGN §10): here, at its runner, or at a peer that keeps a copy.
 *
 * This peer looks on its own disk, then asks the runner, then the living members in the order in which copies are placed. Each
 * request is answered with one piece: that is the credit that keeps a sender from flooding a reader.
 */
import { CicadaError } from "../../errors.ts";
import type { Cancel, Clock, Executor, LogPiece } from "../../ports.ts";
import type { Disk } from "../../ports/disk.ts";
import { parseRunReference, runId, type PeerId, type RunId } from "../../schema/ids.ts";
import type { Message, MessageOf } from "../../schema/message.ts";
import { memberHashesOf, rankKey } from "../../core/job/rank.ts";
import { encodeBytes, pieceBytes } from "../messages/pieces.ts";

/** How long a peer may take to answer before the next one is asked. */
const answerMs = 3_000;
/** Pieces read for one peer at once. A reader asks for one piece and waits, so this many people can read through one peer. */
const givenAtOnce = 32;
/** The most attempts of one tick that are read. */
const attemptsRead = 1_000;

/** What reading outputs and copying them both need. */
export interface OutputDeps {
  clock: Clock;
  send(to: PeerId, message: Message): void;
  /** the living members other than this peer */
  living(): PeerId[];
  count(name: string): void;
}

interface ReadDeps extends OutputDeps {
  executor: Pick<Executor, "readLog">;
}

type LogMessage = MessageOf<"log-read" | "log-piece">;
interface Waiting {
  from: PeerId;
  offset: number;
  length: number;
  answer: (piece: LogPiece | undefined) => void;
  giveUp: Cancel;
}

export class Logs {
  readonly #deps: ReadDeps;
  readonly #waiting = new Map<number, Waiting>();
  readonly #giving = new Map<PeerId, number>();
  #nextId = 1;

  constructor(deps: ReadDeps) {
    this.#deps = deps;
  }

  /** Reads at most `length` bytes from `offset`. Undefined when no peer in reach has the output. */
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
    this.#waiting.set(id, { from: to, offset, length, answer, giveUp });
    this.#deps.send(to, { kind: "log-read", id, run, offset, length });
  }

  heard(from: PeerId, message: LogMessage): void {
    switch (message.kind) {
      case "log-read":
        return this.#give(from, message);
      case "log-piece":
        return this.#taken(from, message);
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
    const piece = { bytes: Buffer.from(bytes, "base64"), offset, size, complete };
    // A piece longer than was asked for would go on behind the end of an HTTP answer, as if it were the next one.
    const isAsAsked =
      offset === waiting.offset && piece.bytes.length <= waiting.length && Number.isSafeInteger(size);
    if (found && !isAsAsked) this.#deps.count("log_pieces_refused");
    waiting.answer(found && isAsAsked ? piece : undefined);
  }
}

/** Whether the disk has a record of that peer's run. If it can't be read, the answer is no. */
export function isRunStored(
  disk: Pick<Disk, "history">,
  run: RunId,
  peer: PeerId,
  done: (isStored: boolean) => void,
): void {
  const { job, tick, slot = "0" } = parseRunReference(run) ?? {};
  if (job === undefined || tick === undefined) return done(false);
  disk.history({ job, tick, slot, peer, limit: attemptsRead }, (page) =>
    done(!(page instanceof CicadaError) && page.records.some((record) => runId(record) === run)),
  );
}

/** A run's id names its runner by the last 8 characters of the peer's id. */
export function isRunOf(run: string, peer: PeerId): boolean {
  return parseRunReference(run)?.peerEnd === peer.slice(-8);
}
