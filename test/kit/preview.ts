/** The next ticks of a job's schedule from December 2026 on, without a peer. */
import assert from "node:assert/strict";
import { previewSchedule } from "../../src/core/time/preview.ts";
import { tickAt } from "../../src/schema/ids.ts";
import type { JobSpec } from "../../src/schema/job.ts";

export function nextTicks({ id, schedule, timezone = "UTC", except = [] }: JobSpec, count: number): string[] {
  const from = Date.parse("2026-12-01T00:00:00Z");
  const found = previewSchedule({
    id,
    schedule: schedule ?? [],
    from,
    count,
    timezone,
    except,
  });
  assert.ok(found.ok);
  return found.ticks.map(({ tick }) => tickAt(tick));
}
