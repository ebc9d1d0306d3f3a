/**
 * The floods of `npm run bench:doors` that come from a member: it holds the cluster key, has a link to each peer, and lies. Each
 * flood sends a bounded number of messages, as fast as its links take them.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as passes } from "node:timers/promises";
import * as Y from "yjs";
import { parseClusterKey } from "../src/identity/cluster-key.ts";
import { generatePeerKey, openKeys } from "../src/real/keys.ts";
import type { Keys } from "../src/ports.ts";
import { tickAt, type JobId, type PeerId } from "../src/schema/ids.ts";
import type { Heartbeat } from "../src/schema/heartbeat.ts";
import { protocols, topics, type Channel, type Message } from "../src/schema/message.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { encode } from "../src/wire/codec.ts";
import { signRecord } from "../src/wire/records.ts";
import { onlyKey, openTestMesh, until } from "../test/kit/mesh-world.ts";
import type { Flood } from "./flood-order.ts";
import { idleHeartbeat } from "../test/kit/idle-heartbeat.ts";

/** How many messages are sent before each pause of `turnMs`. A link takes no more. */
const perTurn = 200;
const turnMs = 5;
const linkWithinMs = 20_000;

/** What the member sends: raw bytes, or a message in an envelope. */
type Said = { channel: Channel; message: Message } | { channel: Channel; bytes: Uint8Array };
type Lies = (number: number, liar: Liar) => Said;

interface Liar {
  keys: Keys;
  victims: readonly PeerId[];
}

function liesOf(lies: Lies): Flood {
  return async (order, tally, isOver) => {
    const peerKey = generatePeerKey();
    const clusterKey = parseClusterKey(readFileSync(order.keyFile, "utf8"));
    const keys = openKeys({ peerKey, mesh: onlyKey(clusterKey).mesh });
    const victims = order.targets.map(({ peer }) => peer as PeerId); // read from their ready.json
    const bootstrap = order.targets.map(({ address }) => address);
    const mesh = await openTestMesh({ peerKey, clusterKey, bootstrap, remembered: [] });
    const linked = new Set<PeerId>();
    mesh.start({
      linkUp: (peer) => void linked.add(peer),
      linkDown: (peer) => void linked.delete(peer),
      redialRefused: () => undefined,
      turnedAway: () => undefined,
      keySuperseded: () => undefined,
      received: () => undefined,
    });
    await until("a link to each peer", () => victims.every((victim) => linked.has(victim)), linkWithinMs);
    tally.opened = linked.size;
    let seq = 0;
    for (let number = 0; number < order.messages && !isOver(); number++) {
      const said = lies(number, { keys, victims });
      const { channel } = said;
      const bytes =
        "bytes" in said
          ? said.bytes
          : encode({ cluster: keys.cluster, sender: keys.self, seq: seq++ }, said.message);
      if (isTopic(channel)) mesh.publish(channel, bytes);
      else for (const victim of victims) mesh.send(victim, channel, bytes);
      tally.sent += victims.length;
      // oxlint-disable-next-line no-await-in-loop -- the links take no more at a time
      if (number % perTurn === perTurn - 1) await passes(turnMs);
    }
    // oxlint-disable-next-line no-await-in-loop -- until the time is up
    while (!isOver()) await passes(100);
    await new Promise<void>((resolve) => mesh.stop(resolve));
  };
}

function isTopic(channel: Channel): channel is (typeof topics)[number] {
  return topics.some((topic) => topic === channel);
}

function heartbeat(more: Partial<Heartbeat>): Said {
  return { channel: "heartbeat", message: idleHeartbeat(more) };
}

function phantom(number: number): PeerId {
  return `12D3KooW${String(number).padStart(44, "1")}` as PeerId; // nobody has this id
}

const day = 86_400_000;

const falseHeartbeats: Lies = (number, { victims }) =>
  heartbeat({
    incarnation: 1 + (number % 7),
    sentAt: Date.now() + ((number % 5) - 2) * day,
    clock: { count: number, synchronised: true },
    draining: number % 2 === 0,
    table: `${number}`,
    open: { count: number % 10, digest: `${number}` },
    duplicateIdentity: true,
    hears: [...victims],
  });

