/**
 * Forged bytes: noise, true messages that are cut off or have an altered envelope, records and rosters with false
 * signatures. They come over proved links, so from members of the mesh, and must be refused nevertheless.
 */
import { depthCap } from "../../wire/codec.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Channel } from "../../schema/message.ts";
import type { Dice } from "../random.ts";

/** True messages to start from: the last one of each channel that went over the wires. */
export type TrueFrames = ReadonlyMap<Channel, { from: PeerId; bytes: Uint8Array }>;

export interface Garbage {
  what: string;
  from: PeerId;
  channel: Channel;
  bytes: Uint8Array;
}

/** The reason in every forged record, which makes it recognisable on a disk. */
export const forgedReason = "forged";

interface Envelope {
  cluster: string;
  version: number;
  sender: string;
  seq: number;
  body: Record<string, unknown>;
}

type Maker = (envelope: Envelope, dice: Dice) => unknown;

/** Ways to spoil a true message so that every peer must refuse it. */
const spoiled: Readonly<Record<string, Maker>> = {
  "another cluster's": (envelope) => ({ ...envelope, cluster: "0".repeat(16) }),
  "another version's": (envelope) => ({ ...envelope, version: 99 }),
  "another sender's": (envelope) => ({ ...envelope, sender: "somebody-else" }),
  "nested too deep": (envelope) => ({ ...envelope, body: { ...envelope.body, extra: nested(depthCap) } }),
  "of no kind": (envelope) => ({ ...envelope, body: { ...envelope.body, kind: "surprise" } }),
  "without its body": ({ cluster, version, sender, seq }) => ({ cluster, version, sender, seq }),
};

/** Nested lists. */
function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

function frame(envelope: Envelope, body: Record<string, unknown>): Uint8Array {
  return Buffer.from(JSON.stringify({ ...envelope, body }));
}

function record(victim: PeerId, dice: Dice): Record<string, unknown> {
  return {
    job: `job-${1 + dice.below(5)}`,
    tick: "2026-12-01T00:00:00Z",
    attempt: 1,
    slot: "0",
    peer: victim,
    state: dice.pick(["running", "succeeded", "claimed", "lost"]),
    version: 9,
    revision: "",
    trigger: "schedule",
    rank: 0,
    due: Date.parse("2026-12-01T00:00:00Z"),
    view: 1,
    reason: forgedReason,
    signature: Buffer.from(dice.bytes(16)).toString("base64url"),
  };
}

/** One piece of garbage from a member other than `to`; undefined while no true message has been sent. */
export function drawGarbage(frames: TrueFrames, to: PeerId, dice: Dice): Garbage | undefined {
  const known = [...frames].filter(([, { from }]) => from !== to);
  if (known.length === 0) return undefined;
  const [channel, { from, bytes }] = dice.pick(known);
  const envelope = JSON.parse(Buffer.from(bytes).toString()) as Envelope;
  const base = { from, channel };
  switch (dice.below(5)) {
    case 0:
      return { ...base, what: "noise", bytes: dice.bytes(dice.below(400)) };
    case 1:
      return { ...base, what: "cut off", bytes: bytes.slice(0, dice.below(bytes.length)) };
    case 2: {
      const records = [record(to, dice)];
      const body = { kind: "runs", records, declined: [], orders: [], cancels: [] };
      return { from, channel: "runs", what: "a record without its writer", bytes: frame(envelope, body) };
    }
    case 3: {
      const signature = Buffer.from(dice.bytes(16)).toString("base64url");
      const epoch = { voters: [from], from: 1, previous: "", signatures: { [from]: signature } };
      const body = { kind: "roster", epochs: [{ ...epoch, number: 1 + dice.below(3) }] };
      return { from, channel: "vote", what: "a roster without its voters", bytes: frame(envelope, body) };
    }
    default: {
      const [what, make] = dice.pick(Object.entries(spoiled));
      return { ...base, what, bytes: Buffer.from(JSON.stringify(make(envelope, dice))) };
    }
  }
}
