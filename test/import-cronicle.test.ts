/** What Cronicle's events become. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseCronicle } from "../src/cli/import/cronicle.ts";
import { nextTicks } from "./kit/preview.ts";

const options = { prefix: "", host: "web1", zone: "Europe/Berlin" };

const event = (more: object = {}) => ({
  id: "e1",
  title: "Nightly Backup",
  enabled: 1,
  category: "general",
  target: "allgrp",
  timezone: "America/New_York",
  timing: { hours: [4, 16], minutes: [30] },
  plugin: "shellplug",
  params: { script: "#!/bin/sh\n\nbackup --full\n", annotate: 0, json: 0 },
  timeout: 3600,
  retries: 0,
  retry_delay: 0,
  max_children: 1,
  catch_up: 0,
  multiplex: 0,
  algo: "random",
  notes: "",
  username: "admin",
  modified: 1450000000,
  created: 1440000000,
  ...more,
});

const read = (...events: object[]) =>
  parseCronicle(JSON.stringify({ code: 0, rows: events, list: {} }), "schedule.json", options);

function only(more: object) {
  const { jobs, refused, notes } = read(event(more));
  assert.deepEqual(refused, []);
  assert.ok(jobs[0] !== undefined);
  return { spec: jobs[0].spec, notes: notes.join("\n") };
}

test("an event is a job", () => {
  const { spec, notes } = only({
    retries: 2,
    retry_delay: 30,
    notes: "See the wiki",
    notify_fail: "ops@example.org",
  });
  assert.deepEqual(spec, {
    id: "nightly-backup",
    schedule: "30 4,16 * * *",
    timezone: "America/New_York",
    catchUp: { policy: "none" },
    command: "#!/bin/sh\n\nbackup --full\n",
    timeout: "3600s",
    retry: { attempts: 2, backoff: "30s", factor: 1, maxBackoff: "30s" },
    overlap: "skip",
    labels: { "imported-from": "cronicle", file: "schedule.json", category: "general" },
    description: "See the wiki",
  });
  assert.equal(
    notes,
    "Nightly Backup: notify_fail ops@example.org is not carried over: use a channel and `notify`",
  );
});

function listOf(name: string, ...items: object[]): string {
  return `global/${name}/0 - ${JSON.stringify({ type: "list_page", items })}`;
}

/** What becomes of an event, by its category and its plugin. */
function exported(category: object, plugin: object = {}): { enabled: unknown; notes: string } {
  const text = [
    listOf("categories", { id: "bk", title: "Backups", enabled: 1, max_children: 0, ...category }),
    listOf("plugins", { id: "shellplug", enabled: 1, command: "bin/shell-plugin.js", ...plugin }),
    listOf("schedule", event({ category: "bk", web_hook: "https://hook.example/" })),
  ].join("\n");
  const { jobs, notes } = parseCronicle(text, "export.txt", options);
  return { enabled: jobs[0]?.spec["enabled"], notes: notes.join("\n") };
}

test("a category's limit and defaults are said, and its being disabled, or the plugin's, disables the job", () => {
  const usual = exported({});
  assert.equal(usual.enabled, undefined);
  assert.doesNotMatch(usual.notes, /category|DISABLED/);
  const limited = exported({
    max_children: 2,
    notify_fail: "ops@example.org",
    web_hook: "https://x.example/",
  });
  assert.equal(limited.enabled, undefined);
  assert.match(
    limited.notes,
    /its category Backups has at most 2 runs at once, for which a pool stands here/,
  );
  assert.match(limited.notes, /not carried over of its category Backups: notify_fail$/m);
  const off = exported({ enabled: 0 });
  assert.equal(off.enabled, false);
  assert.match(off.notes, /made DISABLED, as its category bk is there/);
  const noPlugin = exported({}, { enabled: 0 });
  assert.equal(noPlugin.enabled, false);
  assert.match(noPlugin.notes, /made DISABLED, as its plugin shellplug is there/);
});

