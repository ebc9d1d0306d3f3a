/**
 * A mesh of three real peers in the simulated world, and hostile bytes for one of them, the victim, in the name of the
 * others or of a stranger. Everything that the peers send and store is checked: others must be able to read it, because
 * garbage that a peer forwards in its own name would break the next peer.
 */
import { ownCapabilities } from "../../../src/schema/protocol.ts";
import assert from "node:assert/strict";
import { checkOf } from "../../../src/schema/check.ts";
import { checkedJob } from "../../../src/core/checks/job.ts";
import { Peer } from "../../../src/peer/peer.ts";
import type { Inside } from "../../../src/peer/settings.ts";
import type { Doors, Mesh, MeshEvents } from "../../../src/ports.ts";
import { smallOutputBytes, type Write } from "../../../src/ports/disk.ts";
import { instantOf, parseRunReference, type JobId, type PeerId } from "../../../src/schema/ids.ts";
import type { JobSpec } from "../../../src/schema/job.ts";
import { messageCapBytes, type Channel, type Message } from "../../../src/schema/message.ts";
import { RequestedOrderSchema, RunRecordSchema, WatermarkSchema } from "../../../src/schema/run.ts";
import { OtherRecordSchema } from "../../../src/schema/other-record.ts";
import { JobRevisionSchema } from "../../../src/schema/revision.ts";
import { StoredVoteSchema } from "../../../src/schema/vote.ts";
import { SimKeys } from "../../../src/sim/keys.ts";
import { calmNetwork } from "../../../src/sim/mesh/wires.ts";
import type { Run } from "../../../src/sim/world/truth.ts";
import { World } from "../../../src/sim/world/world.ts";
import { decode, encode } from "../../../src/wire/codec.ts";

const beginning = Date.parse("2026-11-20T00:00:00Z");
const second = 1_000;
/** How many messages of each channel are kept for mutation. */
const keptPerChannel = 64;

export const victim = "peer-1" as PeerId;
const friend = "peer-2" as PeerId;
export const members = [victim, friend, "peer-3" as PeerId] as const;
export const stranger = "peer-9" as PeerId;

const put = (id: string, spec: Omit<JobSpec, "id">): JobSpec => ({ id: id as JobId, ...spec });
export const jobs: readonly JobSpec[] = [
  put("beat", { command: "true", schedule: "@every 5s" }),
  put("vote", { command: "true", schedule: "@every 10s", partition: "majority" }),
  put("long", { command: "sleep", schedule: "@every 20s", overlap: "queue" }),
  put("skips", { command: "sleep", schedule: "@every 15s", overlap: "skip", catchUp: { policy: "all" } }),
  put("minute", { argv: ["true"], schedule: ["* * * * *", "30 * * * * *"], timezone: "Europe/Berlin" }),
  put("by-hand", { command: "true" }),
];

interface Life {
  peer: Peer;
  inside: Inside | undefined;
  events: MeshEvents | undefined;
}

export interface Overheard {
  from: PeerId;
  message: Message;
}

export class FuzzMesh {
  readonly world: World;
  readonly seed: string;
  /** the messages that were sent, by channel, the latest last */
  readonly overheard = new Map<Channel, Overheard[]>();
  /** what the peers did wrong */
  readonly complaints: string[] = [];
  readonly cluster: string;
  readonly #lives = new Map<PeerId, Life>();
  readonly #writes = new Map<PeerId, number>();
  /** messages that the victim has sent, by receiver */
  readonly #sent = new Map<PeerId, number>();
  #seq = 0;

  constructor(seed: string) {
    this.seed = seed;
    this.cluster = new SimKeys(victim, seed).cluster;
    this.world = new World({
      seed,
      peers: members.length,
      epoch: beginning,
      network: calmNetwork,
      disk: { fsyncMs: { least: 0.5, most: 3 } },
      children: {
        spawnMs: { least: 2, most: 5 },
        behaviour: ({ job }, dice) => ({
          lastsMs: job === "long" ? 25 * second : dice.between(20, 500),
          exitCode: 0,
        }),
      },
      skewMs: 5,
      driftPpm: 0,
      makePeer: (doors, name) => this.#makePeer(doors, name as PeerId),
    });
    for (const peer of members) this.world.at(beginning, () => this.world.hosts.start(peer));
    this.pass(3 * second);
    for (const spec of jobs) this.put(spec);
    // By then the first epoch of three voters has been chosen and is in force.
    this.pass(50 * second);
    assert.equal(
      this.state(victim).voting.roster.chain.at(-1)?.voters.length,
      members.length,
      "three voters",
    );
  }

