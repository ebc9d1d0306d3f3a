/** How notices wait for a channel: one after the other, a burst as one message, and again after a failure. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { NoticeQueue, type Outcome } from "../src/peer/notices/notice-queue.ts";
import type { Delivered } from "../src/ports/notifier.ts";
import type { JobId, PeerId, TickId } from "../src/schema/ids.ts";
import type { Notice } from "../src/schema/notice.ts";

function notice(key: string): Notice {
  return {
    key,
    event: "failed",
    job: key as JobId,
    tick: "2026-11-20T12:00:00Z" as TickId,
    run: undefined,
    state: "failed",
    reason: undefined,
    exitCode: undefined,
    peer: { id: "a" as PeerId, name: "a" },
    at: 0,
    startedAt: undefined,
    finishedAt: undefined,
    group: "default",
    owner: undefined,
    description: undefined,
    text: key,
  };
}

/** A queue in a time of its own, and a channel that answers when it is told to. */
class Stage {
  now = 0;
  /** how far the wall clock is ahead, ms */
  aheadMs = 0;
  readonly sent: { at: number; id: string; keys: string[] }[] = [];
  readonly failures: string[] = [];
  room = Infinity;
  readonly outcomes = new Map<string, Outcome>();
  readonly #alarms: { at: number; ring: () => void }[] = [];
  #answer: ((result: Delivered) => void) | undefined;
  readonly queue = new NoticeQueue({
    clock: {
      now: () => ({ wall: this.now + this.aheadMs, mono: this.now }),
      alarm: (at, ring) => {
        this.#alarms.push({ at, ring });
        return () => undefined;
      },
    },
    deliver: ({ notices, id }, done) => {
      this.sent.push({ at: this.now, id, keys: notices.map(({ key }) => key) });
      this.#answer = done;
    },
    failed: (why) => this.failures.push(why),
    room: () => this.room,
  });

  add(...keys: string[]): void {
    for (const key of keys) this.queue.add(notice(key), (outcome) => this.outcomes.set(key, outcome));
  }

  answer(result: Delivered): void {
    const answer = this.#answer;
    this.#answer = undefined;
    assert.ok(answer !== undefined, "a message is on its way");
    answer(result);
  }

  /** Lets time pass, ringing what is due. */
  wait(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const next = this.#alarms.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > until) break;
      this.#alarms.splice(this.#alarms.indexOf(next), 1);
      this.now = next.at;
      next.ring();
    }
    this.now = until;
  }
}

const ok: Delivered = { ok: true };
const failed: Delivered = { ok: false, isFinal: false, why: "no answer" };

test("the first notice is sent at once, the next ones with a pause between", () => {
  const stage = new Stage();
  stage.add("a", "b");
  stage.answer(ok);
  stage.wait(1_999);
  assert.deepEqual(
    stage.sent.map(({ keys }) => keys),
    [["a"]],
  );
  stage.wait(1);
  stage.answer(ok);
  assert.deepEqual(stage.sent, [
    { at: 0, id: "a", keys: ["a"] },
    { at: 2_000, id: "b", keys: ["b"] },
  ]);
  assert.ok(stage.queue.isIdle);
  assert.deepEqual([...stage.outcomes.values()], [{ sent: true }, { sent: true }]);
});

test("what has come together while a message was on its way is sent as one, in its order", () => {
  const stage = new Stage();
  stage.add("a", "b", "c", "d", "e");
  stage.answer(ok);
  stage.wait(2_000);
  assert.deepEqual(stage.sent[1]?.keys, ["b", "c", "d", "e"]);
  assert.equal(stage.sent[1]?.at, 2_000);
});

/** The id of the message into which a queue puts the notices, while another one is on its way. */
function idOfBundle(...keys: string[]): string | undefined {
  const stage = new Stage();
  stage.add("a", ...keys);
  stage.answer(ok);
  stage.wait(2_000);
  assert.deepEqual(stage.sent[1]?.keys, keys);
  return stage.sent[1]?.id;
}

test("two peers that put different notices into one message give it different ids, and the same ones the same id", () => {
  const id = idOfBundle("b", "c", "d", "e");
  assert.match(id ?? "", /^b\+3/);
  assert.notEqual(idOfBundle("b", "c", "d", "f"), id);
  assert.equal(idOfBundle("b", "c", "d", "e"), id);
});

test("a message that failed is tried again as it was, with growing pauses, and later notices wait", () => {
  const stage = new Stage();
  stage.add("a");
  stage.answer(failed);
  stage.add("b", "c", "d", "e");
  for (const pauseMs of [10_000, 20_000, 40_000]) {
    stage.wait(pauseMs);
    stage.answer(failed);
  }
  stage.wait(80_000);
  stage.answer(ok);
  assert.deepEqual(
    stage.sent.map(({ at, id }) => [at, id]),
    [
      [0, "a"],
      [10_000, "a"],
      [30_000, "a"],
      [70_000, "a"],
      [150_000, "a"],
    ],
  );
  stage.wait(2_000);
  assert.deepEqual(stage.sent.at(-1)?.keys, ["b", "c", "d", "e"]);
});

test("the receiver may ask for a longer pause", () => {
  const stage = new Stage();
  stage.add("a");
  stage.answer({ ...failed, afterMs: 60_000 });
  stage.wait(59_999);
  assert.equal(stage.sent.length, 1);
  stage.wait(1);
  assert.equal(stage.sent.length, 2);
});

test("a refusal ends the notice, says why, and doesn't hold back the next one", () => {
  const stage = new Stage();
  stage.add("a", "b");
  stage.answer({ ok: false, isFinal: true, why: "404" });
  assert.deepEqual(stage.outcomes.get("a"), { sent: false, why: "404" });
  stage.wait(2_000);
  assert.deepEqual(stage.sent.at(-1)?.keys, ["b"]);
});

test("a notice is given up after a day", () => {
  const stage = new Stage();
  stage.add("a");
  stage.answer(failed);
  for (let tries = 0; !stage.outcomes.has("a"); tries++) {
    assert.ok(tries < 200, "it ends");
    stage.wait(600_000);
    stage.answer(failed);
  }
  assert.deepEqual(stage.outcomes.get("a"), { sent: false, why: "no answer" });
  assert.ok(stage.now > 86_400_000 && stage.now < 90_000_000, `given up after ${stage.now} ms`);
});

test("a notice is not given up because the clock leaps a year ahead", () => {
  const stage = new Stage();
  stage.add("a");
  stage.aheadMs = 365 * 86_400_000;
  stage.answer(failed);
  stage.aheadMs = 0;
  stage.wait(10_000);
  stage.answer(ok);
  assert.deepEqual(stage.outcomes.get("a"), { sent: true });
});

test("a service that is down costs a bounded number of notices", () => {
  const stage = new Stage();
  stage.add(...Array.from({ length: 5_010 }, (_, index) => `n${index}`));
  const given = [...stage.outcomes.values()].filter(({ sent }) => !sent);
  assert.equal(given.length, 9, "one is on its way, 5,000 wait");
});