function recordOf(number: number, peer: PeerId, more: Partial<RunRecord>): RunRecord {
  const due = Math.floor(Date.now() / 1_000) * 1_000 + (number % 600) * 1_000;
  return {
    job: `beat-${number % 5}` as JobId,
    tick: tickAt(due),
    attempt: 1,
    slot: "0",
    peer,
    state: "claimed",
    version: 1,
    revision: "",
    trigger: "schedule",
    rank: 0,
    due,
    view: 1,
    signature: "",
    ...more,
  };
}

/** Records of a job that doesn't exist, signed by the liar itself. A member may write records of jobs that do exist. */
const ownRecords: Lies = (number, { keys }) => {
  const records = Array.from({ length: 100 }, (_, index) => {
    const job = "phantom" as JobId;
    return signRecord(recordOf(number * 100 + index, keys.self, { job, state: "running" }), keys);
  });
  return { channel: "runs", message: { kind: "runs", records, declined: [], orders: [], cancels: [] } };
};

const forgedRecords: Lies = (number, { victims }) => {
  const records = Array.from({ length: 500 }, (_, index) => {
    const peer = victims[index % victims.length] ?? phantom(index);
    return recordOf(number * 500 + index, peer, { state: "succeeded", signature: "A".repeat(86) });
  });
  return { channel: "ask", message: { kind: "answer", id: number, records, goesFirst: [], settled: [] } };
};

const questions: Lies = (id) => {
  const kinds: Message[] = [
    { kind: "table-have", id, digest: "", stateVector: "AA==", piece: 0, pieces: 1, reply: false },
    { kind: "buckets", id, from: 0, to: 1e7, digests: [], reply: false },
    { kind: "want", id, page: 0, buckets: buckets(), have: [] },
    { kind: "watermarks-want", id, taken: 0 },
    { kind: "horizons-want" },
  ];
  return { channel: "sync", message: kinds[id % kinds.length] ?? { kind: "horizons-want" } };
};

function buckets(): number[] {
  const now = Math.floor(Date.now() / 300_000);
  return Array.from({ length: 32 }, (_, index) => now - index);
}

/** Updates that fill the table with entries about peers that don't exist, and small updates with one bit changed. */
const bombs: Lies = (number) => {
  const doc = new Y.Doc();
  doc.clientID = 1 + number;
  if (number % 2 === 0) {
    for (let id = 0; id < 100; id++)
      doc.getMap("peers").set(`peer-${number}-${id}`, { note: "x".repeat(1_000) });
    return update(Y.encodeStateAsUpdate(doc));
  }
  doc.getMap("pools").set("x", { hlc: 1 });
  return update(
    Y.encodeStateAsUpdate(doc).map((byte, at) => (at === number % 20 ? byte ^ (1 << (number % 8)) : byte)),
  );
};

function update(bytes: Uint8Array): Said {
  return { channel: "jobs", message: { kind: "update", update: Buffer.from(bytes).toString("base64") } };
}

const garbage: Lies = (number) => {
  const channels = [...protocols, ...topics];
  const size = number % 50 === 0 ? 200_000 : 200;
  return { channel: channels[number % channels.length] ?? "sync", bytes: randomBytes(size) };
};

export const memberFloods: Readonly<Record<string, Flood>> = {
  "member: garbage": liesOf(garbage),
  "member: phantoms": liesOf((number, { victims }) =>
    heartbeat({
      hears: [...victims, ...Array.from({ length: 200 }, (_, index) => phantom(number * 200 + index))],
    }),
  ),
  "member: false heartbeats": liesOf(falseHeartbeats),
  "member: own records": liesOf(ownRecords),
  "member: forged records": liesOf(forgedRecords),
  "member: questions": liesOf(questions),
  "member: table bombs": liesOf(bombs),
};