  keys(peer: PeerId): SimKeys {
    return new SimKeys(peer, this.seed);
  }

  put(spec: JobSpec): void {
    this.peer(victim).command(
      { kind: "put-job", mode: "replace", spec: checkedJob(spec), by: "test" },
      (answer) => {
        if (answer.kind === "refused")
          this.complaints.push(`a good job was refused: ${answer.error.message}`);
      },
    );
  }

  peer(peer: PeerId): Peer {
    const life = this.#lives.get(peer);
    assert.ok(life !== undefined, `${peer} lives`);
    return life.peer;
  }

  state(peer: PeerId): Inside["state"] {
    return this.#inside(peer).state;
  }

  table(peer: PeerId): Inside["table"] {
    return this.#inside(peer).table;
  }

  #inside(peer: PeerId): Inside {
    const inside = this.#lives.get(peer)?.inside;
    assert.ok(inside !== undefined, `${peer} has booted`);
    return inside;
  }

  pass(ms: number): void {
    this.world.runUntil(this.world.now() + ms);
  }

  /** The bytes of a message from `from`. */
  encode(from: PeerId, message: Message): Uint8Array {
    return encode({ cluster: this.cluster, sender: from, seq: this.#seq++ }, message);
  }

  /** Hands the victim bytes whose sender, by its transport, is `from`. */
  hear(from: PeerId, channel: Channel, bytes: Uint8Array): void {
    this.#lives.get(victim)?.events?.received(from, channel, bytes);
  }

  sendAs(from: PeerId, channel: Channel, message: Message): void {
    this.hear(from, channel, this.encode(from, message));
  }

  /** How many messages the victim has ever sent to the peer over their link. */
  sentTo(peer: PeerId): number {
    return this.#sent.get(peer) ?? 0;
  }

  /** How many writes the peer has ever given to its disk. */
  writes(peer: PeerId): number {
    return this.#writes.get(peer) ?? 0;
  }

  /** What the jobs' own processes did. */
  runs(): readonly Run[] {
    return this.world.evidence(this.world.now(), []).runs;
  }

  linkUp(peer: PeerId): void {
    this.#lives.get(victim)?.events?.linkUp(peer);
  }

  linkDown(peer: PeerId, why: "closed" | "reset"): void {
    this.#lives.get(victim)?.events?.linkDown(peer, why);
  }

  #makePeer(doors: Doors, name: PeerId) {
    const life: Life = { peer: this.#watched(doors, name), inside: undefined, events: undefined };
    this.#lives.set(name, life);
    const { peer } = life;
    return {
      start: (ready: (failed?: string) => void) => peer.start((error) => ready(error?.message)),
      stop: (done: () => void) => peer.stop(done),
      command: peer.command.bind(peer),
      revisions: () => new Map<JobId, string>(),
      complaint: () => undefined,
    };
  }

  #watched(doors: Doors, name: PeerId): Peer {
    const { mesh, disk } = doors;
    const watchedMesh: Mesh = {
      start: (events) => {
        const life = this.#lives.get(name);
        if (life !== undefined) life.events = events;
        mesh.start(events);
      },
      publish: (topic, bytes) => {
        this.#listen(name, topic, bytes);
        mesh.publish(topic, bytes);
      },
      send: (to, protocol, bytes) => {
        if (name === victim) this.#sent.set(to, this.sentTo(to) + 1);
        this.#listen(name, protocol, bytes);
        mesh.send(to, protocol, bytes);
      },
      known: () => mesh.known(),
      refuse: (peers) => mesh.refuse(peers),
      unresolved: () => mesh.unresolved(),
      addresses: () => mesh.addresses(),
      stop: (done) => mesh.stop(done),
    };
    const watchedDisk: Doors["disk"] = {
      load: (since, done) => disk.load(since, done),
      store: (writes, done) => {
        this.#writes.set(name, this.writes(name) + writes.length);
        for (const write of writes) this.#readBack(name, write);
        disk.store(writes, done);
      },
      history: (query, done) => disk.history(query, done),
      newest: (of, limit, done) => disk.newest(of, limit, done),
      durations: (of, limit, done) => disk.durations(of, limit, done),
      wentWrong: (query, done) => disk.wentWrong(query, done),
      digests: (from, to, done) => disk.digests(from, to, done),
      things: (page, done) => disk.things(page, done),
      output: (run, done) => disk.output(run, done),
      others: (query, done) => disk.others(query, done),
      revisions: (job, done) => disk.revisions(job, done),
      audit: (query, done) => disk.audit(query, done),
      jobsWithRecords: (after, limit, done) => disk.jobsWithRecords(after, limit, done),
      prune: (rules, done) => disk.prune(rules, done),
      measure: (share, done) => disk.measure(share, done),
      close: (done) => disk.close(done),
    };
    return new Peer(
      { ...doors, mesh: watchedMesh, disk: watchedDisk },
      {
        name,
        version: "test",
        tags: {},
        capacity: 20,
        role: "worker",
        founder: victim,
        drainMs: 5 * second,
        historyMaxBytes: Infinity,
        tzdata: "test",
        host: {},
        capabilities: ownCapabilities,
        testing: {
          checksBook: true,
          onLive: (inside) => {
            const life = this.#lives.get(name);
            if (life !== undefined) life.inside = inside;
          },
        },
      },
    );
  }

  /** How many messages were too large to be sent. */
  tooLarge(): number {
    return members.reduce(
      (sum, peer) => sum + (this.peer(peer).status.view().counters["too_large_to_say"] ?? 0),
      0,
    );
  }

  /** Checks that a sent message passes every other peer's door. */
  #listen(from: PeerId, channel: Channel, bytes: Uint8Array): void {
    const decoded = decode(channel, bytes, from, this.cluster);
    if (!decoded.ok) {
      const { body } = JSON.parse(Buffer.from(bytes).toString()) as { body: { kind: string } };
      this.complaints.push(
        `${from} sent on ${channel} what others refuse as ${decoded.refusal}: ${body.kind}, ${bytes.length} of ${messageCapBytes} bytes`,
      );
      return;
    }
    const kept = this.overheard.get(channel) ?? [];
    this.overheard.set(channel, kept);
    if (channel === "heartbeat" && kept.length >= members.length * 4 && decoded.message.kind === "heartbeat")
      kept.shift();
    kept.push({ from, message: decoded.message });
    if (kept.length > keptPerChannel) kept.shift();
  }

  /** Checks that a stored value can be read at the next start. */
  #readBack(peer: PeerId, write: Write): void {
    const problem = unreadable(write);
    if (problem !== undefined) this.complaints.push(`${peer} stored what it can't read: ${problem}`);
  }
}

