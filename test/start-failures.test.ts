/** Which failures a peer survives and reports, and which end it. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, test } from "node:test";
import {
  parseBrokenExits,
  quarantineBy,
  recentExits,
  type BrokenExit,
} from "../src/cli/start/broken-exits.ts";
import { exitCodes, watchFailures } from "../src/cli/start/failures.ts";
import { guardControl, guardDoors } from "../src/cli/start/guarded-doors.ts";
import { assert as assertThat, AssertionFailed, CicadaError } from "../src/errors.ts";
import type { JobId } from "../src/schema/ids.ts";
import type { Doors, MeshEvents } from "../src/ports.ts";
import type { Control } from "../src/ports/control.ts";

function watched() {
  const process = new EventEmitter();
  const said: string[] = [];
  const ends: number[] = [];
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (message: string) => void said.push(message),
  };
  // Only `on` is used.
  const watch = watchFailures(
    log,
    (code) => void ends.push(code),
    () => ({}),
    process as unknown as NodeJS.Process,
  );
  return { process, said, watch, ends };
}

test("a failure outside the peer is logged and counted, and the peer keeps running", () => {
  const { process, said, watch, ends } = watched();
  process.emit("uncaughtException", new Error("stream closed"));
  process.emit("unhandledRejection", "not an error at all");
  process.emit("unhandledRejection", new TypeError("late"));
  assert.deepEqual({ ...watch.counts }, { uncaughtExceptions: 1, unhandledRejections: 2 });
  assert.deepEqual(ends, []);
  assert.match(said.join(), /the peer continues/);
});

test("a failed assertion ends the process wherever it is thrown, with an exit code of its own", () => {
  for (const event of ["uncaughtException", "unhandledRejection"]) {
    const { process, said, ends } = watched();
    assert.throws(
      () => assertThat(false, "job@tick~1: its claim is in no index"),
      (error) => process.emit(event, error),
    );
    assert.deepEqual(ends, [exitCodes.broken]);
    assert.match(said.join(), /this peer stops/);
  }
});

test("too many failures end the process", () => {
  const { process, ends } = watched();
  for (let i = 0; i < 100; i++) process.emit("uncaughtException", new Error("again"));
  assert.deepEqual(ends, []);
  process.emit("uncaughtException", new Error("again"));
  assert.deepEqual(ends, [exitCodes.broken]);
});

test("an exception inside the peer ends it, and never reaches the calling library", () => {
  const failed: unknown[] = [];
  let events: MeshEvents | undefined;
  let ring: (() => void) | undefined;
  // Only these two doors are used.
  const doors = guardDoors(
    {
      clock: { now: () => ({ wall: 1, mono: 2 }), alarm: (_at: number, then: () => void) => (ring = then) },
      mesh: {
        start: (given: MeshEvents) => (events = given),
        publish: (topic: string) => failed.push(topic),
      },
      disk: {},
      executor: {},
      scripts: {},
      secrets: {},
      notifier: {},
      keyring: {},
    } as unknown as Doors,
    (error) => failed.push(error),
  );
  const broken = new TypeError("undefined is not a function");
  const fails = () => {
    throw broken;
  };
  doors.mesh.start({
    linkUp: fails,
    linkDown: fails,
    redialRefused: fails,
    turnedAway: fails,
    keySuperseded: fails,
    received: fails,
  });
  doors.clock.alarm(1, fails);
  events?.received("x" as never, "runs", new Uint8Array());
  ring?.();
  assert.deepEqual(failed, [broken, broken]);
  assert.deepEqual(doors.clock.now(), { wall: 1, mono: 2 });
  doors.mesh.publish("runs", new Uint8Array());
  assert.deepEqual(failed, [broken, broken, "runs"]);
});

test("a command that makes the peer throw ends it; a refused one does not", async () => {
  const failed: unknown[] = [];
  // Only `ask` is used.
  const control = (thrown: Error) => {
    const ask = async () => {
      await Promise.resolve();
      throw thrown;
    };
    return guardControl({ ask } as unknown as Control, (one) => failed.push(one));
  };
  const refused = new CicadaError("BAD_REQUEST", "no");
  const broken = new AssertionFailed("assertion failed: x");
  const command = { kind: "delete-job", id: "x" as never, by: "me" } as const;
  await assert.rejects(control(refused).ask(command), refused);
  assert.deepEqual(failed, []);
  await assert.rejects(control(broken).ask(command), broken);
  assert.deepEqual(failed, [broken]);
});

describe("a job is quarantined on a peer", () => {
  const minuteMs = 60_000;
  const now = Date.UTC(2026, 10, 20);
  const job = { id: "sick" as JobId, revision: "r1" };
  const exit = (minutesAgo: number, more: Partial<BrokenExit> = {}): BrokenExit => {
    const at = now - minutesAgo * minuteMs;
    return { at, version: "1.0.0", job: job.id, revision: job.revision, ...more };
  };
  const cases: [when: string, exits: BrokenExit[], quarantined: boolean][] = [
    ["after two exits", [exit(2), exit(1)], false],
    ["after three within ten minutes", [exit(9), exit(5), exit(1)], true],
    ["after three within more", [exit(12), exit(5), exit(1)], false],
    ["after three within ten minutes, hours ago", [exit(209), exit(205), exit(201)], true],
    ["after three, a day later", [exit(1_459), exit(1_455), exit(1_451)], false],
    [
      "after three of which one was about another job",
      [exit(9), exit(5, { job: "x" as JobId }), exit(1)],
      false,
    ],
    ["after three of which one was about no job", [exit(9), exit(5, { job: undefined }), exit(1)], false],
    ["after three of another revision", [9, 5, 1].map((at) => exit(at, { revision: "r0" })), false],
    [
      "after three of another version of cicada",
      [9, 5, 1].map((at) => exit(at, { version: "0.9.0" })),
      false,
    ],
  ];
  for (const [when, exits, quarantined] of cases) {
    test(`${when}: ${quarantined ? "yes" : "no"}`, () => {
      const kept = parseBrokenExits(JSON.stringify(exits));
      const refusal = quarantineBy(recentExits(kept, now), "1.0.0")(job);
      assert.equal(refusal !== undefined, quarantined);
    });
  }

  test("never because of a damaged file", () => {
    for (const text of [undefined, "", "[", "{}", '[{"at":"now"},null,{"at":1}]']) {
      assert.deepEqual(parseBrokenExits(text), []);
    }
  });
});
