/**
 * Makes the digest that a channel gets once a day (core/records/digest.ts): the peer whose turn it is reads the day's records,
 * which every peer has, and hands the text to mesh-notices.ts, which sends it once.
 */
import type { MeshSight } from "../../core/operator/mesh-sight.ts";
import { describeDay, isOutcome, lastDay, type Day, type ExistingJobs } from "../../core/records/digest.ts";
import { zoneOf } from "../../core/time/zone.ts";
import { CicadaError } from "../../errors.ts";
import type { Doors, Now } from "../../ports.ts";
import { countedMost } from "../../ports/disk.ts";
import type { Digest, DigestState } from "../../schema/digest.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { MeshTopic } from "../../schema/mesh-notice.ts";
import type { RunRecord } from "../../schema/run.ts";
import { wrongStates } from "../../schema/run-states.ts";

/** The records of a day's last ticks have arrived after this, and most of its runs have ended; ms. */
const afterDayMs = 60_000;
/** A digest that no peer could send within this time, because none was up, is left out; ms. */
const lateMs = 3_600_000;
/** No more problems than these are read, as they would not be named anyway. */
const problemsMax = 1_000;
/** Records read at once, and how often: there may be many attempts that were repeated among the problems. */
const pageRecords = 1_000;
const pagesMax = 50;

export interface DigestsDeps {
  doors: Pick<Doors, "disk" | "keys" | "log">;
  nameOf: (peer: PeerId) => string;
  jobs: () => ExistingJobs;
  isSent: (topic: MeshTopic) => boolean;
  send: (topic: MeshTopic, digest: { text: string; state: DigestState }) => void;
}

export class Digests {
  readonly #deps: DigestsDeps;
  /** the channels whose digest is being read */
  readonly #reading = new Set<string>();

  constructor(deps: DigestsDeps) {
    this.#deps = deps;
  }

  /** `digests`: by channel. */
  woke(digests: ReadonlyMap<string, Digest>, sight: MeshSight, { wall }: Now): void {
    for (const [channel, { at, timezone = "UTC" }] of digests) {
      const zone = zoneOf(timezone);
      if (zone === undefined || this.#reading.has(channel)) continue;
      const day = lastDay(zone, at, wall);
      if (wall < day.to + afterDayMs || wall >= day.to + lateMs) continue;
      const topic = { event: "digest", subject: channel, episode: day.shown.replace(" ", "T") } as const;
      if (this.#deps.isSent(topic) || sight.reporterOf("digest", channel) !== this.#deps.doors.keys.self)
        continue;
      this.#read(topic, day, timezone, sight);
    }
  }

  #read(topic: MeshTopic, day: Day, zone: string, sight: MeshSight): void {
    const { disk, log } = this.#deps.doors;
    const channel = topic.subject;
    const failed = (why: CicadaError) => {
      this.#reading.delete(channel);
      log.warn("the records for a digest can't be read; it is tried again", { channel, why: why.detail });
    };
    const { from, to } = day;
    this.#reading.add(channel);
    const send = (good: { total: number }, problems: readonly RunRecord[], isCut: boolean) => {
      this.#reading.delete(channel);
      const { total: succeeded } = good;
      const facts = { succeeded, moreSucceeded: succeeded >= countedMost, problems, isCut };
      const { jobs, nameOf } = this.#deps;
      this.#deps.send(
        topic,
        describeDay({ day, zone, jobs: jobs(), undecided: sight.undecided(to), nameOf, ...facts }),
      );
    };
    disk.history({ states: ["succeeded"], from, to, limit: 1 }, (good) => {
      if (good instanceof CicadaError) return failed(good);
      const problems: RunRecord[] = [];
      const readPage = (page: number, place: { after?: string }): void => {
        disk.history({ states: wrongStates, from, to, limit: pageRecords, ...place }, (bad) => {
          if (bad instanceof CicadaError) return failed(bad);
          problems.push(...bad.records.filter(isOutcome));
          const { next } = bad;
          if (next === null || problems.length >= problemsMax || page === pagesMax) {
            return send(good, problems, next !== null);
          }
          readPage(page + 1, { after: next });
        });
      };
      readPage(1, {});
    });
  }
}
