/**
 * What this peer has decided, gathered into batches for topic `runs`: one publish costs every peer about 3 ms of
 * CPU, one more record in a batch next to nothing (DESIGN §3). A batch goes after 25 ms or at 64 KiB.
 */
import type { Cancel, Clock } from "../ports.ts";
import type { MessageOf } from "../schema/message.ts";
import type { AskedOrder, RunRecord } from "../schema/run.ts";

/** More gathers more into one publish; less makes claims and results known sooner. */
const batchMs = 25;
/** A record takes about this much, and a batch stays near 64 KiB. */
const recordBytes = 600;
const batchRecords = Math.floor(65_536 / recordBytes);
const batchDeclines = 1_024;

type Batch = MessageOf<"runs">;

function emptyBatch(): Batch {
  return { kind: "runs", records: [], declined: [], orders: [], cancels: [] };
}

export class Outbox {
  readonly #clock: Clock;
  readonly #publish: (batch: Batch) => void;
  #batch = emptyBatch();
  #alarm: Cancel | undefined;

  constructor(clock: Clock, publish: (batch: Batch) => void) {
    this.#clock = clock;
    this.#publish = publish;
  }

  record(record: RunRecord): void {
    this.#batch.records.push(record);
    this.#added(this.#batch.records.length >= batchRecords);
  }

  decline(key: string): void {
    this.#batch.declined.push(key);
    this.#added(this.#batch.declined.length >= batchDeclines);
  }

  order(order: AskedOrder): void {
    this.#batch.orders.push(order);
    this.#added(true);
  }

  cancel(run: string, by: string, reason: string): void {
    this.#batch.cancels.push({ run, by, reason });
    this.#added(true);
  }

  #added(full: boolean): void {
    if (full) this.flush();
    else this.#alarm ??= this.#clock.alarm(this.#clock.now().mono + batchMs, () => this.flush());
  }

  flush(): void {
    this.#alarm?.();
    this.#alarm = undefined;
    const batch = this.#batch;
    if (batch.records.length + batch.declined.length + batch.orders.length + batch.cancels.length === 0)
      return;
    this.#batch = emptyBatch();
    this.#publish(batch);
  }
}
