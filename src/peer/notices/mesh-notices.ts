/**
 * Notifies the channels of problems of the mesh and of their ends (core/records/mesh-news.ts), and of what happens to the mesh
 * once, such as a joining peer. The peer whose turn it is sends the notice. The others keep its records, and if it dies, the
 * next one goes on with them. A starting peer reads from its disk what was sent before, so a restart forgets no problem and
 * repeats none.
 */
import type { ExistingJobs } from "../../core/records/digest.ts";
import type { MeshSight, Seen, SeenFact } from "../../core/operator/mesh-sight.ts";
import { clockRefusedMs } from "../../core/members/suspicion.ts";
import { newsOf, type Incident } from "../../core/records/mesh-news.ts";
import { CicadaError } from "../../errors.ts";
import type { Doors, Now } from "../../ports.ts";
import { subscriptionsOf, type Subscriptions } from "../../schema/channel.ts";
import { tickAt, type PeerId } from "../../schema/ids.ts";
import { problemEnds, type ReportedEvent } from "../../schema/mesh-event.ts";
import {
  isMeshNoticeRecord,
  meshJob,
  meshNoticeKey,
  meshNoticeKind,
  readTopic,
  topicName,
  type MeshNoticeRecord,
  type MeshTopic,
} from "../../schema/mesh-notice.ts";
import { noticeTextMax, type Notice } from "../../schema/notice.ts";
import type { OtherRecord } from "../../schema/other-record.ts";
import type { DigestState } from "../../schema/digest.ts";
import { Digests } from "./digests.ts";
import { allOpen, openChannels, type NoticeSender, type SentRecord } from "./notice-sender.ts";

/** How often the mesh is looked at, ms. */
const lookEveryMs = 2_000;
/** A notice older than this is forgotten, ms. */
const rememberedMs = 14 * 86_400_000;
/** The most notices that are remembered, about 500 bytes each; the oldest go first. */
const rememberedMax = 4_096;
/**
 * How many peers' records of one notice are remembered: those of the sides of a split, and of the peers that took the notice over.
 * More lets a member that signs as any number of peers fill this peer's memory.
 */
const sendersMax = 16;
/** A notice that could not be sent within this time is no news any more, ms. */
const newsMs = 86_400_000;
/**
 * How long the peers that send a notice must be gone before another one sends it, ms. After a split a record comes before its
 * writer is heard.
 */
const takeOverMs = 15_000;
/** A rotation longer ago than this is no news, even if the peer that should have sent it is dead; ms. */
const factMs = 3_600_000;

export interface MeshNoticesDeps {
  doors: Pick<Doors, "clock" | "disk" | "keys" | "keyring" | "log">;
  sender: NoticeSender;
  /** the values under the root of the channels; the same map until one of them changes */
  channels: () => ReadonlyMap<string, unknown>;
  sight: () => MeshSight | undefined;
  nameOf: (peer: PeerId) => string;
  isAlive: (peer: PeerId) => boolean;
  jobs: () => ExistingJobs;
}

interface Said {
  text: string;
  state?: DigestState | undefined;
}

interface SentNotice {
  readonly topic: MeshTopic;
  readonly records: Map<PeerId, MeshNoticeRecord>;
  /** since when it is unsent and nobody is sending it */
  leftAtMono?: number | undefined;
}

export class MeshNotices {
  readonly #deps: MeshNoticesDeps;
  /** by name */
  readonly #notices = new Map<string, SentNotice>();
  /** the names that begin with each `EVENT/SUBJECT` */
  readonly #namesOf = new Map<string, Set<string>>();
  /** since when it has been so; by problem and subject */
  readonly #seen = new Map<string, { hasProblem: boolean; sinceMono: number }>();
  #lookAtMono = -Infinity;
  #isRead = false;
  readonly #digests: Digests;
  #subscriptions: { of: ReadonlyMap<string, unknown>; are: Subscriptions } | undefined;

