/**
 * A peer's mesh and disk with an observer in between, which changes nothing. It collects evidence of votes, notices the
 * occasions for which faults wait, keeps the last true message of each channel for forgeries, and writes the trace.
 */
import type { Mesh } from "../../ports.ts";
import type { Disk, Write } from "../../ports/disk.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Channel } from "../../schema/message.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { StoredVote } from "../../schema/vote.ts";
import type { SimDisk } from "../disk.ts";
import { noteArrival, type Chronicle } from "./chronicle.ts";
import type { Host, Life } from "./host.ts";
import type { Occasions } from "./occasions.ts";
import type { VoteWatch } from "./vote-watch.ts";

export interface Observers {
  chronicle: Chronicle;
  votes: VoteWatch;
  occasions: Occasions;
  /** the last message of each channel that was sent, and who sent it */
  frames: Map<Channel, { from: PeerId; bytes: Uint8Array }>;
}

/** The mesh of the host's present life. `life.hear` hands it bytes as if they came over a link. */
export function watchedMesh(
  host: Host,
  mesh: Mesh,
  { chronicle, votes, occasions, frames }: Observers,
): Mesh {
  const { peer } = host;
  const lifeName = `${host.name}#${host.lives}`;
  return {
    ...mesh,
    start: (events) => {
      const { life } = host;
      if (life === undefined) return mesh.start(events);
      life.hear = (...heard) => events.received(...heard);
      mesh.start({
        ...events,
        received: (from, channel, bytes) => {
          if (channel === "heartbeat") life.heartbeatAt = chronicle.now();
          events.received(from, channel, bytes);
        },
      });
    },
    publish: (topic, bytes) => {
      frames.set(topic, { from: peer, bytes });
      mesh.publish(topic, bytes);
    },
    send: (to, protocol, bytes) => {
      frames.set(protocol, { from: peer, bytes });
      if (protocol === "vote" && votes.sent(peer, lifeName, bytes)) occasions.happens("vote told", peer, to);
      mesh.send(to, protocol, bytes);
    },
  };
}

/** A process that has received no heartbeat for this long counts as hearing no other, ms. */
const heardMs = 3_000;

/** Whether the process has received a heartbeat lately. */
export function hearsOthers(life: Life | undefined, at: number): boolean {
  return at - (life?.heartbeatAt ?? -Infinity) < heardMs;
}

export function watchedDisk(host: Host, disk: SimDisk, observers: Observers): Disk {
  return {
    load: (since, done) => disk.load(since, done),
    store: (writes, done) => {
      if (writes.some(isAcceptedEpoch)) observers.occasions.happens("epoch accepted", host.peer);
      disk.store(writes, (error) => {
        if (error === undefined) noteStored(host, writes, observers);
        done(error);
      });
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
}

function noteStored(host: Host, writes: readonly Write[], { votes, chronicle }: Observers): void {
  const { name, peer } = host;
  votes.stored(peer, writes);
  for (const write of writes) {
    if (write.kind !== "record") continue;
    noteArrival(chronicle, name, write.record);
    noteDisowned(host, write.record, chronicle);
  }
  if (!chronicle.isRead) return;
  for (const write of writes) {
    if (write.kind === "record") chronicle.line(name, `KEEPS ${describeRecord(write.record)}`);
    if (write.kind === "vote") {
      chronicle.line(name, `VOTES ${write.vote.decision} ${describeVote(write.vote)}`);
    }
  }
}

function noteDisowned({ peer: self, life }: Host, record: RunRecord, chronicle: Chronicle): void {
  const { job, tick, attempt, slot, peer, state, by = peer } = record;
  if (peer !== self || by !== self || (state !== "lost" && state !== "withdrawn")) return;
  const at = chronicle.now();
  chronicle.disowned.push({ job, tick, attempt, slot, peer, at, state, heardOthers: hearsOthers(life, at) });
}

function isAcceptedEpoch(write: Write): boolean {
  return (
    write.kind === "vote" &&
    write.vote.decision.startsWith("roster/") &&
    write.vote.vote.accepted !== undefined
  );
}

function describeRecord(record: RunRecord): string {
  const { job, tick, attempt, peer, state, version, rank, reason, by, epoch, waiting } = record;
  const parts = [
    `v${version} rank ${rank}`,
    reason === undefined ? "" : `(${reason})`,
    waiting === undefined ? "" : `waits for ${waiting}`,
    by === undefined ? "" : `by ${by}`,
    epoch === undefined ? "" : `epoch ${epoch}`,
  ];
  return `${job}@${tick}~${attempt} of ${peer}: ${state} ${parts.filter((part) => part !== "").join(" ")}`;
}

function describeVote({ vote: { promised, accepted } }: StoredVote): string {
  const then = accepted === undefined ? "" : `, accepted ${accepted.value} at ${accepted.ballot.round}`;
  return `promised ${promised.round} of ${promised.peer}${then}`;
}
