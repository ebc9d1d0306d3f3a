/**
 * The chronicle: what was done to the hosts and what followed, written down as it happens by an observer outside of all
 * peers. The checkers judge by it, and `--trace` prints it line by line. All its instants are true time.
 */
import { recordKey } from "../../core/records/records.ts";
import type { Delivery } from "../../ports/notifier.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { HostName } from "../mesh/wires.ts";
import { asChangesOfJobs } from "./shared-changes.ts";
import type { Operation } from "./requests.ts";
import type {
  Cut,
  DisownedSeen,
  Evidence,
  FaultWindow,
  GarbageSeen,
  NoticeSeen,
  Outage,
  RecordSeen,
  Rollback,
  Run,
  SizesSeen,
  Stranding,
} from "./truth.ts";

export type OnLine = (at: number, host: HostName | undefined, line: string) => void;

export class Chronicle {
  readonly runs: Run[] = [];
  readonly operations: Operation[] = [];
  readonly outages: Outage[] = [];
  readonly cuts: Cut[] = [];
  readonly faultWindows: FaultWindow[] = [];
  readonly stranded: Stranding[] = [];
  readonly rollbacks: Rollback[] = [];
  readonly sizes: SizesSeen[] = [];
  readonly disowned: DisownedSeen[] = [];
  readonly garbage: GarbageSeen[] = [];
  readonly notices: NoticeSeen[] = [];
  readonly earlierLives = new Set<string>();
  /** when a record was first stored on a host, by both */
  readonly arrivals = new Map<string, number>();
  /** true time, ms since the epoch */
  readonly now: () => number;
  /** when something was last done to the world, or a child last started or ended */
  changedAt = -Infinity;
  ranAt = -Infinity;
  readonly #onLine: OnLine | undefined;

  constructor(now: () => number, onLine: OnLine | undefined) {
    this.now = now;
    this.#onLine = onLine;
  }

  /** False if nobody reads the lines, so that callers needn't format them. */
  get isRead(): boolean {
    return this.#onLine !== undefined;
  }

  line(host: HostName | undefined, line: string): void {
    this.#onLine?.(this.now(), host, line);
  }

  /** A channel has taken a message of the peer. */
  noticesDelivered(peer: PeerId, { notices }: Delivery): void {
    for (const { key } of notices) this.notices.push({ key, by: peer, at: this.now() });
  }

  /** Notes that something was done to the world just now. */
  changed(): void {
    this.changedAt = this.now();
  }

  outageBegins(peer: PeerId, kind: Outage["kind"]): void {
    this.changed();
    this.outages.push({ peer, kind, from: this.now(), to: Infinity });
  }

  outageEnds(peer: PeerId, kind: Outage["kind"]): void {
    const open = this.outages.findLast(
      (one) => one.peer === peer && one.kind === kind && one.to === Infinity,
    );
    this.changed();
    if (open !== undefined) open.to = this.now();
  }

  /** Notes that a cut begins; the returned function notes its end. */
  cutBegins(sender: PeerId, receiver: PeerId, isProved = false): () => void {
    this.line(undefined, `CUT ${sender} > ${receiver}`);
    this.changed();
    const cut: Cut = { sender, receiver, from: this.now(), to: Infinity };
    if (isProved) cut.isProved = true;
    this.cuts.push(cut);
    return () => {
      this.line(undefined, `MENDED ${sender} > ${receiver}`);
      this.changed();
      cut.to = this.now();
    };
  }

  /** Notes that a fault window begins; the returned function notes its end. */
  faultBegins(kind: FaultWindow["kind"], peer: PeerId | undefined, steppedMs?: number): () => void {
    this.line(peer, `BEGINS ${kind}${steppedMs === undefined ? "" : ` by ${steppedMs} ms`}`);
    this.changed();
    const faultWindow: FaultWindow = {
      kind,
      peer,
      from: this.now(),
      to: Infinity,
      ...(steppedMs === undefined ? {} : { steppedMs }),
    };
    this.faultWindows.push(faultWindow);
    return () => {
      this.line(peer, `ENDS ${kind}`);
      this.changed();
      faultWindow.to = this.now();
    };
  }

