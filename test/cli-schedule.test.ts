/** `cicada schedule explain`, which needs no peer; and how times are written in words. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { durationText, local, relative, utc } from "../src/cli/terminal/times.ts";
import { run } from "../src/main.ts";
import { cicada, now, recordingTerminal } from "./kit/cli-stage.ts";

/** 2:30 in the night in which the clocks go forward. */
const zone = ["--tz", "Europe/Berlin"];
const berlinNights = ["schedule", "explain", "30 2 * * *", ...zone, "--from", "2026-03-28T12:00:00Z"];

/** What is said on standard error where the clock shows Berlin's time. */
async function notedInBerlin(...args: string[]): Promise<string> {
  const terminal = Object.assign(recordingTerminal(), { timezone: "Europe/Berlin" });
  assert.equal(await run(["schedule", "explain", ...args], terminal), 0);
  return terminal.stderr;
}

describe("schedule explain", () => {
  test("-o json gives schedule, time zone and ticks", async () => {
    const said = await cicada([...berlinNights, "--count", "2", "-o", "json"]);
    assert.equal(said.code, 0, said.stderr);
    assert.deepEqual(JSON.parse(said.stdout), {
      schedule: "30 2 * * *",
      timezone: "Europe/Berlin",
      ticks: ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
    });
  });

  test("shows ten ticks from now on, in UTC, by default", async () => {
    const said = await cicada(["schedule", "explain", "@hourly", "-o", "json"]);
    const { ticks, timezone } = JSON.parse(said.stdout) as { ticks: string[]; timezone: string };
    assert.equal(timezone, "UTC");
    assert.equal(ticks.length, 10);
    assert.equal(ticks[0], utc(now + 3_600_000));
  });

  test("shows the zone's own clock, and marks a tick that daylight saving moves", async () => {
    const said = await cicada([...berlinNights, "-n", "1"]);
    assert.match(said.stdout, /2026-03-29T01:00:00Z {2}2026-03-29 03:00:00 \+02:00 .*gap/);
  });

  test("says that hours are in UTC if no zone was given and this machine's clock has another", async () => {
    assert.match(
      await notedInBerlin("0 3 * * *"),
      /in UTC, but this machine's clock shows Europe\/Berlin: use --tz/,
    );
    for (const args of [["0 3 * * *", "--tz", "UTC"], ["@hourly"], ["0 3 * * *", "-o", "json"]])
      assert.equal(await notedInBerlin(...args), "");
  });

  test("takes several schedules together", async () => {
    const args = ["schedule", "explain", "0 0 1 1 *", "0 0 2 1 *", "-n", "2", "-o", "json"];
    const { ticks } = JSON.parse((await cicada(args)).stdout) as { ticks: string[] };
    assert.deepEqual(ticks, ["2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"]);
  });

  test("shows which ticks --except leaves out", async () => {
    const args = ["schedule", "explain", "0 2 * * *", "--from", "2026-12-23T00:00:00Z", "-n", "2"];
    const except = ["--except", "2026-12-24/2026-12-25", "--except", "* 3 * * *"];
    const json = await cicada([...args, ...except, "-o", "json"]);
    const { ticks, skipped } = JSON.parse(json.stdout) as { ticks: string[]; skipped: string[] };
    assert.deepEqual(ticks, ["2026-12-23T02:00:00Z", "2026-12-26T02:00:00Z"]);
    assert.deepEqual(skipped, ["2026-12-24T02:00:00Z", "2026-12-25T02:00:00Z"]);
    const { stdout } = await cicada([...args, ...except]);
    assert.equal(stdout.match(/left out/g)?.length, 2);
    assert.match(stdout, /2026-12-24T02:00:00Z +left out/);
  });

  const refused: readonly [string[], RegExp][] = [
    [["61 * * * *"], / schedule: /],
    [["* * * *"], /too few fields/],
    [["@reboot"], /systemd/],
    [["@daily", "--tz", "Europe/Berln"], /Europe\/Berlin/],
    [["@daily", "--except", "2026-02-30"], /--except: no date/],
    [["@daily", "--from", "tomorrow"], /--from tomorrow/],
    [["@daily", "--count", "0"], /--count 0/],
  ];
  for (const [args, says] of refused) {
    test(`${args.join(" ")} is refused with what is wrong (2)`, async () => {
      const said = await cicada(["schedule", "explain", ...args]);
      assert.equal(said.code, 2);
      assert.match(said.stderr, says);
      assert.equal(said.stdout, "");
    });
  }
});

describe("times in words", () => {
  test("a duration is written in its two largest units", () => {
    const lengths = [12, 4_200, 59_000, 60_000, 200_000, 7_500_000, 273_600_000].map(durationText);
    assert.deepEqual(lengths, ["12ms", "4.2s", "59s", "1m", "3m 20s", "2h 5m", "3d 4h"]);
    assert.equal(durationText(3_599_999), "1h");
  });

  test("an instant is written as in some time, now, or some time ago", () => {
    assert.equal(relative(now + 90_000, now), "in 1m 30s");
    assert.equal(relative(now + 400, now), "now");
    assert.equal(relative(now - 3_000, now), "3s ago");
  });

  test("an instant in UTC is marked as UTC, and one on a zone's clock has its offset", () => {
    const instant = Date.parse("2026-07-01T10:30:00Z");
    assert.equal(utc(instant), "2026-07-01T10:30:00Z");
    assert.equal(local(instant, "Europe/Berlin"), "Wed 2026-07-01 12:30:00 +02:00");
    assert.equal(local(instant, "UTC"), "Wed 2026-07-01 10:30:00 +00:00");
  });
});
