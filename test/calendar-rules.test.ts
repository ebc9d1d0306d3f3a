/**
 * The dates of recurrence rules, as python-dateutil 2.9 has computed them: rule, first day, how many dates there are up to the
 * end of 2040, the first four, and the last.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { allSteps, expand } from "../src/real/calendars/recurrence.ts";
import { utcFrame, ZonesOfText } from "../src/real/calendars/zones.ts";

const cases = JSON.parse(
  readFileSync(new URL("./fixtures/recurrence-rules.json", import.meta.url), "utf8"),
) as [rule: string, start: string, count: number, ...dates: string[]][];

test(`${cases.length} rules give the dates that another program gives`, () => {
  for (const [rule, start, count, ...dates] of cases) {
    const civil = Date.parse(`${start}T10:00:00Z`) / 1_000;
    const { begins } = expand(
      { number: 1, name: "RRULE", text: `RRULE:${rule}` },
      { kind: "floating", civil, frame: utcFrame },
      new ZonesOfText([]),
      Date.UTC(2041, 0, 1) / 1_000 - 1,
      allSteps(),
    );
    const found = begins.map((second) => new Date(second * 1_000).toISOString().slice(0, 10));
    // The standard leaves open whether a beginning that the rule doesn't give is one of its dates; here it is.
    const own = dates[0] === start ? found : found.filter((date) => date !== start);
    assert.equal(own.length, count, `${rule} from ${start}`);
    const last = dates.length > 4 ? [own.at(-1)] : [];
    assert.deepEqual([...own.slice(0, 4), ...last], dates, `${rule} from ${start}`);
  }
});
