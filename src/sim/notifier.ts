/** The Notifier door: the channel takes every message after a drawn time, but refuses some of them once or twice before. */
import type { Delivered, Delivery, Notifier, Ping } from "../ports/notifier.ts";
import type { Dice } from "./random.ts";
import type { Process } from "./world/process.ts";
import type { Queue } from "./world/queue.ts";

const refusedMost = 2;

export class SimNotifier implements Notifier {
  private readonly queue: Queue;
  private readonly process: Process;
  private readonly dice: Dice;
  /** how often each message was refused */
  private readonly refused = new Map<string, number>();
  private readonly accept: (delivery: Delivery) => void;

  /** `accept` is called when the channel has the message, even if the process dies before it learns so. */
  constructor(queue: Queue, process: Process, dice: Dice, accept: (delivery: Delivery) => void) {
    this.queue = queue;
    this.process = process;
    this.dice = dice;
    this.accept = accept;
  }

  deliver(delivery: Delivery, done: (result: Delivered) => void): void {
    const arrivesMs = 20 + this.dice.below(200);
    const refused = this.refused.get(delivery.id) ?? 0;
    const isDown = refused < refusedMost && this.dice.next() < 0.1;
    this.refused.set(delivery.id, refused + Number(isDown));
    this.queue.after(arrivesMs, undefined, () => {
      if (!isDown) this.accept(delivery);
      const result: Delivered = isDown ? { ok: false, isFinal: false, why: "no answer" } : { ok: true };
      this.queue.after(this.dice.below(50), this.process, () => done(result));
    });
  }

  ping(_ping: Ping, done: (result: Delivered) => void): void {
    this.queue.after(20, this.process, () => done({ ok: true }));
  }

  close(): void {}
}
