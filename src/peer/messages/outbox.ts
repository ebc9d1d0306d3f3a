/**
 * Gathers what this peer has decided into batches for topic `runs`. One publish costs every peer about 3 ms of CPU, and one more
 * record in a batch next to nothing (DESIGN §3). A batch is sent after 25 ms or at 64 KiB.
 */
import type { Cancel, Clock } from "../../ports.ts";
import type { MessageOf } from "../../schema/message.ts";
import type { OtherRecord } from "../../schema/other-record.ts";
import type { RequestedOrder, RunRecord } from "../../schema/run.ts";

/** More puts more into one publish; less makes claims and results known sooner. */
const batchMs = 25;
/** Bytes of JSON. More delays the messages behind it; and with the last item, however long, a batch must fit into one message. */
const batchBytes = 65_536;

type Batch = MessageOf<"runs">;

function emptyBatch(): Batch {
  return { kind: "runs", records: [], declined: [], orders: [], cancels: [] };
}

export class Outbox {
  readonly #clock: Clock;
  readonly #publish: (batch: Batch) => void;
  #batch = emptyBatch();
  /** bytes of JSON in the batch */
  #bytes = 0;
  #alarm: Cancel | undefined;

  constructor(clock: Clock, publish: (batch: Batch) => void) {
    this.#clock = clock;
    this.#publish = publish;
  }

  record(record: RunRecord): void {
    this.#makeRoom(record);
    this.#batch.records.push(record);
    this.#flushSoon();
  }

  other(record: OtherRecord): void {
    this.#makeRoom(record);
    this.#batch.others = [...(this.#batch.others ?? []), record];
    this.#flushSoon();
  }

  decline(key: string): void {
    this.#makeRoom(key);
    this.#batch.declined.push(key);
    this.#flushSoon();
  }

  /** Sent at once, because a person waits for it. */
  order(order: RequestedOrder): void {
    this.#makeRoom(order);
    this.#batch.orders.push(order);
    this.flush();
  }

  /** Sent at once, because a person waits for it. */
  cancel(run: string, by: string, reason: string): void {
    this.#makeRoom({ run, by, reason });
    this.#batch.cancels.push({ run, by, reason });
    this.flush();
  }

  #makeRoom(thing: object | string): void {
    const size = Buffer.byteLength(JSON.stringify(thing)) + 1;
    if (this.#bytes > 0 && this.#bytes + size > batchBytes) this.flush();
    this.#bytes += size;
  }

  #flushSoon(): void {
    this.#alarm ??= this.#clock.alarm(this.#clock.now().mono + batchMs, () => this.flush());
  }

  flush(): void {
    this.#alarm?.();
    this.#alarm = undefined;
    const batch = this.#batch;
    const { records, others = [], declined, orders, cancels } = batch;
    if (records.length + others.length + declined.length + orders.length + cancels.length === 0) return;
    this.#batch = emptyBatch();
    this.#bytes = 0;
    this.#publish(batch);
  }
}
