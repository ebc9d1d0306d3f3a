/** A job that sends a request (core/checks/http.ts, core/checks/action.ts): what it may say, and which peers run it. */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { actionOf, timeoutOf } from "../src/core/checks/action.ts";
import { checkJob } from "../src/core/checks/job.ts";
import { whyBlocked } from "../src/core/members/blocked.ts";
import type { JobId } from "../src/schema/ids.ts";
import type { JobSpec } from "../src/schema/job.ts";
import { Cores } from "./kit/cores.ts";

const url = "https://example.org/ping";
const id = "ping" as JobId;

function problemsOf(job: object): string[] {
  const check = checkJob({ id, ...job });
  return check.ok ? [] : check.problems.map(({ pointer, message }) => `${pointer}: ${message}`);
}

describe("a job with a request is refused with the place and the remedy", () => {
  const cases: [string, object, RegExp][] = [
    ["no address", { http: {} }, /^\/http\/url: url is the address/],
    [
      "an address of another scheme",
      { http: { url: "ftp://x" } },
      /^\/http\/url: "ftp:\/\/x" is not an address/,
    ],
    ["an address with a line break", { http: { url: `${url}\nx` } }, /^\/http\/url: .* is not an address/],
    ["an address without a host", { http: { url: "http://" } }, /^\/http\/url: .* is not an address/],
    [
      "an unknown method",
      { http: { url, method: "get" } },
      /^\/http\/method: must be one of GET, HEAD, POST/,
    ],
    ["a body for a GET", { http: { url, method: "GET", body: "x" } }, /^\/http\/body: a GET has no body/],
    [
      "a header with a line break",
      { http: { url, headers: { A: "b\r\nC: d" } } },
      /^\/http\/headers\/A: a header's value/,
    ],
    [
      "a header with a space in its name",
      { http: { url, headers: { "A B": "x" } } },
      /^\/http\/headers\/A B: a header's name/,
    ],
    [
      "a header of the connection",
      { http: { url, headers: { "Content-Length": "3" } } },
      /^\/http\/headers\/Content-Length: cicada sets/,
    ],
    [
      "a status that is no status",
      { http: { url, expectStatus: [99] } },
      /^\/http\/expectStatus\/0: a status code/,
    ],
    [
      "no status at all",
      { http: { url, expectStatus: [] } },
      /^\/http\/expectStatus: expectStatus is a list/,
    ],
    ["a timeout without a unit", { http: { url, timeout: "30" } }, /^\/http\/timeout: .*duration/],
    ["an unknown field", { http: { url, verb: "GET" } }, /^\/http\/verb: unknown field/],
    [
      "a command beside it",
      { http: { url }, command: "x" },
      /^\/http: give either command or http, not both/,
    ],
    [
      "another executor",
      { http: { url }, executor: "shell" },
      /^\/executor: the executor "shell" does not take http/,
    ],
    ["a user", { http: { url }, user: "root" }, /^\/user: a request has no user/],
    [
      "exit codes",
      { http: { url }, success: { skipCodes: [75] } },
      /^\/success\/skipCodes: a request has no exit code/,
    ],
    [
      "the executor without a request",
      { executor: "http", command: "x" },
      /^\/executor: .* does not take command/,
    ],
  ];
  for (const [title, job, expected] of cases) {
    it(title, () => {
      const problems = problemsOf(job);
      assert.equal(problems.length, 1, problems.join("\n"));
      assert.match(problems[0] ?? "", expected);
    });
  }
});

const requestOf = (http: NonNullable<JobSpec["http"]>) => actionOf({ id, http });

describe("the request of a job", () => {
  it("is a GET that expects 200 and follows no redirect", () => {
    assert.deepEqual(requestOf({ url }), {
      kind: "http",
      method: "GET",
      url,
      headers: {},
      body: "",
      expectStatus: [200],
      followRedirects: false,
      insecureTls: false,
    });
  });
  it("is a POST if there is a body", () => {
    assert.partialDeepStrictEqual(requestOf({ url, body: "x" }), { method: "POST", body: "x" });
  });
  it("has the URL's user and password in a header, where no message shows them", () => {
    assert.partialDeepStrictEqual(requestOf({ url: "https://ann:p%40ss@example.org/x" }), {
      url: "https://example.org/x",
      headers: { authorization: `Basic ${Buffer.from("ann:p@ss").toString("base64")}` },
    });
  });
});

test("a request ends at its own timeout or the job's, whichever is shorter; without one, after a minute", () => {
  const cases: [string | 0 | undefined, string | 0 | undefined, number][] = [
    [undefined, undefined, 60_000],
    [undefined, "5s", 5_000],
    ["2s", undefined, 2_000],
    ["2s", "5s", 2_000],
    ["9s", "5s", 5_000],
    [0, undefined, 0],
    [0, "5s", 5_000],
    ["9s", 0, 9_000],
  ];
  for (const [own, job, expected] of cases) {
    const http = { url, ...(own === undefined ? {} : { timeout: own }) };
    const spec = { id, http, ...(job === undefined ? {} : { timeout: job }) };
    assert.equal(timeoutOf(spec), expected, `${own} ${job}`);
  }
});

const job: JobSpec = { id, schedule: "@every 10s", http: { url } };

test("a peer of a version without requests doesn't run them", () => {
  const cores = new Cores(["a", "b"], { capabilities: { b: ["executor:process", "majority"] } });
  cores.pass(10_000);
  cores.put(job);
  cores.pass(60_000);
  assert.ok(cores.starts.length >= 5 && cores.starts.every(({ peer }) => peer === "a"));
});

test("a peer that allows only other executors leaves requests to its neighbours, and runs its own kind", () => {
  const cores = new Cores(["a", "b"], { lacks: { b: ["executor:http"] } });
  cores.pass(10_000);
  cores.put(job);
  cores.put({ id: "beat", schedule: "@every 10s", command: "true", target: { peers: ["b"] } });
  cores.pass(60_000);
  const peersOf = (name: string) =>
    cores.starts.filter(({ run }) => run.startsWith(name)).map(({ peer }) => peer);
  assert.ok(peersOf("ping").length >= 5 && peersOf("ping").every((peer) => peer === "a"));
  assert.ok(peersOf("beat").length >= 5);
});

test("a job that no peer allows is blocked, and its problem names the peer and the setting", () => {
  const cores = new Cores(["a"], { lacks: { a: ["executor:http"] } });
  cores.put(job);
  cores.pass(60_000);
  assert.equal(cores.starts.length, 0);
  const plan = cores.state("a").jobs.plans.get(id);
  assert.ok(plan !== undefined);
  const { message } = whyBlocked(cores.state("a"), plan) ?? { message: "" };
  assert.match(message, /host-a doesn't allow jobs of the executor http \(start --allow-executor\)/);
});

test("an attempt of a request carries its run's id, an idempotency key that repetitions share, and a trace", () => {
  const cores = new Cores(["a"]);
  cores.put(job);
  cores.pass(60_000);
  const [first, second] = cores.starts;
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(first.env["CICADA_IDEMPOTENCY_KEY"], `ping@${first.tick}`);
  assert.match(first.env["TRACEPARENT"] ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  assert.notEqual(first.env["TRACEPARENT"], second.env["TRACEPARENT"]);
  assert.ok(cores.recordsOf("a").every(({ state }) => state !== "failed"));
});
