/**
 * Hostile messages of every kind on every channel: made from the message's own schema, with names, ids, instants and
 * signatures that fit the state of the mesh, or overheard ones that were changed.
 */
import type { TSchema } from "typebox";
import { bodiesOf, type Channel, type Message } from "../../../src/schema/message.ts";
import {
  instantOf,
  orderDecision,
  orderKey,
  runId,
  tickAt,
  ulid,
  type JobId,
  type OrderKey,
  type PeerId,
  type TickId,
} from "../../../src/schema/ids.ts";
import type { RunRecord } from "../../../src/schema/run.ts";
import type { Dice } from "../../../src/sim/random.ts";
import { wireVersion } from "../../../src/wire/codec.ts";
import { signRecord } from "../../../src/wire/records.ts";
import { edgeNumber, edgeText, jsonBytes, mutateBytes, mutateJson, valueOf } from "./garbage.ts";
import { jobs, members, stranger, victim, type FuzzMesh } from "./mesh.ts";
import { HostileWriter } from "./updates.ts";

/** The instants that a `Date` can hold, ms. */
const farthestMs = 8.64e15;

export const channels = Object.keys(bodiesOf) as Channel[];

export interface HostileMessage {
  from: PeerId;
  channel: Channel;
  bytes: Uint8Array;
}

export class HostileMessages {
  readonly #mesh: FuzzMesh;
  readonly #dice: Dice;
  readonly #writer: HostileWriter;

  constructor(mesh: FuzzMesh, dice: Dice) {
    this.#mesh = mesh;
    this.#dice = dice;
    this.#writer = new HostileWriter(stranger, dice.fork("writer"));
  }

  draw(channel: Channel = this.#dice.pick(channels)): HostileMessage {
    const dice = this.#dice;
    const from = dice.pick([members[1], members[2], members[2], stranger]);
    if (dice.chance(0.02)) return { from, channel, bytes: dice.bytes(dice.below(300)) };
    const body = this.#body(channel, from);
    const envelope = {
      cluster: this.#mesh.cluster,
      version: wireVersion,
      sender: from,
      seq: dice.below(1_000_000),
      body: dice.chance(0.2) ? this.#mutated(body) : body,
    };
    const bytes = jsonBytes(dice.chance(0.02) ? mutateJson(envelope, dice) : envelope, dice);
    return { from, channel, bytes: dice.chance(0.03) ? mutateBytes(bytes, dice) : bytes };
  }

  #body(channel: Channel, from: PeerId): unknown {
    const dice = this.#dice;
    const kept = this.#mesh.overheard.get(channel) ?? [];
    if (kept.length > 0 && dice.chance(0.35)) {
      // Another peer's message is repeated by a peer that didn't write it.
      const { message } = dice.pick(kept);
      return dice.chance(0.5) ? message : this.#completed(this.#mutated(message) as Message, from);
    }
    const schemas: readonly TSchema[] = bodiesOf[channel].anyOf;
    const body = valueOf(dice.pick(schemas), dice, (name) => this.#knowing(name));
    return this.#completed(body as Message, from);
  }

  /** Mostly keeps the message's kind, so that more than the kind is checked. */
  #mutated(body: unknown): unknown {
    const mutated = mutateJson(body, this.#dice);
    const isObject = typeof mutated === "object" && mutated !== null && !Array.isArray(mutated);
    if (!isObject || this.#dice.chance(0.1) || typeof body !== "object" || body === null) return mutated;
    return "kind" in body ? { ...mutated, kind: body.kind } : mutated;
  }

  // ------------------------------------------------------------------------------------------- what fits

  job(): JobId {
    const dice = this.#dice;
    return dice.chance(0.85) ? dice.pick(jobs).id : (`ghost-${dice.below(100_000)}` as JobId);
  }

  tick(): TickId {
    const dice = this.#dice;
    const now = this.#mesh.world.now();
    const chance = dice.next();
    if (chance < 0.7) return tickAt(Math.floor(now / 5_000) * 5_000 + (dice.below(8) - 3) * 5_000);
    if (chance < 0.85) return `manual-${ulid(now + dice.below(2_000) - 1_000, dice.bytes(16))}` as TickId;
    if (chance < 0.9) return `manual-${ulid(Math.abs(edgeNumber(dice)) % 2 ** 50, dice.bytes(16))}` as TickId;
    return dice.pick([
      "9999-99-99T99:99:99Z",
      "2026-02-30T00:00:00Z",
      "0000-00-00T00:00:00Z",
      "9999-12-31T23:59:59Z",
      "1970-01-01T00:00:00Z",
      "manual-ZZZZZZZZZZZZZZZZZZZZZZZZZZ",
    ]) as TickId;
  }

  #peer(): PeerId {
    const dice = this.#dice;
    return dice.chance(0.85) ? dice.pick([...members, stranger]) : (edgeText(dice).slice(0, 128) as PeerId);
  }

  #key(): OrderKey {
    const dice = this.#dice;
    const orders = [...this.#mesh.state(victim).book.orders.keys()];
    if (orders.length > 0 && dice.chance(0.4)) return dice.pick(orders);
    return orderKey(
      this.job(),
      this.tick(),
      dice.chance(0.8) ? 1 : dice.below(1_000_000),
      dice.chance(0.95) ? "0" : edgeText(dice),
    );
  }

