/** What a health-check service is told: each start has one end, with the same id, and no run waits for it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Pings, type PingsDeps } from "../src/peer/notices/pings.ts";
import type { Delivered, Ping } from "../src/ports/notifier.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { runId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { noon, someRecord } from "./kit/contract/disk.ts";

const [ada, bob] = ["12D3KooWada" as PeerId, "12D3KooWbob" as PeerId];
const spec = {
  ping: {
    start: "https://check.example/s",
    success: "https://check.example/ok",
    failure: "https://check.example/bad",
  },
};

/** Peers that each hear every record, and the pings that they send. */
class Stage {
  readonly sent: Ping[] = [];
  readonly counted: string[] = [];
  answer: Delivered | undefined = { ok: true };
  readonly #peers = [ada, bob].map((self) => new Pings(this.#deps(self)));

  #deps(self: PeerId): PingsDeps {
    const notifier = {
      ping: (ping: Ping, done: (result: Delivered) => void) => {
        this.sent.push(ping);
        if (this.answer !== undefined) done(this.answer);
      },
    };
    const clock = { now: () => ({ wall: noon, mono: 0 }), alarm: () => () => undefined };
    const log = { warn: () => undefined };
    return {
      self,
      doors: { notifier, clock, log },
      jobOf: () => ({ spec }),
      count: (name: string) => this.counted.push(name),
    } as unknown as PingsDeps;
  }

  moved(fields: Partial<RunRecord>): RunRecord {
    const started = fields.state === "missed" ? {} : { startedAt: noon };
    const record = someRecord({ peer: ada, ...started, ...fields });
    for (const pings of this.#peers) pings.moved(record);
    return record;
  }

  get paths(): string[] {
    return this.sent.map(({ url }) => new URL(url).pathname);
  }

  get ids(): Set<string | null> {
    return new Set(this.sent.map(({ url }) => new URL(url).searchParams.get("rid")));
  }
}

describe("each start has exactly one end, and both carry the run's id", () => {
  test("a run that succeeds", () => {
    const stage = new Stage();
    const running = stage.moved({ state: "running", version: 1 });
    stage.moved({ state: "running", version: 2 });
    stage.moved({ state: "succeeded", version: 3, finishedAt: noon + 1 });
    stage.moved({ state: "succeeded", version: 4, finishedAt: noon + 1 });
    assert.deepEqual(stage.paths, ["/s", "/ok"]);
    assert.equal(stage.ids.size, 1);
    assert.deepEqual(
      stage.sent.map(({ run }) => run),
      [runId(running), runId(running)],
    );
  });

  test("a run whose peer dies: the peer that finds it lost reports the end, and the peer that comes back reports no second one", () => {
    const stage = new Stage();
    stage.moved({ state: "running", version: 1 });
    stage.moved({ state: "lost", version: 2, by: bob });
    stage.moved({ state: "succeeded", version: 3, finishedAt: noon + 1 });
    assert.deepEqual(stage.paths, ["/s", "/bad"]);
    assert.equal(stage.ids.size, 1);
  });

  test("a run that another attempt follows", () => {
    const stage = new Stage();
    stage.moved({ state: "running", version: 1 });
    stage.moved({ state: "failed", version: 2, finishedAt: noon + 1, retryAt: noon + 9 });
    stage.moved({ state: "running", version: 1, attempt: 2, peer: bob });
    stage.moved({ state: "succeeded", version: 2, attempt: 2, peer: bob, finishedAt: noon + 20 });
    assert.deepEqual(stage.paths, ["/s", "/ok"]);
    assert.equal(stage.ids.size, 1);
  });

  test("several runs of one tick, which have an id each", () => {
    const stage = new Stage();
    for (const [slot, peer] of [
      ["a", ada],
      ["b", bob],
    ] as const) {
      stage.moved({ state: "running", version: 1, of: 2, slot, peer });
      stage.moved({ state: "failed", version: 2, of: 2, slot, peer, finishedAt: noon + 1 });
    }
    assert.deepEqual(stage.paths, ["/s", "/bad", "/s", "/bad"]);
    assert.equal(stage.ids.size, 2);
  });

  test("a tick that never started has neither", () => {
    const stage = new Stage();
    stage.moved({ state: "missed" });
    assert.deepEqual(stage.paths, []);
  });
});

test("pings never delay a run: a service that doesn't answer keeps 200 of them, and the others are dropped and counted", () => {
  const stage = new Stage();
  stage.answer = undefined;
  for (let minutes = 0; minutes < 300; minutes++) {
    const tick = `2026-11-20T0${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:00Z`;
    stage.moved({ state: "running", tick: tick as RunRecord["tick"] });
  }
  assert.equal(stage.sent.length, 200);
  assert.equal(stage.counted.filter((name) => name === "pings_dropped").length, 100);
});
