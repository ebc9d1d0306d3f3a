/**
 * What was done to the hosts and what came of it, written down as it happens by somebody who stands outside. It is the
 * evidence by which the checkers judge.
 */
import { recordKey } from "../../core/records/records.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import type {
  Cut,
  Evidence,
  GarbageSeen,
  Operation,
  Outage,
  RecordSeen,
  Rollback,
  Run,
  SizesSeen,
  FaultWindow,
} from "./truth.ts";

export class Chronicle {
  readonly runs: Run[] = [];
  readonly operations: Operation[] = [];
  readonly outages: Outage[] = [];
  readonly cuts: Cut[] = [];
  readonly faultWindows: FaultWindow[] = [];
  readonly rollbacks: Rollback[] = [];
  readonly sizes: SizesSeen[] = [];
  readonly garbage: GarbageSeen[] = [];

  outageBegins(peer: PeerId, kind: Outage["kind"], at: number): void {
    this.outages.push({ peer, kind, from: at, to: Infinity });
  }

  outageEnds(peer: PeerId, kind: Outage["kind"], at: number): void {
    const open = this.outages.findLast(
      (one) => one.peer === peer && one.kind === kind && one.to === Infinity,
    );
    if (open !== undefined) open.to = at;
  }

  /** The peer's folder is what it was at `copiedAt`. What it alone had promised since then is gone. */
  putBack(peer: PeerId, copiedAt: number, at: number): void {
    this.rollbacks.push({ peer, copiedAt, startedAt: at, kind: "old disk" });
    // To the others it is as if it had been away since then.
    this.outages.push({ peer, kind: "down", from: copiedAt, to: at });
    for (const operation of this.operations) {
      const { answeredAt } = operation;
      if (operation.peer !== peer || answeredAt === undefined || answeredAt < copiedAt) continue;
      operation.answeredAt = undefined;
    }
  }

  evidence(): Pick<
    Evidence,
    "runs" | "operations" | "outages" | "cuts" | "faultWindows" | "rollbacks" | "sizes" | "garbage"
  > {
    const { runs, operations, outages, cuts, faultWindows, rollbacks, sizes, garbage } = this;
    return { runs, operations, outages, cuts, faultWindows, rollbacks, sizes, garbage };
  }
}

/** Records as a stranger sees them, by key; `at` is when they are looked at. */
export function recordsSeen(records: readonly RunRecord[], at: number): Map<string, RecordSeen> {
  return new Map(
    records.map((record) => {
      const { job, tick, attempt, peer, state, signature, epoch, finishedAt, startedAt } = record;
      // A claim is written anew whenever it waits for something else.
      const writtenAt = state === "claimed" ? at : (finishedAt ?? startedAt ?? 0);
      const seen = { job, tick, attempt, peer, state, writing: signature, writtenAt };
      return [recordKey(record), epoch === undefined ? seen : { ...seen, epoch }];
    }),
  );
}
