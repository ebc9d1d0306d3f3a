/** What a neighbour's greetings may cost (real/mesh/greeting-shares.ts), and how many peers that it names are dialled at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Dialler } from "../src/real/mesh/dialler.ts";
import { GreetingShares } from "../src/real/mesh/greeting-shares.ts";
import type { Line } from "../src/real/mesh/links.ts";
import type { PeerId } from "../src/schema/ids.ts";

/** A clock that moves when a test says so. */
class TestClock {
  mono = 0;
  #alarms: { at: number; ring: () => void }[] = [];

  now(): { mono: number; wall: number } {
    return { mono: this.mono, wall: this.mono };
  }

  alarm(at: number, ring: () => void): () => void {
    const alarm = { at, ring };
    this.#alarms.push(alarm);
    return () => {
      this.#alarms = this.#alarms.filter((one) => one !== alarm);
    };
  }

  pass(ms: number): void {
    const until = this.mono + ms;
    for (;;) {
      const [next] = this.#alarms.toSorted((a, b) => a.at - b.at);
      if (next === undefined || next.at > until) break;
      this.#alarms = this.#alarms.filter((one) => one !== next);
      this.mono = Math.max(this.mono, next.at);
      next.ring();
    }
    this.mono = until;
  }
}

function lineOf(peer: string): Line {
  return { peer: peer as PeerId } as Line; // its peer is all that is read
}

const long = 25_000;

function greeting(number: number): Uint8Array {
  return new Uint8Array(long).fill(number);
}

function shares(clock: TestClock): { shares: GreetingShares; taken: [string, number, number][] } {
  const taken: [string, number, number][] = [];
  const doors = {
    clock,
    after: (ms: number, ring: () => void) => void clock.alarm(clock.mono + ms, ring),
    take: ({ peer }: Line, bytes: Uint8Array) => void taken.push([peer, bytes.length, bytes[0] ?? 0]),
  };
  return { shares: new GreetingShares(doors), taken };
}

test("a neighbour that greets without end is taken as often as its share allows, and its latest word counts", () => {
  const clock = new TestClock();
  const { shares: all, taken } = shares(clock);
  const line = lineOf("mallory");
  for (let second = 0; second < 10; second++) {
    for (let number = 0; number < 200; number++) all.heard(line, greeting(number));
    clock.pass(1_000);
  }
  assert.ok(taken.length < 100, `${taken.length} of 2,000 were taken`);
  assert.equal(taken.at(-1)?.[2], 199, "the latest one is not lost");
  const before = taken.length;
  clock.pass(10_000);
  assert.ok(taken.length <= before + 1, "nothing has piled up");
});

test("others don't wait for it, nor do its pings, and after a quiet time it has its share again", () => {
  const clock = new TestClock();
  const { shares: all, taken } = shares(clock);
  const mallory = lineOf("mallory");
  for (let number = 0; number < 100; number++) all.heard(mallory, greeting(number));
  const before = taken.length;
  all.heard(lineOf("bob"), greeting(1));
  all.heard(mallory, new Uint8Array(15));
  assert.deepEqual(taken.slice(before), [
    ["bob", long, 1],
    ["mallory", 15, 0],
  ]);
  clock.pass(60_000);
  const later = taken.length;
  all.heard(mallory, greeting(7));
  assert.deepEqual(taken.slice(later), [["mallory", long, 7]]);
});

test("of a line that has ended nothing waits, however many lines there are one after the other", () => {
  const clock = new TestClock();
  const { shares: all, taken } = shares(clock);
  for (let number = 0; number < 1_000; number++) {
    const line = lineOf("mallory");
    all.heard(line, greeting(number));
    all.closed(line);
  }
  const before = taken.length;
  assert.ok(before < 20, `${before} of 1,000 were taken`);
  clock.pass(600_000);
  assert.equal(taken.length, before);
});

/** A dialler to which peers are named that answer no dial; after `givesUpMs` it is given up. */
function dialler(clock: TestClock, book: { has(peer: PeerId): boolean }, givesUpMs = Infinity) {
  const dials: PeerId[] = [];
  const made = new Dialler({
    clock,
    random: { next: () => 0.5, bytes: (length) => new Uint8Array(length) },
    self: "a" as PeerId,
    dial: (_address, peer) => {
      if (peer !== undefined) dials.push(peer);
      return new Promise((resolve) => {
        if (givesUpMs < Infinity) clock.alarm(clock.mono + givesUpMs, () => resolve("failed"));
      });
    },
    addressesOf: (peer) => ({
      proven: peer.startsWith("known") ? ["/ip4/127.0.0.1/tcp/1"] : [],
      others: book.has(peer) ? ["/ip4/127.0.0.1/tcp/2"] : [],
    }),
    sorted: (addresses) => addresses,
    isConnected: () => false,
    isAlone: () => false,
    refused: () => undefined,
    resolved: () => undefined,
  });
  made.start();
  return { made, dials };
}

test("of peers that were never reached few are dialled at once, and those that were reached have their places", () => {
  const clock = new TestClock();
  const { made, dials } = dialler(clock, { has: () => true });
  for (let number = 0; number < 1_000; number++) made.expect(`named-${number}` as PeerId, false);
  clock.pass(30_000);
  assert.ok(dials.length <= 32, `${dials.length} at once`);
  made.expect("known" as PeerId, false);
  clock.pass(1_000);
  assert.equal(dials.at(-1), "known");
});

test("peers that have left the address book are not dialled", () => {
  const clock = new TestClock();
  const { made, dials } = dialler(clock, { has: (peer) => peer === "named-999" });
  for (let number = 0; number < 1_000; number++) made.expect(`named-${number}` as PeerId, false);
  clock.pass(30_000);
  assert.deepEqual(dials, ["named-999"]);
});

test("each of them has its turn, however many are named before it and are dialled again and again", async () => {
  const clock = new TestClock();
  const { made, dials } = dialler(clock, { has: () => true }, 3_000);
  for (let number = 0; number < 500; number++) made.expect(`named-${number}` as PeerId, false);
  for (let seconds = 0; seconds < 90; seconds++) {
    clock.pass(1_000);
    // What follows a dial that has ended is done by promises.
    await new Promise(setImmediate); // oxlint-disable-line no-await-in-loop -- one second after the other
  }
  const dialled = new Set(dials);
  assert.equal(dialled.size, 500);
});
