/** The lines between the peer and its launcher: the reader checks each. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readOrder, readReport, type FromLauncher, type ToLauncher } from "../src/real/executor/protocol.ts";
import type { ProcessSpec } from "../src/ports.ts";
import type { JobId, RunId, TickId } from "../src/schema/ids.ts";

const run = "job@2026-11-20T12:00:00Z~1@0@abcdefgh" as RunId;
const spec: ProcessSpec = {
  run,
  job: "job" as JobId,
  tick: "2026-11-20T12:00:00Z" as TickId,
  action: { kind: "process", argv: ["true"], stdin: "", cwd: "", user: "", umask: 0o77, killGraceMs: 1 },
  hostEnv: { PATH: "/bin" },
  env: { PATH: "/bin" },
  timeoutMs: 0,
  logCapBytes: 1_024,
  notAfter: 1,
};
const orders: readonly ToLauncher[] = [
  { kind: "launch", spec, logFile: "/x.log" },
  { kind: "stop", run },
  { kind: "sweep", id: 1, runs: [run] },
  { kind: "close" },
  { kind: "ping" },
];
const log = { logBytes: 3, logTruncated: false };
const reports: readonly FromLauncher[] = [
  { kind: "started", run, pid: 7, at: 1 },
  { kind: "ended", run, at: 2, outcome: { kind: "exited", exitCode: 1, ...log } },
  { kind: "ended", run, at: 2, outcome: { kind: "signalled", signal: "SIGKILL", ...log } },
  { kind: "ended", run, at: 2, outcome: { kind: "timeout", ...log } },
  { kind: "ended", run, at: 2, outcome: { kind: "cancelled", ...log } },
  { kind: "ended", run, at: 2, outcome: { kind: "answered", ...log } },
  { kind: "ended", run, at: 2, outcome: { kind: "not-started", why: "late", reason: "too late" } },
  { kind: "ended", run, at: 2, outcome: { kind: "not-started", why: "host", reason: "no room" } },
  { kind: "stuck", run, reason: "of another user" },
  { kind: "output", run, base64: "aGk=" },
  { kind: "swept", id: 1 },
  { kind: "notice", message: "no pipes", reason: "no mkfifo" },
  { kind: "pong" },
];

test("every order and every report is read back as it was written", () => {
  for (const order of orders) assert.deepEqual(readOrder(JSON.stringify(order)), order);
  for (const report of reports) assert.deepEqual(readReport(JSON.stringify(report)), report);
});

test("a line that is not a message of its direction is refused", () => {
  const lines = ["", "null", "1", "[]", "{}", '"close"', '{"kind":null}', '{"kind":"toString"}', "{not json"];
  for (const line of lines) {
    assert.equal(readOrder(line), undefined, line);
    assert.equal(readReport(line), undefined, line);
  }
  for (const order of orders) assert.equal(readReport(JSON.stringify(order)), undefined);
  for (const report of reports) assert.equal(readOrder(JSON.stringify(report)), undefined);
});

test("a message that lacks a field or has one of another type, at any depth, is refused", () => {
  for (const order of orders)
    for (const bad of corrupted(order)) assert.equal(readOrder(bad), undefined, bad);
  for (const report of reports)
    for (const bad of corrupted(report)) assert.equal(readReport(bad), undefined, bad);
});

test("a message that was cut off when its writer was killed is refused", () => {
  for (const order of orders) {
    const line = JSON.stringify(order);
    for (let length = 0; length < line.length; length++)
      assert.equal(readOrder(line.slice(0, length)), undefined);
  }
});

/** The message without each of its fields in turn, and with another type in its place. */
function* corrupted(message: object): Generator<string> {
  for (const changed of corruptedValues(message)) yield JSON.stringify(changed);
}

function* corruptedValues(value: object): Generator {
  for (const [key, inner] of Object.entries(value)) {
    const rest: Record<string, unknown> = { ...value };
    delete rest[key];
    // The environment may hold any names, and a list any number of items.
    if (key !== "PATH" && !Array.isArray(value)) yield rest;
    yield Object.assign(Array.isArray(value) ? [...value] : { ...value }, { [key]: null });
    if (typeof inner !== "object" || inner === null) continue;
    for (const changed of corruptedValues(inner)) {
      yield Object.assign(Array.isArray(value) ? [...value] : { ...value }, { [key]: changed });
    }
  }
}
