import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseInstant } from "../src/core/time/calendar.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "../src/core/time/units.ts";
import { nearest } from "../src/schema/nearest.ts";

describe("a duration", () => {
  const table: [written: string | 0, ms: number | undefined][] = [
    [0, 0],
    ["0", 0],
    ["0s", 0],
    ["500ms", 500],
    ["90s", 90_000],
    ["1h30m", 5_400_000],
    ["30d", 2_592_000_000],
    ["2w", 1_209_600_000],
    ["1d12h", 129_600_000],
    ["1m500ms", 60_500],
    ["1.5h", 5_400_000],
    ["0.1h", 360_000],
    ["0.5ms", undefined],
    ["90", undefined],
    ["", undefined],
    ["-5s", undefined],
    ["5 s", undefined],
    ["30m1h", undefined],
    ["1h1h", undefined],
    ["1y", undefined],
    ["1H", undefined],
    ["s", undefined],
    ["1e3s", undefined],
    ["99999999999999d", undefined],
  ];
  for (const [written, ms] of table) {
    it(`${JSON.stringify(written)} is ${ms === undefined ? "refused" : `${ms} ms`}`, () => {
      assert.equal(parseDuration(written), ms);
    });
  }
  it("is written so that it reads back as the same", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3_000_000_000_000 }), (ms) => {
        assert.equal(parseDuration(formatDuration(ms)), ms);
      }),
    );
    assert.equal(formatDuration(5_400_000), "1h30m");
    assert.equal(formatDuration(0), "0s");
    assert.equal(formatDuration(-1_500), "-1s500ms");
  });
});

describe("a size", () => {
  const table: [written: string, bytes: number | undefined][] = [
    ["0B", 0],
    ["512B", 512],
    ["64KiB", 65_536],
    ["1MiB", 1_048_576],
    ["1.5GiB", 1_610_612_736],
    ["1kB", 1_000],
    ["1 MB", 1_000_000],
    ["64", undefined],
    ["64K", undefined],
    ["0.5B", undefined],
    ["-1B", undefined],
    ["9999999999GiB", undefined],
    ["1iB", undefined],
    ["", undefined],
  ];
  for (const [written, bytes] of table) {
    it(`${JSON.stringify(written)} is ${bytes === undefined ? "refused" : `${bytes} bytes`}`, () => {
      assert.equal(parseSize(written), bytes);
    });
  }
  it("is written so that it reads back as the same", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => {
        assert.equal(parseSize(formatSize(bytes)), bytes);
      }),
    );
    assert.equal(formatSize(65_536), "64KiB");
    assert.equal(formatSize(1_500), "1500B");
  });
});

const two = (value: number) => String(value).padStart(2, "0");

describe("an instant", () => {
  it("is read as the platform reads it, with any date and offset", () => {
    const date = fc.date({ min: new Date(0), max: new Date("9999-12-30T00:00:00Z"), noInvalidDate: true });
    fc.assert(
      fc.property(date, fc.integer({ min: -1_439, max: 1_439 }), (at, offset) => {
        const zone = `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
        const text = `${at.toISOString().slice(0, -1)}${zone}`;
        assert.equal(parseInstant(text), Date.parse(text));
      }),
    );
  });
  for (const text of [
    "2026-02-29T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01",
    "2026-01-01T00:00:00",
    "tomorrow",
  ]) {
    it(`${text} is refused`, () => assert.equal(parseInstant(text), undefined));
  }
});

describe("the suggested word", () => {
  it("is the nearest known one, if one is near enough", () => {
    assert.equal(nearest("comand", ["command", "cwd"]), "command");
    assert.equal(nearest("CWD", ["command", "cwd"]), "cwd");
    assert.equal(nearest("zzzzzz", ["command", "cwd"]), undefined);
  });
});
