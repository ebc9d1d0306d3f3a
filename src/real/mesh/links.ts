/**
 * Knows which peers are linked. Peers are counted, not connections: two peers may briefly have several.
 *
 * A connection (here: a line) counts when the other side has greeted over it, because only then has it accepted this
 * peer; before that, the line may turn out to be superfluous. If two peers dial each other at the same time, the one
 * with the smaller id keeps the line that opened first at its end and drops the other one without a greeting. A peer
 * that greets over a new line has lost its old one, even if the old one looks alive from here; except when the new line
 * was made under the new cluster key, to replace the old one unnoticed. If the greeting comes from another process, two
 * processes may have that identity, and both lines stay. Otherwise the two would take the link from each other for
 * ever, and neither would learn why.
 */
import type { Connection } from "@libp2p/interface";
import type { PeerId } from "../../schema/ids.ts";
import type { Counters } from "./counters.ts";
import { fingerprintOf } from "./encrypter.ts";
import { WaitingBytes, type Outgoing } from "./outgoing.ts";

export interface Line {
  readonly connection: Connection;
  readonly peer: PeerId;
  readonly openedAt: number;
  /** when the last frame arrived over it, monotonic ms */
  heardAt: number;
  greeted: boolean;
  /** fingerprint of the cluster key under which it was made */
  readonly key: string;
  /** fingerprint of the key that the other side says it prefers */
  theirKey: string | undefined;
  /** identifies the process at the other end, as its greeting says */
  life: string | undefined;
  /** the version of the protocol that both ends speak; undefined until the other side has greeted */
  spoken: number | undefined;
  readonly outgoing: Map<string, Outgoing>;
  /** what waits to be sent over all lines together */
  readonly waiting: WaitingBytes;
}

export interface LinkEvents {
  up(peer: PeerId): void;
  /** The last greeted line has ended. */
  down(peer: PeerId, why: "closed" | "reset"): void;
  /** A line has ended before the other side had greeted, so no link has ended with it. */
  gone(peer: PeerId): void;
  /** Any line has ended. */
  ended(line: Line): void;
  /** Another line, made under the present key, has replaced this one. */
  renewed(old: Line): void;
  /** A line of another process with the same identity has come up beside this one. */
  duplicated(old: Line): void;
  /** fingerprint of the present key */
  presentKey(): string;
}

/** Two lines that open within this time were dialled at the same time. After it, a newer line replaces a dead one. */
const atOnceMs = 3_000;
/** How many processes with one identity keep their lines, in addition to the last one. */
const otherLivesCap = 2;

export class Links {
  private readonly self: PeerId;
  private readonly events: LinkEvents;
  private readonly counters: Counters;
  private readonly waiting = new WaitingBytes();
  private readonly lines = new Map<string, Line>();
  private readonly up = new Set<PeerId>();
  private readonly saidGoodbye = new Set<PeerId>();

  constructor(self: PeerId, events: LinkEvents, counters: Counters) {
    this.self = self;
    this.events = events;
    this.counters = counters;
  }

  /** Undefined if the line is superfluous and has been dropped. */
  open(connection: Connection, now: number): Line | undefined {
    // A peer id is the text of libp2p's.
    const peer = connection.remotePeer.toString() as PeerId;
    const others = this.linesOf(peer);
    const key = fingerprintOf(connection);
    const renews = key === this.events.presentKey() && others.every((other) => other.key !== key);
    const isSuperfluous =
      (connection.direction === "outbound" && others.some(({ greeted }) => greeted)) ||
      (this.self < peer && others.some(({ openedAt }) => now - openedAt < atOnceMs));
    if (isSuperfluous && !renews) {
      this.drop(connection);
      return undefined;
    }
    const line: Line = {
      connection,
      peer,
      openedAt: now,
      heardAt: now,
      greeted: false,
      key,
      theirKey: undefined,
      life: undefined,
      spoken: undefined,
      outgoing: new Map(),
      waiting: this.waiting,
    };
    this.lines.set(connection.id, line);
    return line;
  }

  lineOf(connection: Connection): Line | undefined {
    return this.lines.get(connection.id);
  }

  linesOf(peer: PeerId): Line[] {
    return this.all().filter((line) => line.peer === peer);
  }

  all(): Line[] {
    return [...this.lines.values()];
  }

  /** The peers with a line, greeted or not. */
  connectedPeers(): Set<PeerId> {
    return new Set(this.all().map(({ peer }) => peer));
  }

  /** The line in use: the one that was opened last. */
  currentLine(peer: PeerId): Line | undefined {
    return this.linesOf(peer).findLast(({ greeted }) => greeted);
  }

  /** For each process with that identity, the line that was opened last. */
  linesOfLives(peer: PeerId): Line[] {
    const byLife = new Map(
      this.linesOf(peer)
        .filter(({ greeted }) => greeted)
        .map((line) => [line.life, line]),
    );
    return [...byLife.values()];
  }

  isUp(peer: PeerId): boolean {
    return this.up.has(peer);
  }

  upPeers(): PeerId[] {
    return [...this.up];
  }

  /** The other side has accepted this peer over the line. Older lines are dead, or soon will be. */
  greet(line: Line): void {
    if (line.greeted) return;
    line.greeted = true;
    this.saidGoodbye.delete(line.peer);
    const others = this.linesOf(line.peer).filter((other) => other !== line && other.greeted);
    const kept = others.filter((other) => isOfAnotherLife(other, line)).slice(-otherLivesCap);
    const isRenewal = line.key === this.events.presentKey();
    for (const other of others) {
      if (kept.includes(other)) this.events.duplicated(other);
      else if (isRenewal && other.key !== line.key) this.events.renewed(other);
      else this.drop(other.connection);
    }
  }

  /** The line is ready for messages of every kind. */
  raise(line: Line): void {
    if (this.up.has(line.peer) || !this.lines.has(line.connection.id)) return;
    this.greet(line);
    this.up.add(line.peer);
    this.events.up(line.peer);
  }

  hearGoodbye(peer: PeerId): void {
    this.saidGoodbye.add(peer);
  }

  closed(connection: Connection): void {
    const line = this.lines.get(connection.id);
    if (line === undefined) return;
    this.lines.delete(connection.id);
    for (const outgoing of line.outgoing.values()) outgoing.close();
    this.events.ended(line);
    if (this.currentLine(line.peer) !== undefined) return;
    if (this.up.delete(line.peer)) {
      this.events.down(line.peer, this.saidGoodbye.delete(line.peer) ? "closed" : "reset");
    } else if (this.linesOf(line.peer).length === 0) {
      this.events.gone(line.peer);
    }
  }

  private drop(connection: Connection): void {
    this.counters.add("mesh_lines_duplicate");
    connection.abort(new Error("one connection is enough"));
  }
}

/** A process that states no life may be the same one. */
function isOfAnotherLife(one: Line, other: Line): boolean {
  return one.life !== undefined && other.life !== undefined && one.life !== other.life;
}
