/** What src/docs/jobs.md says of a job is what the program takes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { jobFlags } from "../src/cli/terminal/job-flag-table.ts";
import { JobSpecSchema } from "../src/schema/job.ts";
import { reference, withReference } from "./kit/job-reference.ts";

test("src/docs/jobs.md's table of the job's fields is the program's own (node test/kit/job-reference.ts writes it)", () => {
  const text = readFileSync(reference, "utf8");
  assert.equal(withReference(text), text);
});

test("every field of a job can be given as a flag, and so stands in the table", () => {
  const byArguments = ["id", "argv"];
  const given = new Set([...byArguments, ...jobFlags.map(({ path: [field] }) => field)]);
  assert.deepEqual(
    Object.keys(JobSpecSchema.properties).filter((field) => !given.has(field)),
    [],
  );
});
