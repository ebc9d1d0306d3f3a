/** When people are notified of a problem of the mesh, and of its end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { newsOf, type Incident } from "../src/core/records/mesh-news.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const now = Date.parse("2026-11-20T12:00:00Z");

function problem(lastedMs: number) {
  return { hasProblem: true, lastedMs, reportAfterMs: 15 * second };
}

function calm(lastedMs: number) {
  return { hasProblem: false, lastedMs, reportAfterMs: 15 * second };
}

/** A problem that people were notified of so long ago. */
function incident(agoMs: number, isEnded: boolean, fields: Partial<Incident> = {}): Incident {
  return {
    episode: `${agoMs}`,
    at: now - agoMs,
    isEnded,
    channels: { ops: { state: "sent", at: now - agoMs } },
    ...fields,
  };
}

test("a problem is reported when it has lasted for its time, and once", () => {
  assert.equal(newsOf(problem(15 * second - 1), [], now), undefined);
  assert.equal(newsOf(problem(15 * second), [], now)?.kind, "begins");
  assert.equal(newsOf(problem(hour), [incident(minute, false)], now), undefined);
});

test("the end of a problem is reported only if its beginning was", () => {
  assert.equal(newsOf(calm(hour), [], now), undefined);
  assert.equal(newsOf(calm(hour), [incident(2 * hour, true)], now), undefined);
  assert.deepEqual(newsOf(calm(hour), [incident(2 * hour, false)], now), {
    kind: "ends",
    episode: `${2 * hour}`,
    channels: ["ops"],
  });
});

test("the end goes to the channels that have been, or are being, notified of the problem", () => {
  const channels = {
    refused: { state: "failed", at: now, error: "404" },
    slow: { state: "open" },
    ops: { state: "sent", at: now },
  } as const;
  const news = newsOf(calm(hour), [incident(hour, false, { channels })], now);
  assert.deepEqual(news?.kind === "ends" && news.channels, ["slow", "ops"]);
});

test("the end is reported after a minute of calm, and after twice as long for each earlier problem within a day", () => {
  for (const [times, waitMs] of [
    [1, minute],
    [2, 2 * minute],
    [4, 8 * minute],
    [7, hour],
    [40, hour],
  ] as const) {
    const incidents = Array.from({ length: times }, (_, index) =>
      incident(2 * hour + index * minute, index > 0),
    );
    assert.equal(newsOf(calm(waitMs - 1), incidents, now), undefined, `${times} times`);
    assert.equal(newsOf(calm(waitMs), incidents, now)?.kind, "ends", `${times} times`);
  }
});

test("a peer that has not seen the problem itself waits as long, counted from the notice", () => {
  assert.equal(newsOf(calm(hour), [incident(minute - 1, false)], now), undefined);
  assert.equal(newsOf(calm(hour), [incident(minute, false)], now)?.kind, "ends");
});

test("a problem that comes and goes all day is reported about thirty times at most", () => {
  const incidents: Incident[] = [];
  let sent = 0;
  let sinceAt = 0;
  // For a day: a problem for 20 s, then as much calm as is needed for the next one to be news.
  for (let at = 0; at < 24 * hour; at += second) {
    const last = incidents.at(-1);
    const hasProblem = last === undefined || last.isEnded;
    const news = newsOf(
      { hasProblem, lastedMs: at - sinceAt, reportAfterMs: 15 * second },
      incidents,
      now + at,
    );
    if (news === undefined) continue;
    sent += 1;
    sinceAt = at;
    if (news.kind === "begins") {
      incidents.push({
        episode: news.episode,
        at: now + at,
        channels: { ops: { state: "sent" } },
        isEnded: false,
      });
    } else if (last !== undefined) last.isEnded = true;
  }
  assert.ok(incidents.length <= 31 && sent <= 62, `reported ${sent} times`);
  const names = new Set(incidents.map(({ episode }) => episode));
  assert.equal(names.size, incidents.length, "each problem has a name of its own");
});

test("two peers that know the same give the same problem the same name", () => {
  const earlier = [incident(3 * hour, true)];
  const first = newsOf(problem(minute), earlier, now);
  assert.deepEqual(newsOf(problem(hour), earlier, now + 7 * second), first);
  const never = newsOf(problem(minute), [], now);
  assert.deepEqual(newsOf(problem(minute), [], now + minute), never);
});