const recordCheck = checkOf(RunRecordSchema);
const orderCheck = checkOf(RequestedOrderSchema);
const otherCheck = checkOf(OtherRecordSchema);
const watermarkCheck = checkOf(WatermarkSchema);
const voteCheck = checkOf(StoredVoteSchema);
const revisionCheck = checkOf(JobRevisionSchema);

function unreadable(write: Write): string | undefined {
  switch (write.kind) {
    case "record": {
      const fits = recordCheck.accepts(write.record) && Number.isFinite(instantOf(write.record.tick));
      return fits ? undefined : `a record ${JSON.stringify(write.record).slice(0, 300)}`;
    }
    case "order": {
      const fits = orderCheck.accepts(write.order) && Number.isFinite(instantOf(write.order.tick));
      return fits ? undefined : `an order ${JSON.stringify(write.order).slice(0, 300)}`;
    }
    case "other":
      return otherCheck.accepts(write.record)
        ? undefined
        : `a record ${JSON.stringify(write.record).slice(0, 300)}`;
    case "vote":
      return voteCheck.accepts(write.vote) ? undefined : `a vote ${JSON.stringify(write.vote).slice(0, 300)}`;
    case "watermark": {
      const fits = watermarkCheck.accepts(write.watermark);
      return fits ? undefined : `a watermark ${JSON.stringify(write.watermark).slice(0, 300)}`;
    }
    case "output": {
      const fits = parseRunReference(write.run) !== undefined && write.bytes.length <= smallOutputBytes;
      return fits ? undefined : `an output of ${write.bytes.length} bytes of ${write.run.slice(0, 300)}`;
    }
    case "revision": {
      const fits = revisionCheck.accepts(write.revision);
      return fits ? undefined : `a revision ${JSON.stringify(write.revision).slice(0, 300)}`;
    }
    case "drop-watermark":
    case "drop-horizon":
    case "update":
    case "snapshot":
    case "audit":
    case "meta":
    case "drop-votes":
      return undefined;
  }
}
