/**
 * The table's part of sync (sync.ts describes the protocol): which neighbours have been asked, what they have answered, and
 * which pieces of a difference are still to be fetched. sync-table-serving.ts sends what the neighbours lack.
 */
import type { Now, Log } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { MessageOf } from "../../schema/message.ts";
import type { Applied } from "../../table/table.ts";
import { updateCapBytes } from "../../table/update.ts";
import { FetchTurns } from "./fetch-turns.ts";
import { pieceBytes } from "../messages/pieces.ts";
import { TableServing, type TableServingDeps } from "./sync-table-serving.ts";
import { stepsOfReread, stepsOfUpdate } from "../messages/work-prices.ts";
import { stepsOfBytes } from "../messages/work-shares.ts";
import { applyWhole, applyWithin, type BroughtClients } from "./new-clients.ts";
import { ArrivingVectors, type Arriving } from "./arriving-vectors.ts";

/** A neighbour that hasn't answered for this long is asked again. Less repeats answers on their way; more waits longer. */
export const answerLimitMs = 3_000;
/** How long after an exchange a mere mismatch starts no other: the missing changes may be on their way by gossip. */
const restMs = 2_000;
/** The same after an update that this peer refuses, so that it isn't fetched again every few seconds. */
const refusedRestMs = 30_000;
/** How long a neighbour may be silent, or the tables may differ, before that is reported as a problem. */
const silentProblemMs = 30_000;
const differsProblemMs = 300_000;

export interface TableSyncDeps extends TableServingDeps {
  onUpdate(update: Uint8Array): void;
  /** The peer has said how much of the table it has. */
  onHave(peer: PeerId): void;
  /** This side has everything that the peer had. */
  onDone(peer: PeerId): void;
  nextId(): number;
  log: Log;
}

interface Neighbour {
  /** this side's request, until it is answered in full */
  request?: { id: number; digest: string; since: number };
  /** a difference that is arriving */
  incoming?: Arriving;
  restUntil: number;
  /** at the last heartbeat the tables differed */
  differs: boolean;
  /** since when it waits, because a large difference is being fetched from another neighbour; monotonic ms */
  postponedSinceMono: number | undefined;
  /** the new clients that it has brought */
  brought: BroughtClients;
  /** when its last message about the table came, and since when no exchange has been finished; monotonic ms */
  heardAtMono: number;
  unfinishedSinceMono: number | undefined;
  differsSinceMono: number | undefined;
  /** why its table was refused; undefined once an exchange has succeeded */
  refused: string | undefined;
}

/** `steps`: what the update causes beyond those for its bytes. */
interface AppliedAtCost {
  applied: Applied;
  steps: number;
}

export class TableSync {
  readonly #deps: TableSyncDeps;
  readonly #neighbours = new Map<PeerId, Neighbour>();
  readonly #vectors: ArrivingVectors;
  readonly #serving: TableServing;
  /** a whole table has been taken in since the start */
  #isComplete = false;
  /** the neighbours from which differences of several pieces are being fetched */
  readonly #turns = new FetchTurns();

  constructor(deps: TableSyncDeps) {
    this.#deps = deps;
    this.#vectors = new ArrivingVectors((to, want) => deps.send(to, want));
    this.#serving = new TableServing(deps);
  }

  linkUp(peer: PeerId, now: Now): void {
    this.linkDown(peer);
    const neighbour: Neighbour = {
      restUntil: 0,
      differs: false,
      postponedSinceMono: undefined,
      brought: { count: 0, sinceMono: now.mono },
      heardAtMono: now.mono,
      unfinishedSinceMono: now.mono,
      differsSinceMono: undefined,
      refused: undefined,
    };
    this.#neighbours.set(peer, neighbour);
    this.#serving.linkUp(peer);
    this.#ask(peer, neighbour, now);
  }

