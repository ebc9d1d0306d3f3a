/** `cicada apply`, `diff` and `export` with two real peers: every clause of INTERFACE, with objects of every kind. */
import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Cluster, items, until, type RunningPeer } from "./kit/cluster.ts";

const ical = [
  "BEGIN:VCALENDAR",
  "VERSION:2.0",
  "PRODID:-//test//EN",
  "BEGIN:VEVENT",
  "UID:1",
  "DTSTAMP:20260101T000000Z",
  "DTSTART;VALUE=DATE:20261224",
  "RRULE:FREQ=YEARLY;COUNT=3",
  "SUMMARY:Christmas Eve",
  "END:VEVENT",
  "END:VCALENDAR",
  "",
].join("\r\n");

const everyKind = `
kind: group
name: etl
timezone: Europe/Berlin
retry: {attempts: 2}
env: {STAGE: prod}
description: at night
---
- {kind: calendar, name: holidays, dates: ["2026-12-24", "2026-12-31/2027-01-02"], note: "closed, all of us"}
- {kind: calendar, name: feasts, ical: ${JSON.stringify(ical)}}
- {kind: pool, name: db, slots: 2, note: "the small one"}
---
{"kind": "channel", "name": "ops", "type": "webhook", "url": "https://example.org/hook/secret-part", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
---
kind: channel
name: chat
type: ntfy
url: https://ntfy.example.org/topic
secret: tk_a_token_of_ours
---
kind: maintenance
name: sundays
schedule: "0 2 * * 0"
timezone: Europe/Berlin
duration: 2h
group: etl
---
id: load
schedule: ["0 3 * * 1-5", "@at 2027-12-24T18:00:00Z"]
command: |
  echo "a: b"
  printf 'tab\\there'
except: [calendar:holidays, calendar:feasts]
group: etl
pool: db
notify: [{on: [failed], to: [ops, chat], afterFailures: 2}]
env: {A: "1", "B": "ünïcode – ✓ "}
labels: {team/a: x}
keep: {runs: 5, age: 30d, logBytes: 64KiB}
params: {DAY: {type: string, default: today}}
---
kind: job
id: after-load
after: {jobs: [load], on: always}
argv: ["/bin/echo", "", "two words", "\\u00e9\\n"]
group: etl
target: {count: 2, tags: {disk: ssd}}
success: {exitCodes: [0, 3], mustMatch: "a+(b|c)"}
---
id: call
http: {url: "https://example.org/x?y=1", headers: {Accept: text/plain}, expectStatus: [200, 204]}
enabled: false
`;

async function jobs(peer: RunningPeer): Promise<string[]> {
  return (await items<{ id: string }>(peer, "/v1/jobs")).map(({ id }) => id);
}

