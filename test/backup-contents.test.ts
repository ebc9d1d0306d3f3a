/** What a restore would catch up, from the table and the watermarks of a backup. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { contentsOf } from "../src/cli/backup/contents.ts";
import type { Backup } from "../src/real/backup.ts";
import { ulid, type JobId } from "../src/schema/ids.ts";
import type { Pause, TableEdit } from "../src/schema/job.ts";
import { edit, makeTable, specOf, wallOf } from "./kit/tables.ts";

const hourly = specOf("hourly", { schedule: "0 * * * *", catchUp: { policy: "latest", window: "6h" } });
const takenAt = wallOf(30);

/** A backup that was taken half an hour into the day, and holds no records. */
function backupOf(...edits: readonly TableEdit[]): Backup {
  const table = makeTable("a");
  edit(table, { kind: "put", spec: hourly, by: "ann" }, wallOf(0));
  for (const one of edits) edit(table, one, takenAt);
  return {
    about: {
      madeAt: takenAt,
      peer: "a",
      name: "a",
      version: "0",
      fileVersion: 1,
    } as unknown as Backup["about"],
    updates: [table.snapshot()],
    watermarks: [{ job: hourly.id, since: 0, at: takenAt, open: [] }],
    orders: [],
    ticksAfter: () => [],
    runs: 0,
    scripts: 0,
    [Symbol.dispose]: () => undefined,
  };
}

function paused(more: Partial<Pause> = {}): TableEdit {
  const pause = { at: takenAt, by: "ann", ...more };
  return { kind: "pause", id: hourly.id, ulid: ulid(takenAt, new Uint8Array(16)), pause };
}

const cases: readonly [what: string, edits: readonly TableEdit[], ticks: number[], missed: number][] = [
  ["the last tick since the backup would run, and the one before it is missed", [], [wallOf(120)], 1],
  ["a paused job's ticks are skipped", [paused()], [], 2],
  [
    "a pause that ended in between skips those before its end",
    [paused({ until: wallOf(90) })],
    [wallOf(120)],
    1,
  ],
  [
    "a maintenance of the job's group skips those in it",
    [
      {
        kind: "set",
        root: "maintenance",
        id: "move",
        value: { from: "2026-01-01T00:45:00Z", to: "2026-01-01T03:00:00Z", group: "default" },
        by: "ann",
      },
    ],
    [],
    2,
  ],
];

test("a job with jitter that had no tick since the backup has nothing to catch up", () => {
  const spread = specOf("spread", { schedule: "0 5 * * *", jitter: "10m" });
  const found = contentsOf(backupOf({ kind: "put", spec: spread, by: "ann" })).catchUp(wallOf(40));
  assert.deepEqual(found, []);
});

for (const [what, edits, ticks, missed] of cases) {
  test(what, () => {
    const found = contentsOf(backupOf(...edits)).catchUp(wallOf(130));
    assert.deepEqual(
      found.map((one) => [one.job as JobId, one.ticks, one.missed]),
      [[hourly.id, ticks, missed]],
    );
  });
}
