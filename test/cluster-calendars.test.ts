/** A calendar of iCalendar text on two real peers: what its jobs leave out, and what is refused. */
import assert from "node:assert/strict";
import { appendFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { readStarts, recordingCommand } from "./kit/cluster-judge.ts";
import { Cluster, until, type RunningPeer } from "./kit/cluster.ts";

/** `20261224T100000Z` */
function stamp(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replaceAll(/[:-]/g, "")}Z`;
}

const calendar = (...lines: string[]): string =>
  ["BEGIN:VCALENDAR", "BEGIN:VEVENT", ...lines, "END:VEVENT", "END:VCALENDAR"].join("\r\n");

describe("a job that names a calendar", () => {
  let cluster: Cluster;
  let ada: RunningPeer;
  let bob: RunningPeer;
  let starts = "";
  let ics = "";

  before(async () => {
    cluster = new Cluster();
    starts = path.join(cluster.folder, "starts");
    ics = path.join(cluster.folder, "off.ics");
    appendFileSync(starts, "");
    [ada, bob] = await cluster.mesh(["ada", "bob"]);
  });
  after(() => cluster[Symbol.asyncDispose]());

  const job = () => ({
    id: "often",
    schedule: "@every 1s",
    command: recordingCommand(starts),
    except: ["calendar:off"],
    catchUp: { policy: "all" },
  });

  test("is refused while there is no such calendar", async () => {
    const refused = await ada.call("POST", "/v1/jobs", job());
    assert.equal(refused.status, 422);
    assert.match(refused.text, /there is no calendar \\"off\\"/);
  });

  test("runs no tick that an event of the file covers, on any peer, and next says so", async () => {
    const begin = (Math.floor(Date.now() / 1_000) + 6) * 1_000;
    const end = begin + 6_000;
    writeFileSync(ics, calendar(`DTSTART:${stamp(begin)}`, `DTEND:${stamp(end)}`, "SUMMARY:closed"));
    const set = await ada.command("calendars", "set", "off", "--ical", ics);
    assert.equal(set.code, 0, set.stderr);
    assert.match(set.stdout, /calendar off covers 1 time/);
    await ada.ask("POST", "/v1/jobs", job());
    await until("bob's forecast leaves it out", 10_000, async () => {
      const answer = await bob.call("GET", "/v1/jobs/often/next?count=20");
      if (answer.status !== 200) return false;
      const { items } = answer.body as { items: { tick: string; skipped?: string }[] };
      const covered = items.filter(({ tick }) => Date.parse(tick) >= begin && Date.parse(tick) < end);
      return covered.length > 0 && covered.every(({ skipped }) => skipped === "except");
    });
    await until("ticks after the event have run", 40_000, () =>
      readStarts(starts).some(({ tick }) => Date.parse(tick) >= end + 2_000),
    );
    const ticks = readStarts(starts).map(({ tick }) => Date.parse(tick));
    assert.ok(
      ticks.some((tick) => tick < begin),
      "ticks before it ran",
    );
    assert.ok(
      ticks.every((tick) => tick < begin || tick >= end),
      "no tick within it ran",
    );
  });

  test("keeps its calendar from being removed", async () => {
    const removed = await bob.command("calendars", "rm", "off");
    assert.equal(removed.code, 4);
    assert.match(removed.stderr, /used by often/);
  });

  test("text/calendar is taken too, and what isn't supported is refused with its line; nothing is changed", async () => {
    const headers = { "content-type": "text/calendar" };
    const put = (name: string, text: string) => bob.call("PUT", `/v1/calendars/${name}`, text, headers);
    const holidays = await put("holidays", calendar("DTSTART;VALUE=DATE:20261224", "RRULE:FREQ=YEARLY"));
    assert.equal(holidays.status, 201, holidays.text);
    const { expanded } = holidays.body as { expanded: { days: string[]; until: string } };
    assert.ok(expanded.days.includes("2030-12-24"));
    assert.match(expanded.until, /^20[4-9]\d-01-01T00:00:00Z$/);
    const hostile = await put("holidays", calendar("DTSTART:20260101T000000Z", "RRULE:FREQ=SECONDLY"));
    assert.equal(hostile.status, 422);
    assert.match(hostile.text, /line 4: RRULE: FREQ=SECONDLY is not supported/);
    const kept = (await ada.ask("GET", "/v1/calendars/holidays")) as { expanded: unknown };
    assert.deepEqual(kept.expanded, expanded);
  });
});