  linkDown(peer: PeerId): void {
    this.#neighbours.delete(peer);
    this.#serving.linkDown(peer);
    this.#vectors.forget(peer);
    this.#turns.end(peer);
  }

  /** A heartbeat's digest. After one mismatch the change may still be on its way by gossip; a second one starts an exchange. */
  digestHeard(peer: PeerId, digest: string, now: Now): void {
    const neighbour = this.#neighbours.get(peer);
    if (neighbour === undefined) return;
    const differs = digest !== this.#deps.table.digest();
    const again = neighbour.differs;
    neighbour.differs = differs;
    neighbour.differsSinceMono = differs ? (neighbour.differsSinceMono ?? now.mono) : undefined;
    if (!differs || !isUnasked(neighbour) || now.mono < neighbour.restUntil) return;
    if (again || this.#deps.table.pending()) this.#ask(peer, neighbour, now);
  }

  /**
   * Takes in a gossiped update. If it builds on updates that this side lacks, those are fetched. Returns the steps that it causes
   * beyond those for its bytes.
   */
  heardUpdate(from: PeerId, update: Uint8Array, now: Now): number {
    const neighbour = this.#neighbours.get(from);
    const { applied, steps } = this.#apply(neighbour, update, now);
    if (applied === "changed") this.#deps.onUpdate(update);
    else if (applied === "pending") {
      if (neighbour !== undefined && isUnasked(neighbour)) this.#ask(from, neighbour, now);
    } else if (applied !== "known") {
      this.#deps.count("refused_update");
      this.#deps.log.warn("a change of the job table was refused", { from, why: applied.refused });
    }
    return steps;
  }

  woke(now: Now): void {
    for (const [peer, neighbour] of this.#neighbours) {
      const { request, incoming } = neighbour;
      const stalled = incoming !== undefined && now.mono - incoming.since >= answerLimitMs;
      if (stalled && request === undefined) this.#ask(peer, neighbour, now);
      if (request !== undefined && now.mono - request.since >= answerLimitMs) {
        this.#deps.count("sync_table_timeouts");
        this.#ask(peer, neighbour, now);
      }
    }
    this.#serving.woke(now);
    this.#callNext(now);
  }

  /** Asks the neighbour that has waited the longest again. It has the turn until it has had time to answer. */
  #callNext(now: Now): void {
    const [next] = this.#waiting();
    if (next === undefined || !this.#turns.isFree(now)) return;
    const [peer, neighbour] = next;
    this.#ask(peer, neighbour, now);
    this.#takeTurn(peer, now);
  }

  /** Whether several pieces may be fetched from the neighbour now: it has been called, or no other one waits. */
  #beginTurn(peer: PeerId, now: Now): boolean {
    return this.#turns.has(peer) || (this.#waiting().length === 0 && this.#takeTurn(peer, now));
  }

  #takeTurn(peer: PeerId, now: Now): boolean {
    if (!this.#turns.begin(peer, now)) return false;
    this.#giveUp(this.#turns.takeSurplus(), now);
    return true;
  }