describe("apply on two real peers", () => {
  let cluster: Cluster;
  let ada: RunningPeer;
  let bob: RunningPeer;
  let folder = "";

  before(async () => {
    cluster = new Cluster();
    [ada, bob] = await cluster.mesh(["ada", "bob"]);
    folder = path.join(cluster.folder, "mesh");
    mkdirSync(path.join(folder, "inner"), { recursive: true });
  });
  after(() => cluster[Symbol.asyncDispose]());

  const write = (name: string, text: string): string => {
    const file = path.join(folder, name);
    writeFileSync(file, text);
    return file;
  };
  test("diff exits with 1 for what is missing, apply makes objects of every kind at once, then diff exits with 0", async () => {
    const file = write("all.yaml", everyKind);
    const missing = await ada.command("diff", "-f", file);
    assert.equal(missing.code, 1, missing.stderr);
    assert.match(missing.stdout, /\+ job load\n[^]*10 to create, 0 to update, 0 to remove, 0 unchanged/);
    assert.deepEqual(await jobs(ada), []);
    const dry = await ada.command("apply", "-f", file, "--dry-run");
    assert.equal(dry.code, 0);
    assert.deepEqual(await jobs(ada), [], "a dry run changes nothing");
    const applied = await ada.command("apply", "-f", file);
    assert.equal(applied.code, 0, applied.stderr);
    assert.match(applied.stdout, /10 created, 0 updated, 0 removed, 0 unchanged/);
    assert.equal((await ada.command("diff", "-f", file)).code, 0);
    const there = await until("bob has all of it", 20_000, async () => {
      const found = await bob.command("diff", "-f", file);
      return found.code === 0 && found;
    });
    assert.match(there.stdout, /0 to create, 0 to update, 0 to remove, 10 unchanged/);
  });

  test("export, then apply, plans nothing, for every kind and value", async () => {
    for (const output of ["table", "yaml", "json"]) {
      const printed = await ada.command("export", "-o", output);
      assert.equal(printed.code, 0, printed.stderr);
      for (const hidden of ["secret-part", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "tk_a_token"]) {
        assert.ok(!printed.stdout.includes(hidden), `${output} shows no ${hidden}`);
      }
      const file = write("exported.yaml", printed.stdout);
      const diff = await ada.command("diff", "-f", file);
      assert.equal(diff.code, 0, diff.stdout + diff.stderr);
      assert.match(diff.stdout, /10 unchanged/);
      rmSync(file);
    }
  });

  test("one object that is wrong, or one file that can't be read, and nothing is changed; file and document are named, by diff and a dry run too", async () => {
    const file = write("inner/new.yaml", "id: new-one\ncommand: 'true'\n");
    const bad = write(
      "inner/bad.yml",
      "id: fine\ncommand: 'true'\n---\nid: other\ncommand: 'true'\ntimeout: long\n",
    );
    const refused = await ada.command("apply", "-f", folder);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /bad\.yml, document 2: timeout: .*is not a duration/);
    writeFileSync(bad, "id: [\n");
    const broken = await ada.command("diff", "-f", folder);
    assert.ok((broken.code ?? 0) > 1);
    assert.match(broken.stderr, /bad\.yml/);
    writeFileSync(bad, Buffer.from([0x69, 0xff, 0xfe]));
    assert.notEqual((await ada.command("apply", "-f", folder)).code, 0);
    rmSync(bad);
    for (const [text, says] of [
      ["kind: jobb\nid: x", /unknown kind: did you mean "job"/],
      ["kind: pool\nslots: 1", /the name is missing/],
      ["id: a\ncommand: x\n---\nid: a\ncommand: y", /the job a is also given in .*wrong\.yaml, document 1$/m],
      ["id: a\ncommand: x\nexcept: [calendar:none]", /there is no calendar "none"/],
      ["id: a\nafter: {jobs: [b]}\ncommand: x\n---\nid: b\nafter: {jobs: [a]}\ncommand: x", /run after/],
      ["id: a\ncommand: x\nsuccess: {mustMatch: '('}", /is not a pattern of RE2/],
      ["kind: calendar\nname: c\nical: nonsense", /line 1/],
      ["kind: group\nname: etl\nschedule: '@daily'", /a group can't set schedule/],
    ] as const) {
      const one = write("wrong.yaml", text);
      for (const verb of [["apply"], ["apply", "--dry-run"], ["diff"]]) {
        const said = await ada.command(...verb, "-f", one);
        assert.ok((said.code ?? 0) > 1, `${verb.join(" ")}: ${text}`);
        assert.match(said.stderr, says);
      }
      rmSync(one);
    }
    assert.deepEqual(await jobs(ada), ["after-load", "call", "load"]);
    rmSync(file);
  });

  test("a set without a single object is refused without --allow-empty", async () => {
    const file = write("empty.yaml", "# nothing\n");
    const refused = await ada.command("apply", "-f", file, "--prune", "--source", "shop");
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /no objects/);
    assert.equal((await ada.command("apply", "-f", file, "--allow-empty", "--source", "shop")).code, 0);
    rmSync(file);
  });

  test("--prune removes only what an earlier apply of the same source has made, and lists it first", async () => {
    const both = write(
      "shop.yaml",
      "id: shop-a\ncommand: 'true'\n---\nid: shop-b\ncommand: 'true'\n---\nkind: pool\nname: shop\nslots: 1\n",
    );
    assert.equal((await ada.command("apply", "-f", both, "--source", "shop")).code, 0);
    await ada.ask("POST", "/v1/jobs", { id: "by-hand", command: "true" });
    writeFileSync(both, "id: shop-a\ncommand: 'true'\n");
    const kept = await ada.command("apply", "-f", both, "--source", "shop");
    assert.match(kept.stdout, /0 removed/);
    const dry = await ada.command("apply", "-f", both, "--source", "shop", "--prune", "--dry-run");
    assert.match(dry.stdout, /- pool shop\n[^]*2 to remove/);
    assert.match(dry.stdout, /- job shop-b/);
    const pruned = await ada.command("apply", "-f", both, "--source", "shop", "--prune");
    assert.equal(pruned.code, 0, pruned.stderr);
    assert.match(pruned.stderr, /- job shop-b/);
    assert.match(pruned.stderr, /- pool shop\n +slots +1/, "what no history keeps is shown");
    assert.equal(pruned.stdout, "0 created, 0 updated, 2 removed, 1 unchanged\n", "nothing is listed twice");
    assert.match(pruned.stderr, /jobs history shop-b/);
    assert.deepEqual(await jobs(ada), ["after-load", "by-hand", "call", "load", "shop-a"]);
    assert.equal((await ada.call("GET", "/v1/pools/db")).status, 200);
  });

  test("what --prune has removed can be brought back", async () => {
    const [, written] = await items<{ revision: string }>(ada, "/v1/jobs/shop-b/history");
    assert.ok(written !== undefined);
    const back = await ada.command("jobs", "revert", "shop-b", written.revision);
    assert.equal(back.code, 0, back.stderr);
    assert.ok((await jobs(ada)).includes("shop-b"));
    await ada.ask("DELETE", "/v1/jobs/shop-b");
  });

  test("five hundred jobs are one change: another peer sees none or all of them", async () => {
    const file = write(
      "many.yaml",
      Array.from({ length: 500 }, (_, at) => `id: many-${at}\ncommand: 'true'\ngroup: many\n`).join("---\n"),
    );
    const seen = new Set<number>();
    const applied = ada.command("apply", "-f", file, "--source", "many");
    await until("bob has them", 30_000, async () => {
      const answer = (await bob.ask("GET", "/v1/export")) as { items: { group?: string }[] };
      const count = answer.items.filter(({ group }) => group === "many").length;
      seen.add(count);
      return count === 500;
    });
    assert.equal((await applied).code, 0);
    assert.deepEqual(
      [...seen].filter((count) => count !== 0),
      [500],
    );
    const nothing = write("none.yaml", "");
    const flags = ["--source", "many", "--prune", "--allow-empty"];
    assert.equal((await ada.command("apply", "-f", nothing, ...flags)).code, 0);
  });

  test("apply says what keeps a job that it wrote from running", async () => {
    const file = write(
      "nowhere.yaml",
      "id: nowhere\ncommand: 'true'\nschedule: '@daily'\ntarget: {tags: {no: such}}\n",
    );
    const applied = await ada.command("apply", "-f", file, "--source", "nowhere");
    assert.equal(applied.code, 0, applied.stderr);
    assert.match(applied.stderr, /warning: nowhere: no peer can run it now/);
    assert.doesNotMatch((await ada.command("apply", "-f", file, "--source", "nowhere")).stderr, /warning/);
    await ada.ask("DELETE", "/v1/jobs/nowhere");
  });

  const forEver = { schedule: "@every 1h", duration: "1h", group: "quiet" };
  const noPeer = { target: { tags: { no: "such" } } };
  const stopping: [what: string, url: string, value: object, says: RegExp][] = [
    ["a maintenance", "maintenance/quiet", forEver, /^quiet-job: all its coming ticks are in maintenance/],
    ["a group", "groups/quiet", noPeer, /^quiet-job: no peer can run it now/],
    ["a pool", "pools/quiet", { slots: 0 }, /^quiet-job: its pool "quiet" has 0 slots/],
    ["a calendar", "calendars/quiet", { dates: ["2020-01-01/9999-12-31"] }, /^quiet-job: its `except`/],
  ];
  test("the answer to a write says which jobs never run because of it: a job's, a setting's, that of apply, and that of a run of many", async () => {
    const job = { id: "quiet-job", command: "true", schedule: "@every 1h", group: "quiet" };
    type Written = { warnings?: string[] };
    for (const [what, url, value, says] of stopping) {
      if (what === "a calendar") await ada.ask("PUT", `/v1/${url}`, { dates: [] });
      const names = {
        ...(what === "a pool" ? { pool: "quiet" } : {}),
        ...(what === "a calendar" ? { except: ["calendar:quiet"] } : {}),
      };
      const written = (await ada.ask("PUT", "/v1/jobs/quiet-job", { ...job, ...names })) as Written;
      assert.equal(written.warnings, undefined, what);
      const { warnings } = (await ada.ask("PUT", `/v1/${url}`, value)) as Written;
      assert.match(warnings?.join() ?? "", says, what);
      const edited = (await ada.ask("PATCH", "/v1/jobs/quiet-job", { description: what })) as Written;
      assert.match(`quiet-job: ${edited.warnings?.join() ?? ""}`, says, what);
      const ran = (await ada.ask("POST", "/v1/jobs:bulk", {
        select: { ids: ["quiet-job"] },
        action: "run",
        force: true,
      })) as { items: { ok: boolean; warnings: string[] }[] };
      const keepsRuns = what === "a group" || what === "a pool";
      assert.deepEqual(
        ran.items.map((item) => [item.ok, item.warnings.length]),
        [[true, keepsRuns ? 1 : 0]],
        what,
      );
      await ada.ask("DELETE", "/v1/jobs/quiet-job");
      await ada.ask("DELETE", `/v1/${url}`);
    }
    await ada.ask("PUT", "/v1/jobs/quiet-job", job);
    const file = write(
      "quiet.yaml",
      "{kind: maintenance, name: quiet, schedule: '@every 1h', duration: 1h, group: quiet}\n",
    );
    const applied = await ada.command("apply", "-f", file, "--source", "quiet");
    assert.match(applied.stderr, /warning: quiet-job: all its coming ticks are in maintenance/);
    const set = await ada.command("maintenance", "set", "quiet", "-s", "@every 1h", "--duration", "2h");
    assert.match(set.stderr, /warning: quiet-job: all its coming ticks are in maintenance/);
    await ada.ask("DELETE", "/v1/maintenance/quiet");
    const past = (await ada.ask("PATCH", "/v1/jobs/quiet-job", {
      schedule: "@at 2026-01-01T00:00:00Z",
    })) as Written;
    assert.match(past.warnings?.join() ?? "", /^its schedule has no further tick/);
    await ada.ask("DELETE", "/v1/jobs/quiet-job");
  });

  test("a job that was edited meanwhile, or that is another source's, is a named conflict", async () => {
    const file = write("shop.yaml", "id: shop-a\ncommand: 'true'\ndescription: ours\n");
    await bob.ask("PATCH", "/v1/jobs/shop-a", { description: "theirs" });
    await until("ada has it", 20_000, async () => {
      const job = (await ada.ask("GET", "/v1/jobs/shop-a")) as { description?: string };
      return job.description === "theirs";
    });
    const refused = await ada.command("apply", "-f", file, "--source", "shop");
    assert.equal(refused.code, 4);
    assert.match(refused.stderr, /the job shop-a has been changed since it was last applied, by admin@bob/);
    const pruned = await ada.command(
      "apply",
      "-f",
      write("none.yaml", ""),
      "--source",
      "shop",
      "--prune",
      "--allow-empty",
    );
    assert.equal(pruned.code, 4, "a removal is one, too");
    const other = await ada.command("apply", "-f", file, "--source", "other");
    assert.equal(other.code, 4);
    assert.match(other.stderr, /the job shop-a belongs to the source shop/);
    assert.equal(
      ((await ada.ask("GET", "/v1/jobs/shop-a")) as { description: string }).description,
      "theirs",
    );
    assert.equal((await ada.command("apply", "-f", file, "--source", "shop", "--force")).code, 0);
    assert.equal((await ada.command("diff", "-f", file, "--source", "shop")).code, 0);
    const stale = await ada.call("POST", "/v1/apply", {
      objects: [{ id: "x", command: "true" }],
      plan: "0123",
    });
    assert.equal(stale.status, 409);
    assert.match(stale.text, /the table has changed since the plan was shown/);
  });

  test("what jobs need can't be pruned from under them, and what the set makes together may depend on itself", async () => {
    const file = write("cal.yaml", "kind: calendar\nname: mine\ndates: ['2026-12-24']\n");
    assert.equal((await ada.command("apply", "-f", file, "--source", "cal")).code, 0);
    await ada.ask("POST", "/v1/jobs", {
      id: "user",
      command: "true",
      schedule: "@daily",
      except: ["calendar:mine"],
    });
    const empty = write("none.yaml", "");
    const refused = await ada.command("apply", "-f", empty, "--source", "cal", "--prune", "--allow-empty");
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /"mine" is used by user/);
    await ada.ask("DELETE", "/v1/jobs/user");
    assert.equal(
      (await ada.command("apply", "-f", empty, "--source", "cal", "--prune", "--allow-empty")).code,
      0,
    );
    assert.equal((await ada.call("GET", "/v1/calendars/mine")).status, 404);
  });

  test("a bulk action runs, pauses, resumes and deletes what is selected; each job has its own answer", async () => {
    await ada.ask("PUT", "/v1/groups/bulk", { timeout: "1m" });
    for (const id of ["b1", "b2"]) await ada.ask("POST", "/v1/jobs", { id, command: "true", group: "bulk" });
    const paused = await ada.command("jobs", "pause", "--group", "bulk", "--note", "move");
    assert.equal(paused.code, 0, paused.stderr);
    assert.match(paused.stdout, /b1 paused\nb2 paused/);
    await ada.ask("POST", "/v1/jobs/b2/resume", {});
    const run = await ada.command("jobs", "run", "--group", "bulk");
    assert.equal(run.code, 1);
    assert.match(run.stdout, /b2@manual-\S+ ordered/);
    assert.match(run.stderr, /refused: b1: .*paused[^]*1 ordered, 1 refused/);
    assert.match((await ada.command("jobs", "resume", "--group", "bulk")).stdout, /b1 resumed\nb2 resumed/);
    await ada.ask("PATCH", "/v1/jobs/b1", { labels: { a: "1", b: "2" } });
    const labelled = await ada.command("jobs", "rm", "--label", "a=1", "--label", "b=3", "--yes");
    assert.deepEqual([labelled.code, labelled.stdout], [3, ""]);
    assert.match(labelled.stderr, /no job fits --label a=1 --label b=3/);
    const asked = await ada.command("jobs", "rm", "--group", "bulk");
    assert.equal(asked.code, 2);
    assert.match(asked.stderr, /these 2 jobs would be deleted: repeat it with --yes/);
    assert.match(
      (await ada.command("jobs", "rm", "--group", "bulk", "--yes")).stdout,
      /b1 deleted\nb2 deleted/,
    );
    assert.equal((await ada.command("jobs", "pause")).code, 2);
    assert.equal((await ada.command("jobs", "pause", "load", "--group", "etl")).code, 2);
    const answers = (await ada.ask("POST", "/v1/jobs:bulk", {
      select: { ids: ["load", "nobody"] },
      action: "resume",
    })) as { items: { job: string; ok: boolean; status: number; code: string | null }[] };
    assert.deepEqual(
      answers.items.map(({ job, ok, status, code }) => [job, ok, status, code]),
      [
        ["load", true, 200, null],
        ["nobody", false, 404, "JOB_NOT_FOUND"],
      ],
    );
    for (const [body, says] of [
      [{ select: {}, action: "pause" }, /select/],
      [{ select: { group: "etl" }, action: "stop" }, /action/],
      [{ select: { group: "etl" }, action: "delete", note: "x" }, /doesn't apply to the action delete/],
    ] as const) {
      const refused = await ada.call("POST", "/v1/jobs:bulk", body);
      assert.ok([400, 422].includes(refused.status));
      assert.match(refused.text, says);
    }
  });
});