test("an export of its storage holds the events, the plugins' users and the server groups", () => {
  const text = [
    "# Cronicle Data Export v1.0",
    "# Format: KEY - JSON",
    "",
    'users/admin - {"username":"admin","password":"x"}',
    'global/plugins - {"page_size":50,"first_page":0,"last_page":0,"length":1,"type":"list"}',
    'global/plugins/0 - {"type":"list_page","items":[{"id":"shellplug","uid":"shop"}]}',
    'global/server_groups/0 - {"type":"list_page","items":[{"id":"workers","title":"Workers","regexp":"^w"}]}',
    'global/schedule - {"page_size":50,"first_page":-1,"last_page":0,"length":2,"type":"list"}',
    `global/schedule/-1 - ${JSON.stringify({ type: "list_page", items: [event({ target: "workers" })] })}`,
    `global/schedule/0 - ${JSON.stringify({ type: "list_page", items: [event({ id: "e2", target: "w1.example.org" })] })}`,
  ].join("\n");
  const { jobs, refused } = parseCronicle(text, "export.txt", options);
  assert.deepEqual(refused, []);
  assert.deepEqual(
    jobs.map(({ spec }) => [spec.id, spec.user, spec.target]),
    [
      ["nightly-backup-e1", "shop", { tags: { "cronicle-group": "workers" } }],
      ["nightly-backup-e2", "shop", { peers: ["w1.example.org"] }],
    ],
  );
});

describe("timing", () => {
  for (const [timing, schedule] of [
    [{ minutes: [0] }, "0 * * * *"],
    [{}, "* * * * *"],
    [{ minutes: [], hours: [] }, "* * * * *"],
    [{ hours: [3], minutes: [0], weekdays: [1, 2, 3, 4, 5] }, "0 3 * * 1-5"],
    [{ days: [1, 15], hours: [0], minutes: [0] }, "0 0 1,15 * *"],
    [{ months: [1, 2, 3, 7], days: [1], hours: [0], minutes: [0] }, "0 0 1 1-3,7 *"],
    [{ days: [1], weekdays: [0, 1, 2, 3, 4, 5, 6], hours: [0], minutes: [0] }, "0 0 1 * *"],
  ] as const) {
    test(JSON.stringify(timing), () => assert.equal(only({ timing }).spec.schedule, schedule));
  }
  test("a day AND a weekday is no OR of both, and is made disabled", () => {
    const { spec, notes } = only({
      timezone: "UTC",
      timing: { days: [13], weekdays: [5], hours: [9], minutes: [0] },
    });
    assert.equal(spec.enabled, false);
    assert.match(notes, /DISABLED: it asks for a day AND a weekday/);
    assert.deepEqual(nextTicks(spec, 2), ["2027-08-13T09:00:00Z", "2028-10-13T09:00:00Z"]);
  });
  test("without timing it runs by hand; without a timezone the one that was taken is said", () => {
    assert.equal(only({ timing: false }).spec.schedule, undefined);
    const { spec, notes } = only({ timezone: undefined });
    assert.equal(spec.timezone, "Europe/Berlin");
    assert.match(notes, /taken to be Europe\/Berlin/);
  });
});

describe("what runs", () => {
  for (const [script, action] of [
    ["#!/bin/bash -e\nx", { argv: ["/bin/bash", "-e", "-c", "#!/bin/bash -e\nx"] }],
    ["#!/usr/bin/env python3\nprint(1)", { argv: ["python3", "-c", "#!/usr/bin/env python3\nprint(1)"] }],
    ["#!/usr/bin/perl\nprint 1", { argv: ["/usr/bin/perl", "-e", "#!/usr/bin/perl\nprint 1"] }],
    ["no shebang", { command: "no shebang" }],
    ["#!/bin/sh\r\nx\r\n", { command: "#!/bin/sh\nx\n" }],
  ] as const) {
    test(JSON.stringify(script), () => {
      const { argv, command } = only({ params: { script } }).spec;
      assert.deepEqual(
        { ...(argv === undefined ? {} : { argv }), ...(command === undefined ? {} : { command }) },
        action,
      );
    });
  }
  test("a request of the HTTP plugin", () => {
    const { spec } = only({
      plugin: "urlplug",
      params: {
        method: "post",
        url: "https://example.org/x",
        headers: "User-Agent: Cronicle/1.0\nX-A: b",
        data: "{}",
        timeout: "30",
        follow: 1,
        ssl_cert_bypass: 0,
        success_match: "ok",
        error_match: "fail",
      },
    });
    assert.equal(spec.http?.method, "POST");
    assert.deepEqual(spec.http?.headers, { "User-Agent": "Cronicle/1.0", "X-A": "b" });
    assert.deepEqual(
      [spec.http?.timeout, spec.http?.expectBody, spec.success?.mustNotMatch],
      ["30s", "ok", "fail"],
    );
  });
});

