/** A data folder of an older program is migrated whole or not at all, with a copy to return to. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test, type TestContext } from "node:test";
import { storedKeys } from "../src/core/events.ts";
import { readSpans } from "../src/core/time/spans.ts";
import type { Log } from "../src/ports.ts";
import type { Loaded } from "../src/ports/disk.ts";
import { describeTick } from "../src/core/records/why.ts";
import { openDisk } from "../src/real/disk.ts";
import { fileVersion } from "../src/real/disk/migrations.ts";
import { generatePeerKey, openKeys } from "../src/real/keys.ts";
import { instantOf } from "../src/schema/ids.ts";
import { verifyRecord } from "../src/wire/records.ts";
import { load, someRecord } from "./kit/contract/disk.ts";

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };
const tables = readFixture("cicada-db-format-3.sql");
const beforeProtocol2 = readFixture("cicada-db-format-5.sql");
const record = someRecord();
const copyName = "cicada.db.format-3";

function readFixture(name: string): string {
  return readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8");
}

/** A folder whose database has format 3 and holds one record; `more` is SQL for anything else. */
function olderFolder(context: TestContext, more = ""): string {
  const folder = folderOf(context, tables);
  const database = new DatabaseSync(join(folder, "cicada.db"));
  const { tick, job, attempt, slot, peer, state } = record;
  database
    .prepare("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)")
    .run(instantOf(tick), tick, job, attempt, slot, peer, state, JSON.stringify(record));
  database.exec(more);
  database.close();
  return folder;
}

/** A folder with a database that was made by the SQL. */
function folderOf(context: TestContext, sql: string): string {
  const folder = mkdtempSync(join(tmpdir(), "cicada-migration-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const database = new DatabaseSync(join(folder, "cicada.db"));
  database.exec(sql);
  database.close();
  return folder;
}

function wait<Result>(start: (done: (result: Result) => void) => void): Promise<Result> {
  return new Promise(start);
}

async function openAndLoad(folder: string): Promise<Loaded> {
  const disk = await openDisk({ folder, log: quiet });
  try {
    return await load(
      { disk: () => disk, wait, restart: () => Promise.resolve(), end: () => Promise.resolve() },
      0,
    );
  } finally {
    await wait<void>((done) => disk.close(() => done()));
  }
}

function inspect<Result>(path: string, check: (database: DatabaseSync) => Result): Result {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return check(database);
  } finally {
    database.close();
  }
}

function versionOf(path: string): unknown {
  return inspect(path, (database) => database.prepare("PRAGMA user_version").get()?.["user_version"]);
}

function tablesOf(path: string): unknown {
  return inspect(path, (database) => database.prepare("SELECT sql FROM sqlite_schema ORDER BY name").all());
}

/** In seconds since the epoch, as utimes takes it. */
function daysAgo(days: number): number {
  return Date.now() / 1_000 - days * 86_400;
}

test("an older database is migrated with its contents, and a copy of the old one stays beside it", async (context) => {
  const folder = olderFolder(context);
  assert.deepEqual((await openAndLoad(folder)).records, [record]);
  assert.equal(versionOf(join(folder, "cicada.db")), fileVersion);
  assert.equal(versionOf(join(folder, copyName)), 3);
  const bodies = inspect(join(folder, copyName), (database) =>
    database.prepare("SELECT body FROM record").all(),
  );
  assert.deepEqual(
    bodies.map(({ body }) => JSON.parse(String(body))),
    [record],
  );
});

test("a voter still votes on no tick below the bound that an older program stored", async (context) => {
  const folder = olderFolder(context, "INSERT INTO meta VALUES ('voteFloor', '1795000000000', NULL);");
  const { meta } = await openAndLoad(folder);
  const spans = readSpans(new Map(meta).get(storedKeys.forgottenVotes) ?? "[]");
  assert.deepEqual(spans, [{ from: 0, to: 1_795_000_000_000 }]);
});

test("an older program can open the copy", async (context) => {
  const folder = olderFolder(context);
  await openAndLoad(folder);
  const untouched = olderFolder(context);
  assert.deepEqual(tablesOf(join(folder, copyName)), tablesOf(join(untouched, "cicada.db")));
});

test("a migration that fails leaves the older database as it was, and the next start finishes it", async (context) => {
  const folder = olderFolder(context, "CREATE TABLE watermark (stranger TEXT); ");
  await assert.rejects(openAndLoad(folder), { code: "DISK_FAILED" });
  const path = join(folder, "cicada.db");
  assert.equal(versionOf(path), 3);
  const database = new DatabaseSync(path);
  database.exec("DROP TABLE watermark");
  database.close();
  assert.deepEqual((await openAndLoad(folder)).records, [record]);
  assert.equal(versionOf(path), fileVersion);
});

test("if one of several migration steps fails, none of them stays", async (context) => {
  const folder = olderFolder(
    context,
    `DROP TABLE vote; DROP TABLE commits; PRAGMA user_version = 1; CREATE TABLE watermark (stranger TEXT);
     ALTER TABLE record DROP COLUMN sum; ALTER TABLE asked DROP COLUMN sum; ALTER TABLE job_update DROP COLUMN sum;
     ALTER TABLE meta DROP COLUMN sum;`,
  );
  await assert.rejects(openAndLoad(folder), { code: "DISK_FAILED" });
  const path = join(folder, "cicada.db");
  assert.equal(versionOf(path), 1);
  const vote = inspect(path, (one) => one.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'vote'").get());
  assert.equal(vote, undefined);
});

test("a copy for which there is no room leaves nothing behind, and the older database as it was", async (context) => {
  const folder = olderFolder(context, "INSERT INTO meta VALUES ('large', hex(randomblob(200000)), NULL);");
  const before = readdirSync(folder);
  const source = `
    import { openDisk } from ${JSON.stringify(new URL("../src/real/disk.ts", import.meta.url).href)};
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    openDisk({ folder: process.argv[1], log }).catch(({ code }) => console.log(code));
  `;
  const args = ["--fsize=100000", process.execPath, "--input-type=module", "-e", source, folder];
  assert.equal(execFileSync("prlimit", args, { encoding: "utf8" }), "DISK_FAILED\n");
  const left = readdirSync(folder).filter((name) => !/^cicada\.(db-(wal|shm)|mark)$/.test(name));
  assert.deepEqual(left, before);
  assert.equal(versionOf(join(folder, "cicada.db")), 3);
});

test("a partial copy from a killed start is replaced", async (context) => {
  const folder = olderFolder(context);
  writeFileSync(join(folder, `${copyName}.new`), "half");
  writeFileSync(join(folder, copyName), "of an earlier try");
  await openAndLoad(folder);
  assert.equal(versionOf(join(folder, copyName)), 3);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith(".new")),
    [],
  );
});

