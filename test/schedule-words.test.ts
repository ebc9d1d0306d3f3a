/** Schedules in plain words: each says what its ticks are. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { previewSchedule } from "../src/core/time/preview.ts";
import { call, fakeApi } from "./kit/fake-api.ts";
import { cicada } from "./kit/cli-stage.ts";

const cases: readonly [string | string[], string][] = [
  ["0 3 * * *", "at 03:00 every day"],
  ["0 3 * * 1-5", "at 03:00 on Monday to Friday"],
  ["30 2,14 * * sat,sun", "at 02:30 and 14:30 on Saturday and Sunday"],
  ["0 0 1 1 *", "at 00:00 on day 1 of the month in January"],
  ["@weekly", "at 00:00 on Sunday"],
  ["@monthly", "at 00:00 on day 1 of the month"],
  ["* * * * *", "every minute"],
  ["* * * * * *", "every second"],
  ["*/10 * * * * *", "every 10 seconds"],
  ["*/15 * * * *", "every 15 minutes"],
  ["5-59/15 * * * *", "every 15 minutes from minute 5 on"],
  ["@hourly", "at minute 0 of every hour"],
  ["0 */2 * * *", "at minute 0, in each even hour"],
  ["0 */3 * * *", "at minute 0, in hours 0, 3, 6, 9, 12, 15, 18 and 21"],
  ["5,10 * * * * *", "at seconds 5 and 10, every minute"],
  ["30 * * * * *", "at second 30, every minute"],
  ["*/10 */15 * * * *", "every 10 seconds, in minutes 0, 15, 30 and 45"],
  ["0 */4 * * *", "at 00:00, 04:00, 08:00, 12:00, 16:00 and 20:00 every day"],
  ["*/15 9-17 * * 1-5", "every 15 minutes, from 09:00 to 17:59, on Monday to Friday"],
  ["* 9 * * *", "every minute, from 09:00 to 09:59"],
  ["0 12 13 * fri", "at 12:00 on day 13 of the month, or on Friday"],
  [
    "0 12 */2 * fri",
    "at 12:00 on days 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29 and 31 of the month if that is Friday",
  ],
  ["0 0 L * *", "at 00:00 on the last day of the month"],
  ["0 0 L-3 * *", "at 00:00 on day 3 before the last of the month"],
  ["0 0 15W * *", "at 00:00 on the weekday (Monday to Friday) nearest to day 15 of the month"],
  ["0 0 LW * *", "at 00:00 on the last weekday (Monday to Friday) of the month"],
  ["0 0 * * fri#3", "at 00:00 on the 3rd Friday of the month"],
  ["0 0 * * 5L", "at 00:00 on the last Friday of the month"],
  ["0 0 * 3-5,9 *", "at 00:00 in March to May and September"],
  ["0 0 1-31 * mon", "at 00:00 every day"],
  ["@every 90s", "every 1 minute 30 seconds, counted from 1970-01-01T00:00:00Z"],
  ["rate(1 day)", "every day, counted from 1970-01-01T00:00:00Z"],
  ["@at 2026-12-24T18:00:00Z", "once, at 2026-12-24T18:00:00Z"],
  [["0 3 * * *", "0 15 * * 0"], "at 03:00 every day; also at 15:00 on Sunday"],
];

describe("in words", () => {
  for (const [schedule, words] of cases) {
    test(String(schedule), () => {
      const found = previewSchedule({ schedule, timezone: "UTC", except: [], id: "x", from: 0, count: 1 });
      assert.equal(found.ok && found.words, words);
    });
  }
});

test("what H stands for is said, as it is for this job", () => {
  const found = previewSchedule({
    schedule: "H H * * *",
    timezone: "UTC",
    except: [],
    id: "x",
    from: 0,
    count: 1,
  });
  assert.ok(found.ok);
  const [first] = found.ticks;
  assert.equal(found.words, `at ${new Date(first?.tick ?? 0).toISOString().slice(11, 16)} every day`);
});

test("the API's preview and `schedule explain` say them, and that something is left out", async () => {
  const body = { schedule: "0 3 * * *", except: ["2026-12-24"] };
  const answer = await call(fakeApi(), { method: "POST", url: "/v1/schedules/preview", body });
  assert.equal(answer.json().words, "at 03:00 every day; without its exceptions");
  const said = await cicada(["schedule", "explain", "0 3 * * *", "--tz", "Europe/Berlin", "-n", "1"]);
  assert.match(said.stdout, /^at 03:00 every day \(Europe\/Berlin\)\nTICK/);
});
