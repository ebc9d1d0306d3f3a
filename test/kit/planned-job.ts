/** Jobs as the table holds them, and their plans, for tests of rules that need no table. */
import assert from "node:assert/strict";
import { checkedJob } from "../../src/core/checks/job.ts";
import { planJob, type Plan } from "../../src/core/job/plan.ts";
import type { JobId } from "../../src/schema/ids.ts";
import type { Job, JobSpec } from "../../src/schema/job.ts";

/** A job that was made at the beginning of time and never changed, except for what is given. */
export function storedJob(
  id: string,
  spec: Partial<Omit<JobSpec, "id">>,
  changes: Partial<Omit<Job, "id" | "spec">> = {},
): Job {
  return {
    id: id as JobId,
    spec: checkedJob({ id: id as JobId, command: "true", ...spec }),
    revision: "r",
    createdAt: 0,
    updatedAt: 0,
    updatedBy: "test",
    scheduledAt: 0,
    resumedAt: 0,
    failuresFrom: 0,
    pauses: [],
    needs: [],
    ...changes,
  };
}

/** The plan of a job that can be used. */
export function planOfJob(job: Job, calendars?: Parameters<typeof planJob>[1]): Plan {
  const plan = planJob(job, calendars);
  assert.ok(!Array.isArray(plan));
  return plan;
}