test("the first start after 30 days removes the copy, and no earlier one does", async (context) => {
  const folder = olderFolder(context);
  await openAndLoad(folder);
  const copy = join(folder, copyName);
  utimesSync(copy, daysAgo(29), daysAgo(29));
  await openAndLoad(folder);
  assert.ok(readdirSync(folder).includes(copyName));
  utimesSync(copy, daysAgo(31), daysAgo(31));
  await openAndLoad(folder);
  assert.ok(!readdirSync(folder).includes(copyName));
});

test("a folder from before protocol 2 keeps its orders, votes and facts about its peer, under their new names", async (context) => {
  const folder = folderOf(context, beforeProtocol2);
  const { orders, votes, meta } = await openAndLoad(folder);
  const [order] = orders;
  assert.equal(order?.requestedAt, Date.parse("2026-11-20T02:00:00Z") + 0.25);
  assert.deepEqual(order.env, { askedAt: "env" });
  assert.ok(!("askedAt" in order));
  const [vote] = votes;
  assert.equal(vote?.vote.promised.incarnation, 7);
  assert.deepEqual(vote.vote.accepted, {
    ballot: { round: 1, peer: "12D3KooWbeta", incarnation: 4 },
    value: "4/12D3KooWbeta",
  });
  assert.match(meta.get("selfForgotten") ?? "", /12D3KooWbeta/);
  assert.ok(!meta.has("outcast"));
});

test("a signed record from before protocol 2 is kept as it was signed, and is still valid", async (context) => {
  const folder = folderOf(context, beforeProtocol2);
  const before = inspect(join(folder, "cicada.db"), (one) => one.prepare("SELECT body FROM record").get());
  const [kept] = (await openAndLoad(folder)).records;
  assert.ok(kept !== undefined);
  assert.deepEqual(kept, JSON.parse(String(before?.["body"])));
  assert.ok(verifyRecord(kept, openKeys({ peerKey: generatePeerKey(), mesh: "0123456789abcdef" })));
  assert.match(
    describeTick(kept.tick, [kept], (peer) => peer).why.join(" "),
    /12D3KooWbeta had just started/,
  );
});

test("a row that was damaged before a migration is still reported as damage after it", async (context) => {
  const folder = folderOf(
    context,
    `${beforeProtocol2} UPDATE vote SET body = replace(body, '"life":7', '"life":8');`,
  );
  await assert.rejects(openAndLoad(folder), { code: "DATA_FOLDER_DAMAGED" });
});