  /** The id of something that the victim waits for, or one close to its last ids. */
  #id(): number {
    const dice = this.#dice;
    const state = this.#mesh.state(victim);
    const said = [...(this.#mesh.overheard.get("sync") ?? []), ...(this.#mesh.overheard.get("log") ?? [])];
    const ids = said.flatMap(({ message }) => ("id" in message ? [message.id] : []));
    const known = [...state.book.asks.keys(), ...ids];
    return known.length > 0 && dice.chance(0.8) ? dice.pick(known) : state.nextToken - dice.below(5);
  }

  #instant(): number {
    const dice = this.#dice;
    if (dice.chance(0.7)) return this.#mesh.world.now() + dice.between(-10_000, 10_000);
    const edge = edgeNumber(dice);
    return dice.chance(0.05) ? edge : Math.min(farthestMs, Math.max(-farthestMs, edge));
  }

  #epochValue(): string {
    const dice = this.#dice;
    const voters = Array.from({ length: dice.below(12) }, () => this.#peer());
    return JSON.stringify({
      voters,
      from: dice.chance(0.5) ? this.#mesh.world.now() + dice.below(60_000) : edgeNumber(dice),
    });
  }

  /** Gives a value by the field's name: mostly one that fits the mesh, otherwise any that fits the schema. */
  #knowing(name: string): unknown {
    const dice = this.#dice;
    // A malformed name ends the message's way at once, so that is rarer.
    if (dice.chance(name === "job" || name === "tick" ? 0.01 : 0.1)) return undefined;
    const { world } = this.#mesh;
    const state = this.#mesh.state(victim);
    switch (name) {
      case "job":
        return this.job();
      case "tick":
        return this.tick();
      case "peer":
      case "voters.key":
      case "signatures.key":
      case "seenVotes.key":
        return this.#peer();
      case "key":
        return this.#key();
      case "decision":
        return dice.chance(0.7)
          ? orderDecision(this.#key(), dice.chance(0.8) ? 0 : dice.below(10))
          : `roster/${state.voting.roster.chain.length + dice.below(3) - 1}`;
      case "run":
        return runId({ job: this.job(), tick: this.tick(), attempt: 1, slot: "0", peer: this.#peer() });
      case "id":
        return this.#id();
      case "slot":
        return "0";
      case "attempt":
        return 1 + dice.below(5);
      case "incarnation":
      case "life":
        return (
          dice.pick([...members].map((peer) => this.#mesh.state(peer).settings.incarnation)) +
          dice.pick([0, 0, 0, -1, 1])
        );
      case "epoch":
      case "number":
        return Math.max(0, state.voting.roster.chain.length - 1 + dice.pick([0, 0, 0, -1, 1]));
      case "round":
        return state.voting.proposer.round + dice.below(4);
      case "value":
        return dice.chance(0.6) ? this.#peer() : this.#epochValue();
      case "sentAt":
      case "heardAt":
      case "due":
      case "instant":
      case "from":
      case "requestedAt":
      case "claimedAt":
      case "startedAt":
      case "finishedAt":
        return this.#instant();
      case "table":
      case "digest":
        return dice.chance(0.5) ? state.tableDigest : undefined;
      case "stateVector":
        return base64(dice.chance(0.5) ? this.#mesh.table(victim).stateVector() : dice.bytes(dice.below(40)));
      case "update":
        return base64(this.#update(world.now()));
      default:
        return undefined;
    }
  }

  #update(wall: number): Uint8Array {
    const table = this.#mesh.table(victim);
    return this.#writer.draw(
      () => table.snapshot(),
      jobs.map(({ id }) => id),
      Math.floor(wall),
    );
  }

  /** Signs records, which would otherwise be stopped at the door, and makes ballots consistent. */
  #completed(message: Message, from: PeerId): unknown {
    const dice = this.#dice;
    if (typeof message !== "object" || message === null) return message;
    if ("records" in message && Array.isArray(message.records)) {
      return { ...message, records: message.records.map((record) => this.#signed(record, from)) };
    }
    if (message.kind === "ballots" && Array.isArray(message.ballots)) {
      const ballots = message.ballots.map((item) => {
        if (typeof item !== "object" || item === null || dice.chance(0.2)) return item;
        const tick = typeof item.decision === "string" ? (item.decision.split(/[@~]/)[1] ?? "") : "";
        const instant = instantOf(tick as TickId);
        return {
          ...item,
          ballot: { ...item.ballot, peer: from },
          ...(Number.isFinite(instant) ? { instant } : {}),
        };
      });
      return { ...message, ballots };
    }
    return message;
  }

  #signed(record: RunRecord, from: PeerId): unknown {
    const dice = this.#dice;
    if (typeof record !== "object" || record === null || dice.chance(0.15)) return record;
    const own = dice.chance(0.8)
      ? { ...record, peer: from }
      : { ...record, state: "lost" as const, by: from };
    if (dice.chance(0.5)) delete own.by;
    try {
      return signRecord(own, this.#mesh.keys(from));
    } catch {
      return record;
    }
  }
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