  /** Notes that from now on a forgotten peer can't be told anything; the returned function notes the end of that. */
  strandingBegins(peer: PeerId): () => void {
    this.line(peer, "STRANDED with an old cluster key");
    const stranding: Stranding = { peer, from: this.now(), to: Infinity };
    this.stranded.push(stranding);
    return () => (stranding.to = this.now());
  }

  /**
   * Notes that the peer's folder was restored to its state at `copiedAt`. Promises since then that no other peer knows
   * are lost.
   */
  noteRestore(peer: PeerId, copiedAt: number): void {
    const at = this.now();
    this.rollbacks.push({ peer, copiedAt, startedAt: at, kind: "old disk" });
    // For the others it is as if the peer had been away since then.
    this.outages.push({ peer, kind: "down", from: copiedAt, to: at });
    for (const operation of this.operations) {
      const { answeredAt } = operation;
      if (operation.peer !== peer || answeredAt === undefined || answeredAt < copiedAt) continue;
      operation.answeredAt = undefined;
    }
  }

  /** True if a client's request to forget the peer was confirmed or not answered. */
  hasForgotten(peer: PeerId): boolean {
    return this.operations.some(
      ({ request, accepted, answeredAt }) =>
        request.kind === "forget" && request.target === peer && (accepted || answeredAt === undefined),
    );
  }

  /** True if such a request was confirmed. Of one that was not answered, nobody knows whether it was carried out. */
  hasSurelyForgotten(peer: PeerId): boolean {
    return this.operations.some(
      ({ request, accepted }) => request.kind === "forget" && request.target === peer && accepted,
    );
  }

  evidence(): Pick<
    Evidence,
    | "runs"
    | "operations"
    | "outages"
    | "cuts"
    | "faultWindows"
    | "stranded"
    | "rollbacks"
    | "sizes"
    | "disowned"
    | "garbage"
    | "notices"
    | "earlierLives"
  > {
    const { runs, outages, cuts, faultWindows, stranded } = this;
    const { rollbacks, sizes, disowned, garbage, notices, earlierLives } = this;
    return {
      runs,
      operations: asChangesOfJobs(this.operations),
      outages,
      cuts,
      faultWindows,
      stranded,
      rollbacks,
      sizes,
      disowned,
      garbage,
      notices,
      earlierLives,
    };
  }
}

/** Notes that the host has stored a version of the record. */
export function noteArrival({ arrivals, now }: Chronicle, host: HostName, record: RunRecord): void {
  const key = `${host} ${recordKey(record)}`;
  if (!arrivals.has(key)) arrivals.set(key, now());
}

/** Records of a host as the observer sees them, by key; `at` is the time of the observation. */
export function recordsSeen(
  records: readonly RunRecord[],
  at: number,
  host: HostName,
  arrivals: ReadonlyMap<string, number>,
): Map<string, RecordSeen> {
  return new Map(
    records.map((record) => {
      const {
        job,
        tick,
        attempt,
        slot,
        peer,
        state,
        signature,
        epoch,
        giveBacks,
        range,
        finishedAt,
        startedAt,
      } = record;
      // A claim is written anew whenever the reason for waiting changes.
      const writtenAt = state === "claimed" ? at : (finishedAt ?? startedAt ?? 0);
      const seen: RecordSeen = { job, tick, attempt, slot, peer, state, writing: signature, writtenAt };
      if (epoch !== undefined) seen.epoch = epoch;
      if (giveBacks !== undefined) seen.giveBacks = giveBacks;
      if (range !== undefined) seen.rangeFrom = range.from;
      const key = recordKey(record);
      const arrivedAt = arrivals.get(`${host} ${key}`);
      if (arrivedAt !== undefined) seen.arrivedAt = arrivedAt;
      return [key, seen];
    }),
  );
}