test("where a number should be, a value that is none counts as none, even one that can't be made a text", () => {
  const none = { toString: false };
  const { spec } = only({ retries: none, timeout: [none], max_children: none, stagger: none });
  assert.equal(spec.retry, undefined);
  assert.equal(spec.timeout, undefined);
  const { refused } = read(event({ timing: { hours: [none] } }));
  assert.match(refused[0]?.reasons.join() ?? "", /timing\.hours is not a list of numbers/);
});

test("chains belong to the job that is started", () => {
  const { jobs, refused } = read(
    event({ id: "a", title: "Load", chain: "b", chain_error: "c" }),
    event({ id: "b", title: "Report", timing: false }),
    event({ id: "c", title: "Alarm", timing: false }),
    event({ id: "d", title: "Clean", timing: { hours: [1], minutes: [0] } }),
    event({ id: "e", title: "Other", chain: "d", timing: false }),
  );
  assert.deepEqual(refused, []);
  const spec = (id: string) => jobs.find((one) => one.spec.id === id)?.spec;
  assert.deepEqual(spec("report")?.after, { jobs: ["load"], on: "success" });
  assert.deepEqual(spec("alarm")?.after, { jobs: ["load"], on: "failure" });
  assert.equal(spec("clean")?.enabled, false, "it has times of its own, too");
});

test("how many at once, and on which servers", () => {
  assert.equal(only({ max_children: 0 }).spec.overlap, "allow");
  assert.equal(only({ max_children: 1, queue: 1 }).spec.overlap, "queue-all");
  assert.equal(only({ max_children: 3 }).spec.enabled, false);
  assert.deepEqual(only({ multiplex: 1 }).spec.target, { count: "all" });
  assert.deepEqual(only({ catch_up: 1 }).spec.catchUp, { policy: "all", window: "30d" });
  assert.equal(only({ enabled: 0 }).spec.enabled, false);
});

describe("what can't be said is refused", () => {
  for (const [more, reason] of [
    [{ plugin: "p123" }, /the plugin "p123" has no counterpart/],
    [{ timing: { years: [2027], hours: [1] } }, /limited to certain years/],
    [{ timing: { hours: [24] } }, /24 is not within 0 to 23/],
    [{ timing: { seconds: [1] } }, /seconds, which is not known/],
    [{ params: { script: "" } }, /script is empty/],
    [{ params: { script: "#!/usr/bin/php\n<?php" } }, /upload it/],
    [{ timezone: "Mars" }, /^timezone: /],
  ] as const) {
    test(reason.source, () => {
      const { jobs, refused } = read(event(more));
      assert.deepEqual(jobs, []);
      assert.match(refused[0]?.reasons.join("\n") ?? "", reason);
    });
  }
  test("an event says everything that keeps it from becoming a job", () => {
    const { refused } = read(event({ plugin: "p123", timing: { years: [2027], hours: [24], seconds: [1] } }));
    const said = refused[0]?.reasons.join("\n") ?? "";
    assert.equal(refused[0]?.reasons.length, 4, said);
    for (const reason of [/p123/, /limited to certain years/, /24 is not/, /seconds, which/])
      assert.match(said, reason);
  });
  test("a file that is nothing of Cronicle's", () => {
    assert.throws(() => parseCronicle("{}", "x.json", options), /expected an export of Cronicle/);
    assert.throws(() => parseCronicle("no", "x.json", options), /x\.json/);
    assert.throws(() => parseCronicle("global/schedule/0 - {", "x", options), /x, line 1/);
  });
});
