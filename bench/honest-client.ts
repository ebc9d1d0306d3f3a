/**
 * A client with a valid token. It asks each peer ten times a second, over new connections and without waiting for earlier answers,
 * and notes how long each answer took and the longest time without an answer.
 */
import { setTimeout as passes } from "node:timers/promises";
import type { RunningPeer } from "../test/kit/cluster.ts";
import { percentile } from "./report.ts";

const everyMs = 100;
/** How long the client waits for the last answers. */
const endMs = 10_000;

export interface ClientFigures {
  answers: number;
  failedAnswers: number;
  p99Ms: number;
  silenceMs: number;
}

export class HonestClient {
  readonly #peers: readonly RunningPeer[];
  readonly #tookMs: number[] = [];
  readonly #lastAnswer = new Map<string, number>();
  #open = 0;
  #failed = 0;
  #silenceMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(peers: readonly RunningPeer[]) {
    this.#peers = peers;
  }

  begin(): void {
    const now = performance.now();
    for (const { name } of this.#peers) this.#lastAnswer.set(name, now);
    this.#timer = setInterval(() => {
      for (const peer of this.#peers) void this.#ask(peer);
    }, everyMs);
  }

  async #ask(peer: RunningPeer): Promise<void> {
    const from = performance.now();
    this.#open++;
    try {
      const { status } = await peer.call("GET", "/v1/jobs?limit=5");
      if (status !== 200) throw new Error(`answered ${status}`);
      const now = performance.now();
      this.#tookMs.push(now - from);
      this.#silenceMs = Math.max(this.#silenceMs, now - (this.#lastAnswer.get(peer.name) ?? now));
      this.#lastAnswer.set(peer.name, now);
    } catch {
      this.#failed++;
    } finally {
      this.#open--;
    }
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    const giveUpAt = performance.now() + endMs;
    // oxlint-disable-next-line no-await-in-loop -- until all have come
    while (this.#open > 0 && performance.now() < giveUpAt) await passes(50);
    this.#failed += this.#open;
  }

  figures(): ClientFigures {
    const ascending = this.#tookMs.toSorted((a, b) => a - b);
    return {
      answers: ascending.length,
      failedAnswers: this.#failed,
      p99Ms: percentile(ascending, 99),
      silenceMs: this.#silenceMs,
    };
  }
}
