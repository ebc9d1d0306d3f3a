/**
 * Which peers are linked. Peers are counted, not connections: two peers may have several for a moment.
 *
 * A connection (here: a line) counts once the other side has greeted over it, because only then has it accepted us; before
 * that it may turn out to be one too many. Of two peers that dial each other at the same time, the one with the smaller id
 * keeps the line that opened first at its end and drops the other without a greeting. A peer that greets over a new line
 * has lost its old one, whatever the old one looks like from here, unless the new line was made under the new cluster key
 * in order to replace the old one unnoticed. If its greeting is another process's, there may be two with that identity: both
 * lines stay, or the two would take the link from each other for ever and neither would learn why.
 */
import type { Connection } from "@libp2p/interface";
import type { PeerId } from "../../schema/ids.ts";
import type { Counters } from "./counters.ts";
import { fingerprintOf } from "./encrypter.ts";
import type { Outgoing } from "./outgoing.ts";

export interface Line {
  readonly connection: Connection;
  readonly peer: PeerId;
  readonly openedAt: number;
  /** monotonic ms when the last frame came over it */
  heardAt: number;
  greeted: boolean;
  /** fingerprint of the cluster key under which it was made */
  readonly key: string;
  /** of the key that the other side prefers, as it said */
  theirKey: string | undefined;
  /** of the process at the other end, as it said */
  life: string | undefined;
  /** the version of the protocol that both ends speak; undefined until the other side has greeted */
  spoken: number | undefined;
  readonly outgoing: Map<string, Outgoing>;
}

export interface LinkEvents {
  up(peer: PeerId): void;
  /** The last greeted line has ended. */
  down(peer: PeerId, why: "closed" | "reset"): void;
  /** A line ended before the other side had greeted, so no link ended with it. */
  gone(peer: PeerId): void;
  /** Another line, made under the present key, has replaced this one. */
  renewed(old: Line): void;
  /** A line of another process with the same identity has come up beside this one. */
  doubled(old: Line): void;
  /** fingerprint of the present key */
  presentKey(): string;
}

/** Two lines that open within this time were dialled at the same time. Later, the newer one replaces a dead one. */
const atOnceMs = 3_000;
/** Processes with one identity, beside the one that came last, that keep their lines. */
const otherLivesCap = 2;

export class Links {
  private readonly self: PeerId;
  private readonly events: LinkEvents;
  private readonly counters: Counters;
  private readonly lines = new Map<string, Line>();
  private readonly up = new Set<PeerId>();
  private readonly saidGoodbye = new Set<PeerId>();

  constructor(self: PeerId, events: LinkEvents, counters: Counters) {
    this.self = self;
    this.events = events;
    this.counters = counters;
  }

  /** Undefined when the line is one too many and has been dropped. */
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

  /** The line that is used: the one that was opened last. */
  currentLine(peer: PeerId): Line | undefined {
    return this.linesOf(peer).findLast(({ greeted }) => greeted);
  }

  /** The line of each process with that identity that was opened last. */
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

  /** The other side has accepted us over this line. Older lines are dead, or soon will be. */
  greet(line: Line): void {
    if (line.greeted) return;
    line.greeted = true;
    this.saidGoodbye.delete(line.peer);
    const others = this.linesOf(line.peer).filter((other) => other !== line && other.greeted);
    const kept = others.filter((other) => isOfAnotherLife(other, line)).slice(-otherLivesCap);
    const isRenewal = line.key === this.events.presentKey();
    for (const other of others) {
      if (kept.includes(other)) this.events.doubled(other);
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

/** A version that doesn't say it may be the same process. */
function isOfAnotherLife(one: Line, other: Line): boolean {
  return one.life !== undefined && other.life !== undefined && one.life !== other.life;
}