  constructor(deps: MeshNoticesDeps) {
    this.#deps = deps;
    this.#digests = new Digests({
      ...deps,
      isSent: (topic) => this.isSent(topicName(topic)),
      send: (topic, { text, state }) => this.#send(topic, [topic.subject], text, state),
    });
  }

  /** Reads what was sent before, and continues with what the last life had not sent. */
  resume(): void {
    const { disk, clock, keys, log } = this.#deps.doors;
    const from = clock.now().wall - rememberedMs;
    disk.others({ kind: meshNoticeKind, of: { from }, limit: rememberedMax }, (found) => {
      this.#isRead = true;
      if (found instanceof CicadaError) {
        return log.warn("the notices about the mesh can't be read", { why: found.detail });
      }
      this.heard(found);
      const since = clock.now().wall - newsMs;
      for (const record of found) {
        if (!isMeshNoticeRecord(record) || record.peer !== keys.self || record.at < since) continue;
        const topic = readTopic(record.name);
        if (topic === undefined || openChannels(record.channels).length === 0) continue;
        this.#deps.sender.resume(record, this.#noticeOf(record, topic), (next) => this.#remember(next));
      }
    });
  }

  /** Records of any kind that have come from other peers. */
  heard(records: readonly OtherRecord[]): void {
    for (const record of records) {
      if (!isMeshNoticeRecord(record)) continue;
      this.#remember(record);
      if (record.peer !== this.#deps.doors.keys.self) this.#deps.sender.heard(record.channels);
    }
  }

  /** Called about once a second. */
  woke(now: Now): void {
    if (now.mono < this.#lookAtMono || !this.#isRead) return;
    this.#lookAtMono = now.mono + lookEveryMs;
    const { events, digests } = this.#read();
    if (events.size === 0 && digests.size === 0 && this.#notices.size === 0) return this.#seen.clear();
    const sight = this.#deps.sight();
    if (sight === undefined) return this.#seen.clear();
    this.#forgetAhead(now.wall);
    for (const one of sight.seen) this.#judge(one, sight, now);
    const subjects = new Set(sight.seen.map(({ problem, subject }) => `${problem}/${subject}`));
    for (const key of this.#seen.keys()) if (!subjects.has(key)) this.#seen.delete(key);
    for (const { fact, subject, text } of [...sight.facts, ...this.#rotations(now)]) {
      const topic = { event: fact, subject, episode: "once" };
      if (sight.reporterOf(fact, subject) === this.#deps.doors.keys.self) {
        this.#send(topic, events.get(fact) ?? [], text);
      }
    }
    this.#digests.woke(digests, sight, now);
    this.#takeOver(sight, now);
  }

  /** Sends the notice, unless that has been done or is being done. `state`: of a digest. */
  #send(topic: MeshTopic, channels: readonly string[], text: string, state?: DigestState): void {
    const name = topicName(topic);
    if (channels.length === 0 || this.isSent(name)) return;
    this.#open(topic, channels, { text, state }, this.#deps.doors.clock.now().wall);
  }

  /** Whether this peer or another one has sent the notice, or is sending it. */
  isSent(name: string): boolean {
    return this.#notices.has(name) || this.#deps.sender.isSending(meshNoticeKey(name));
  }

  #rotations({ wall }: Now): SeenFact[] {
    const { keyring } = this.#deps.doors;
    const at = keyring.madeAt();
    if (at < wall - factMs) return [];
    const subject = keyring.fingerprint();
    return [{ fact: "key-rotated", subject, at, text: `the cluster key was rotated: it is ${subject} now` }];
  }

  #judge(one: Seen, sight: MeshSight, { mono, wall }: Now): void {
    const { problem, subject, hasProblem, reportAfterMs, text } = one;
    const key = `${problem}/${subject}`;
    const before = this.#seen.get(key);
    const sinceMono = before?.hasProblem === hasProblem ? before.sinceMono : mono;
    this.#seen.set(key, { hasProblem, sinceMono });
    const sighting = { hasProblem, reportAfterMs, lastedMs: mono - sinceMono };
    const news = newsOf(sighting, this.#incidentsOf(problem, subject), wall);
    if (news === undefined) return;
    const event: ReportedEvent = news.kind === "begins" ? problem : problemEnds[problem];
    if (sight.reporterOf(event, subject) !== this.#deps.doors.keys.self) return;
    const subscribed = this.#read().events.get(problem) ?? [];
    const channels =
      news.kind === "begins" ? subscribed : news.channels.filter((name) => subscribed.includes(name));
    const topic = { event, subject, episode: news.episode };
    if (news.kind === "ends" && channels.length === 0) return this.#close(topic, text);
    this.#send(topic, channels, text);
  }

  /** No channel is notified of the end: a record without channels says that the problem is over. */
  #close(topic: MeshTopic, text: string): void {
    const name = topicName(topic);
    if (!this.isSent(name)) this.#open(topic, [], { text }, this.#deps.doors.clock.now().wall);
  }

  #incidentsOf(problem: keyof typeof problemEnds, subject: string): Incident[] {
    const incidents: Incident[] = [];
    for (const name of this.#namesOf.get(`${problem}/${subject}`) ?? []) {
      const { topic, records } = this.#notices.get(name) ?? {};
      if (topic === undefined || records === undefined) continue;
      const isEnded = this.isSent(topicName({ ...topic, event: problemEnds[problem] }));
      const at = Math.min(...[...records.values()].map((record) => record.at));
      incidents.push({ episode: topic.episode, at, channels: mergedChannels(records.values()), isEnded });
    }
    return incidents;
  }

  /** The peer whose turn it is now sends what a peer that is gone has left unsent. */
  #takeOver(sight: MeshSight, { wall, mono }: Now): void {
    const { self } = this.#deps.doors.keys;
    for (const notice of this.#notices.values()) {
      const { topic, records } = notice;
      const [first] = records.values();
      if (first === undefined || first.at < wall - newsMs) continue;
      // A member can name channels that don't exist, and each would cost a record of its own.
      const left = openChannels(mergedChannels(records.values())).filter((name) =>
        this.#deps.channels().has(name),
      );
      const isInHand = [...records.keys()].some((peer) => peer === self || this.#deps.isAlive(peer));
      notice.leftAtMono = left.length === 0 || isInHand ? undefined : (notice.leftAtMono ?? mono);
      if (notice.leftAtMono === undefined || mono - notice.leftAtMono < takeOverMs) continue;
      if (sight.reporterOf(topic.event, topic.subject) === self) this.#open(topic, left, first, first.at);
    }
  }

  #open(topic: MeshTopic, channels: readonly string[], said: Said, at: number): void {
    const { keys } = this.#deps.doors;
    const { text, state } = said;
    const record: MeshNoticeRecord = {
      kind: meshNoticeKind,
      job: meshJob,
      tick: tickAt(Math.floor(at / 1_000) * 1_000),
      name: topicName(topic),
      peer: keys.self,
      version: 1,
      signature: "",
      at,
      text: text.slice(0, noticeTextMax),
      ...(state === undefined ? {} : { state }),
      channels: allOpen(channels),
    };
    this.#deps.sender.open(record, this.#noticeOf(record, topic), (next) => this.#remember(next));
  }

  #noticeOf({ name, at, text, state }: MeshNoticeRecord, { event, subject }: MeshTopic): Notice {
    const { self } = this.#deps.doors.keys;
    const isAboutPeer = !["no-majority", "majority", "key-rotated", "digest"].includes(event);
    const peer = isAboutPeer ? (subject as PeerId) : self;
    return {
      key: meshNoticeKey(name),
      event,
      job: undefined,
      tick: undefined,
      run: undefined,
      state: state ?? event,
      reason: undefined,
      exitCode: undefined,
      peer: { id: peer, name: this.#deps.nameOf(peer) },
      at,
      startedAt: undefined,
      finishedAt: undefined,
      group: "default",
      owner: undefined,
      description: undefined,
      text,
    };
  }

  #remember(record: SentRecord): void {
    const topic = record.kind === meshNoticeKind ? readTopic(record.name) : undefined;
    if (record.kind !== meshNoticeKind || topic === undefined) return;
    if (isAhead(record, this.#deps.doors.clock.now().wall)) return;
    const notice: SentNotice = this.#notices.get(record.name) ?? { topic, records: new Map() };
    const known = notice.records.get(record.peer);
    if ((known?.version ?? 0) >= record.version) return;
    const isOwn = record.peer === this.#deps.doors.keys.self;
    if (known === undefined && notice.records.size >= sendersMax && !isOwn) return;
    notice.records.set(record.peer, record);
    this.#notices.set(record.name, notice);
    const start = `${topic.event}/${topic.subject}`;
    const names = this.#namesOf.get(start) ?? new Set();
    this.#namesOf.set(start, names.add(record.name));
    if (this.#notices.size > rememberedMax) this.#forgetOldest();
  }

  #forgetOldest(): void {
    // They are in the order in which they were heard, or read from the disk.
    for (const name of this.#notices.keys()) return this.#forget(name);
  }

  /**
   * A notice of a time that has not come was sent by a clock that was ahead. It would keep people from being notified until that
   * time: of the end of its problem, of the next problem, of the digest of that day.
   */
  #forgetAhead(wall: number): void {
    for (const [name, { records }] of this.#notices) {
      for (const [peer, record] of records) if (isAhead(record, wall)) records.delete(peer);
      if (records.size === 0) this.#forget(name);
    }
  }

  #forget(name: string): void {
    const { topic } = this.#notices.get(name) ?? {};
    this.#notices.delete(name);
    if (topic === undefined) return;
    const start = `${topic.event}/${topic.subject}`;
    const names = this.#namesOf.get(start);
    names?.delete(name);
    if (names?.size === 0) this.#namesOf.delete(start);
  }

  #read(): Subscriptions {
    const of = this.#deps.channels();
    if (this.#subscriptions?.of !== of) this.#subscriptions = { of, are: subscriptionsOf(of) };
    return this.#subscriptions.are;
  }
}

function isAhead({ at }: MeshNoticeRecord, wall: number): boolean {
  return at > wall + clockRefusedMs;
}

/** Whether each channel has the notice, whichever peer sent it. */
function mergedChannels(records: Iterable<MeshNoticeRecord>): MeshNoticeRecord["channels"] {
  const merged: MeshNoticeRecord["channels"] = {};
  for (const { channels } of records) {
    for (const [name, how] of Object.entries(channels)) {
      const before = merged[name];
      if (before === undefined || how.state === "sent" || before.state === "open") merged[name] = how;
    }
  }
  return merged;
}
