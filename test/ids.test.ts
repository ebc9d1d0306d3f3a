/** Which texts are ticks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { instantOf, tickAt, tickIdPattern, type TickId } from "../src/schema/ids.ts";

const tick = new RegExp(tickIdPattern);

test("each day that there is makes a tick, and no other: two ticks never have one instant", () => {
  for (const year of [1970, 1999, 2000, 2023, 2024, 2100, 2400, 9999]) {
    for (let month = 1; month <= 13; month++) {
      for (let day = 0; day <= 32; day++) {
        const text = `${year}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}T00:00:00Z`;
        const isReal = month <= 12 && day >= 1 && tickAt(instantOf(text as TickId)) === text;
        assert.equal(tick.test(text), isReal, text);
      }
    }
  }
});

test("no hour, minute or second that a clock doesn't show makes a tick, and no year that isn't read as it is written", () => {
  for (const time of ["24:00:00", "00:60:00", "00:00:60", "1:00:00"]) {
    assert.equal(tick.test(`2026-11-20T${time}Z`), false, time);
  }
  for (const text of ["0050-01-01T00:00:00Z", "0999-01-01T00:00:00Z", "12026-01-01T00:00:00Z"]) {
    assert.equal(tick.test(text), false, text);
  }
  assert.equal(tick.test("manual-01HZZZZZZZZZZZZZZZZZZZZZZZ"), true);
});
