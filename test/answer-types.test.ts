/**
 * The command line reads the API's answers as types of its own, because it may speak with an older peer. What the API sends today
 * must be one of them: the compiler checks that here. (The page uses the API's types themselves.)
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ShownJob } from "../src/api/show/show-job.ts";
import type { Peer } from "../src/api/show/show-peer.ts";
import type { ShownRevision } from "../src/api/show/show-revision.ts";
import type { Run } from "../src/api/show/show-run.ts";
import type { JobAnswer, PeerAnswer, RevisionAnswer, RunAnswer } from "../src/cli/terminal/answers.ts";

/** Without the brands of ids, which a text that has come over the network doesn't have. */
type Plain<Value> = Value extends string
  ? keyof Value extends keyof string
    ? Value
    : string
  : Value extends object
    ? { [Key in keyof Value]: Plain<Value[Key]> }
    : Value;
type Fits<Sent, Read> = Plain<Sent> extends Plain<Read> ? true : false;

test("what the API sends is what the command line reads", () => {
  const job: Fits<ShownJob, JobAnswer> = true;
  const run: Fits<Run, RunAnswer> = true;
  const peer: Fits<Peer, PeerAnswer> = true;
  const revision: Fits<ShownRevision, RevisionAnswer> = true;
  assert.ok(job && run && peer && revision);
});