  /** The neighbour has lost its turn, and waits for another one. */
  #giveUp(peer: PeerId | undefined, now: Now): void {
    const neighbour = peer === undefined ? undefined : this.#neighbours.get(peer);
    if (neighbour === undefined) return;
    delete neighbour.incoming;
    delete neighbour.request;
    neighbour.postponedSinceMono = now.mono;
  }

  /** The neighbours that wait for a turn, the one that has waited the longest first. */
  #waiting(): [PeerId, Neighbour][] {
    return [...this.#neighbours]
      .filter(([, { postponedSinceMono }]) => postponedSinceMono !== undefined)
      .toSorted(([, a], [, b]) => (a.postponedSinceMono ?? 0) - (b.postponedSinceMono ?? 0));
  }

  heardHave(from: PeerId, message: MessageOf<"table-have">, now: Now): void {
    const { table } = this.#deps;
    const neighbour = this.#neighbours.get(from);
    if (neighbour === undefined) return;
    neighbour.heardAtMono = now.mono;
    const { id, reply } = message;
    if (reply && neighbour.request?.id !== id) return;
    if (neighbour.request?.id === id) neighbour.request.since = now.mono;
    const localDigest = table.digest();
    // Equal tables have equal state vectors, so there is nothing to fetch.
    if (message.digest === localDigest) {
      this.#vectors.drop(from, reply);
      this.#deps.onHave(from);
      if (reply) this.#finish(from, neighbour, now);
      else this.#serving.sendHave(from, id, true);
      return;
    }
    const stateVector = this.#vectors.collect(from, message, now);
    if (stateVector === undefined) return;
    table.heardStateVector(stateVector);
    this.#deps.onHave(from);
    if (!reply) {
      this.#serving.sendHave(from, id, true);
      this.#serving.offer(from, id, stateVector, now);
      return;
    }
    if (!this.#serving.hasOffered(from, localDigest, stateVector, now))
      this.#serving.offer(from, id, stateVector, now);
    if (message.digest === neighbour.request?.digest) this.#finish(from, neighbour, now);
  }

  heardHaveWant(from: PeerId, message: MessageOf<"table-have-want">, now: Now): void {
    const neighbour = this.#neighbours.get(from);
    if (neighbour === undefined || !this.#serving.heardHaveWant(from, message)) return;
    neighbour.heardAtMono = now.mono;
    if (neighbour.request?.id === message.id) neighbour.request.since = now.mono;
  }

  heardDiff(from: PeerId, message: MessageOf<"table-diff">, now: Now): void {
    const neighbour = this.#neighbours.get(from);
    if (neighbour === undefined) return;
    neighbour.heardAtMono = now.mono;
    if (neighbour.request?.id === message.id) neighbour.request.since = now.mono;
    const { id, piece, pieces: of } = message;
    if (piece === 0) {
      // Nothing in several pieces is taken from a neighbour whose pieces have just been refused.
      if (of > 1 && neighbour.refused !== undefined && now.mono < neighbour.restUntil) return;
      if (of > 1 && !this.#beginTurn(from, now)) {
        neighbour.postponedSinceMono ??= now.mono;
        delete neighbour.request;
        return;
      }
      neighbour.incoming = { id, pieces: [], bytes: 0, of, since: now.mono };
    }
    const { incoming } = neighbour;
    if (incoming?.id !== id || incoming.of !== of || incoming.pieces.length !== piece) return;
    incoming.since = now.mono;
    // What was asked for is this peer's own work.
    if (neighbour.request?.id === id) this.#deps.charge(from, -stepsOfBytes(message.update.length));
    const bytes = Buffer.from(message.update, "base64");
    incoming.bytes += bytes.length;
    incoming.pieces.push(bytes);
    if (incoming.bytes > updateCapBytes) return this.#refuse(from, neighbour, now);
    this.#giveUp(
      this.#turns.takeLargest((peer) => this.#neighbours.get(peer)?.incoming?.bytes ?? 0),
      now,
    );
    if (neighbour.incoming === undefined) return;
    if (incoming.pieces.length < of) {
      // Less than a whole piece would keep the others waiting for longer.
      if (bytes.length < pieceBytes) return this.#refuse(from, neighbour, now, "its pieces are too small");
      this.#deps.send(from, { kind: "table-want", id, piece: piece + 1 });
      return;
    }
    delete neighbour.incoming;
    this.#turns.end(from);
    const { applied, steps } = this.#take(from, neighbour, Buffer.concat(incoming.pieces), now);
    if (neighbour.request?.id !== id) this.#deps.charge(from, stepsOfUpdate(incoming.bytes) + steps);
    if (neighbour.request?.id !== id || applied === "pending") return;
    if (typeof applied !== "object") {
      this.#finish(from, neighbour, now);
      return;
    }
    delete neighbour.request;
    neighbour.restUntil = now.mono + refusedRestMs;
  }

  /** Refuses a difference before it is there. */
  #refuse(from: PeerId, neighbour: Neighbour, now: Now, why = "it is larger than a table can be"): void {
    this.#deps.count("sync_table_refused");
    if (neighbour.refused !== why)
      this.#deps.log.warn("a neighbour's table was refused", { peer: from, reason: why });
    neighbour.refused = why;
    this.#turns.end(from);
    delete neighbour.incoming;
    delete neighbour.request;
    neighbour.restUntil = now.mono + refusedRestMs;
  }

  heardWant(from: PeerId, message: MessageOf<"table-want">, now: Now): void {
    this.#serving.heardWant(from, message, now);
  }

  #ask(peer: PeerId, neighbour: Neighbour, now: Now): void {
    this.#deps.count("sync_table_asked");
    this.#turns.end(peer);
    delete neighbour.incoming;
    neighbour.postponedSinceMono = undefined;
    const id = this.#deps.nextId();
    neighbour.request = { id, digest: this.#deps.table.digest(), since: now.mono };
    neighbour.unfinishedSinceMono ??= now.mono;
    this.#serving.sendHave(peer, id, false);
  }

  #take(from: PeerId, neighbour: Neighbour, update: Uint8Array, now: Now): AppliedAtCost {
    const { applied, steps } = this.#apply(neighbour, update, now);
    if (applied === "changed") this.#deps.onUpdate(update);
    else if (typeof applied === "object") {
      neighbour.refused = applied.refused;
      this.#deps.count("sync_table_refused");
      this.#deps.log.warn("a neighbour's table was refused", { peer: from, reason: applied.refused });
    }
    return { applied, steps };
  }

  #apply(neighbour: Neighbour | undefined, update: Uint8Array, now: Now): AppliedAtCost {
    const { table } = this.#deps;
    // What this peer's own edits cause is nobody's share.
    table.takeReread();
    const applied = this.#isComplete
      ? applyWithin(table, update, neighbour?.brought, now)
      : applyWhole(table, update);
    return { applied, steps: stepsOfReread(table.takeReread()) };
  }

  /** Neighbours with which no exchange can be finished, and why, in words. */
  problems(now: Now): { peer: PeerId; what: string }[] {
    return [...this.#neighbours].flatMap(([peer, neighbour]) => {
      const what = problemWith(neighbour, now);
      return what === undefined ? [] : [{ peer, what }];
    });
  }

  #finish(peer: PeerId, neighbour: Neighbour, now: Now): void {
    if (neighbour.incoming === undefined) this.#turns.end(peer);
    delete neighbour.request;
    neighbour.differs = false;
    neighbour.unfinishedSinceMono = undefined;
    neighbour.refused = undefined;
    neighbour.restUntil = now.mono + restMs;
    this.#isComplete = true;
    this.#deps.onDone(peer);
  }
}

function problemWith(neighbour: Neighbour, { mono }: Now): string | undefined {
  const { refused, unfinishedSinceMono, heardAtMono, differsSinceMono } = neighbour;
  if (refused !== undefined) return `its job table is refused: ${refused}`;
  if (unfinishedSinceMono !== undefined && neighbour.postponedSinceMono === undefined) {
    if (mono - Math.max(unfinishedSinceMono, heardAtMono) >= silentProblemMs) {
      return "it doesn't say how much of the job table it has";
    }
  }
  const differs = differsSinceMono !== undefined && mono - differsSinceMono >= differsProblemMs;
  return differs ? "its job table has differed from this peer's for minutes" : undefined;
}

/** Whether the neighbour can be asked now. One that waits for its turn would lose its place in the queue. */
function isUnasked({ request, postponedSinceMono }: Neighbour): boolean {
  return request === undefined && postponedSinceMono === undefined;
}
