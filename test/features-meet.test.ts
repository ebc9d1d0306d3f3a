/**
 * What INTERFACE.md says under "Where features meet" about a tick as one unit and about chains: a test for each sentence. (That
 * cycles of two sides are quarantined, and which parents are refused or warned about when a job is written, is in
 * chain-written.test.ts.)
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { finalWordOf, storyOf } from "../src/core/records/records.ts";
import { noticesOf } from "../src/core/records/notices.ts";
import { describeTick } from "../src/core/records/why.ts";
import { jobNow } from "../src/core/view.ts";
import { Outcomes } from "../src/peer/history/outcomes.ts";
import { Pings } from "../src/peer/notices/pings.ts";
import type { PingsDeps } from "../src/peer/notices/pings.ts";
import type { JobId, PeerId, TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { Cores, type Start } from "./kit/cores.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
type Spec = Parameters<Cores["put"]>[0];

const load = { id: "load", schedule: "@every 1h", command: "true" } as const;
const report = { id: "report", command: "true", after: { jobs: ["load" as JobId] } };

/** Peers five seconds before the first tick of hourly jobs. */
function beforeTick(
  names: string,
  specs: readonly Spec[],
  options: ConstructorParameters<typeof Cores>[1] = { runMs: second },
): Cores {
  const cores = new Cores([...names], options);
  cores.pass(minute);
  for (const spec of specs) cores.put(spec);
  cores.pass(hour - (cores.wall(cores.now) % hour) - 5 * second);
  return cores;
}

function startsOf(cores: Cores, job: string): Start[] {
  return cores.starts.filter(({ run }) => run.startsWith(`${job}@`));
}

function recordsOf(cores: Cores, peer: string, job: string): RunRecord[] {
  return cores.recordsOf(peer).filter((record) => record.job === job);
}

/** Of the job's only tick, or of the one that is named. */
function storyAt(cores: Cores, peer: string, job: string, tick?: string): string {
  const records = recordsOf(cores, peer, job).filter((record) => (tick ?? record.tick) === record.tick);
  const story = storyOf(records);
  return story === undefined
    ? "none"
    : `${story.state}${story.reason === undefined ? "" : ` ${story.reason}`}`;
}

function assertNothingLeft(cores: Cores, peers: string): void {
  for (const peer of peers) {
    const { book } = cores.state(peer);
    assert.equal(book.orders.size + book.chains.size, 0, `${peer}: nothing is pending`);
  }
}

const failing = ({ run }: Start) => (run.startsWith("load@") ? 1 : 0);
const retry = { attempts: 1, backoff: "30s" };

describe("a tick is one unit", () => {
  it("it is on from its first start until its final word, back-off included: that is what overlap counts", () => {
    for (const overlap of ["queue", "skip", "allow"] as const) {
      const cores = beforeTick("ab", []);
      cores.put({ ...load, schedule: "@every 20s", retry, overlap });
      cores.exitCodeOf = ({ env }) => (env["CICADA_ATTEMPT"] === "1" && cores.starts.length === 1 ? 1 : 0);
      cores.pass(34 * second);
      const began = cores.starts.map(({ env }) => env["CICADA_TRIGGER"]);
      if (overlap === "allow") assert.deepEqual(began, ["schedule", "schedule"]);
      else
        assert.deepEqual(
          began,
          ["schedule"],
          `${overlap}: the next tick waits while the first is in its back-off`,
        );
      cores.pass(10 * second);
      assert.equal(cores.starts.filter(({ env }) => env["CICADA_TRIGGER"] === "retry").length, 1);
    }
  });

  it("a pending retry holds no capacity and no pool slot", () => {
    const cores = beforeTick(
      "a",
      [
        { ...load, retry, pool: "db" },
        { id: "other", command: "true", pool: "db" },
      ],
      {
        capacity: 1,
        runMs: second,
      },
    );
    cores.exitCodeOf = failing;
    cores.pass(10 * second);
    assert.equal(cores.starts.length, 1);
    cores.ask("a", { kind: "run-job", id: "other" as JobId, by: "ann" });
    cores.pass(5 * second);
    assert.equal(startsOf(cores, "other").length, 1, "the place and the slot are free");
  });

  for (const where of ["same", "other"] as const) {
    it(`where: ${where} that no peer can meet ends the tick as failed with that reason`, () => {
      const cores = beforeTick(where === "same" ? "ab" : "a", [
        { ...load, retry: { ...retry, where } },
        report,
      ]);
      cores.exitCodeOf = failing;
      cores.pass(10 * second);
      const [first] = cores.starts;
      assert.ok(first);
      const left = where === "other" ? "a" : first.peer === "a" ? "b" : "a";
      if (where === "same") cores.kill(first.peer);
      cores.pass(5 * minute);
      assert.equal(startsOf(cores, "load").length, 1);
      const records = recordsOf(cores, left, "load");
      const word = finalWordOf(records);
      assert.deepEqual([word?.state, word?.reason, word?.exitCode], ["failed", "retry-nowhere", 1]);
      const { why } = describeTick(first.tick as TickId, records, (peer) => peer);
      assert.match(
        why.join(" "),
        /is not repeated: the job's retry\.where leaves no peer that may repeat it/,
      );
      assert.equal(storyAt(cores, left, "report"), "skipped parent load failed");
      assertNothingLeft(cores, left);
    });
  }

  it("replace withdraws a pending retry and says so", () => {
    const cores = beforeTick("ab", []);
    cores.put({
      ...load,
      schedule: "@every 20s",
      retry: { attempts: 1, backoff: "1m" },
      overlap: "replace",
    });
    cores.exitCodeOf = () => (cores.starts.length === 1 ? 1 : 0);
    cores.pass(2 * minute);
    const [first] = cores.starts;
    assert.ok(first);
    const ofFirst = recordsOf(cores, "b", "load").filter(({ tick }) => tick === first.tick);
    assert.deepEqual(
      ofFirst.map(({ attempt, state, reason }) => [attempt, state, reason]),
      [
        [1, "failed", undefined],
        [2, "cancelled", "replaced"],
      ],
    );
    assert.equal(finalWordOf(ofFirst)?.reason, "replaced");
    const { why } = describeTick(first.tick as TickId, ofFirst, (peer) => peer);
    assert.match(why.join(" "), /is not repeated: a newer tick of the job has replaced it/);
    assert.ok(cores.starts.every(({ env }) => env["CICADA_TRIGGER"] === "schedule"));
  });

  it("a changed retry.attempts applies to a pending retry", () => {
    for (const [attempts, starts] of [
      [0, 1],
      [3, 4],
    ] as const) {
      const cores = beforeTick("ab", [{ ...load, retry }]);
      cores.exitCodeOf = failing;
      cores.pass(10 * second);
      const job = cores.state("a").jobs.plans.get("load" as JobId)?.job;
      assert.ok(job);
      const { createdAt, scheduledAt } = job;
      cores.put({ ...load, retry: { ...retry, attempts } }, { createdAt, scheduledAt });
      cores.pass(20 * minute);
      assert.equal(cores.starts.length, starts, `${attempts} more attempts`);
      assert.match(storyAt(cores, "b", "load"), /^failed/);
      assertNothingLeft(cores, "ab");
    }
  });

  it("back-off runs from the end of the attempt and survives restarts", () => {
    const cores = beforeTick("ab", [{ ...load, retry: { attempts: 1, backoff: "2m" } }], {
      runMs: 40 * second,
    });
    cores.exitCodeOf = failing;
    cores.pass(50 * second);
    const [first] = cores.starts;
    assert.ok(first);
    for (const peer of "ab") cores.restart(peer, 10 * second);
    cores.pass(4 * minute);
    const [, second_, ...others] = cores.starts;
    assert.ok(second_ !== undefined && others.length === 0);
    const pauseMs = second_.at - (first.at + 40 * second);
    assert.ok(Math.abs(pauseMs - 2 * minute) < 500, `${pauseMs} ms after the end`);
  });

  const ends = {
    "succeeds at last": { code: (attempt: string) => (attempt === "2" ? 0 : 1), state: "succeeded" },
    "fails for good": { code: () => 1, state: "failed" },
    "is not repeated, because no peer can": { code: () => 1, state: "failed", where: "other" },
  } as const;
  for (const [what, end] of Object.entries(ends)) {
    it(`notices, pings' end, pauseAfterFailures, lastTick and chains follow the final word of a tick that ${what}, not each attempt's`, async () => {
      const where = "where" in end ? end.where : "any";
      const ping = {
        start: "http://check.example/start",
        success: "http://check.example/ok",
        failure: "http://check.example/bad",
      };
      const notify: Spec["notify"] = [{ on: ["failed", "recovered"], to: ["ops"] }];
      const spec: Spec = { ...load, retry: { ...retry, where }, pauseAfterFailures: 1, notify, ping };
      const alarm = { ...report, id: "alarm", after: { ...report.after, on: "failure" as const } };
      const cores = beforeTick("a", [spec, report, alarm]);
      cores.exitCodeOf = ({ run, env }) =>
        run.startsWith("load@") ? end.code(env["CICADA_ATTEMPT"] ?? "") : 0;
      const pinged = pingsOf(cores, spec);
      const history = async () => ({ records: recordsOf(cores, "a", "load") });
      const newest = async () => [recordsOf(cores, "a", "load")];
      const lastTick = async () => {
        const { lastTick: last } = await new Outcomes(history, newest, () => true).of("load" as JobId);
        return last?.state;
      };
      cores.pass(10 * second);
      assert.equal(startsOf(cores, "load").length, 1);
      assert.deepEqual(pinged, ["/start"], "no end while another attempt follows");
      assert.deepEqual([cores.announced, cores.pauses.size], [[], 0]);
      assert.equal(await lastTick(), undefined);
      assert.equal(cores.starts.length, 1, "no child has run");
      cores.pass(3 * minute);
      const isWell = end.state === "succeeded";
      assert.deepEqual(pinged, ["/start", isWell ? "/ok" : "/bad"]);
      const due = noticesOf(notify, {
        records: recordsOf(cores, "a", "load"),
        earlier: [],
        notified: new Set(),
      });
      assert.deepEqual([...due.keys()], isWell ? [] : ["failed"]);
      assert.ok(cores.announced.length > 0);
      assert.equal(cores.pauses.size, isWell ? 0 : 1);
      assert.equal(await lastTick(), end.state);
      assert.equal(startsOf(cores, "report").length, isWell ? 1 : 0);
      assert.equal(startsOf(cores, "alarm").length, isWell ? 0 : 1);
    });
  }
});

/** The paths of the pings that lone peer `a` sends. */
function pingsOf(cores: Cores, spec: Spec): string[] {
  const pinged: string[] = [];
  const deps = {
    self: "a" as PeerId,
    doors: { notifier: { ping: ({ url }: { url: string }) => void pinged.push(new URL(url).pathname) } },
    jobOf: (id: JobId) => (id === spec.id ? { spec } : undefined),
    count: () => undefined,
  } as unknown as PingsDeps;
  const pings = new Pings(deps);
  cores.onEffect = (_, effect) => {
    if (effect.kind === "notify" && effect.event.kind === "run") pings.moved(effect.event.record);
  };
  return pinged;
}

const branches = [
  { ...report, id: "on-success" },
  { ...report, id: "on-failure", after: { ...report.after, on: "failure" as const } },
  { ...report, id: "on-always", after: { ...report.after, on: "always" as const } },
];
function branchesRun(cores: Cores): string[] {
  return branches.map(({ id }) => id).filter((id) => startsOf(cores, id).length > 0);
}

describe("chains", () => {
  const ends: [how: string, act: (cores: Cores, first: Start) => void, expected: string[]][] = [
    ["succeeded", (cores) => cores.end("load", 0), ["on-success", "on-always"]],
    ["failed", (cores) => cores.end("load", 1), ["on-failure", "on-always"]],
    ["was lost", (cores, { peer }) => cores.kill(peer), ["on-failure", "on-always"]],
    [
      "was cancelled",
      (cores, { tick }) =>
        cores.ask("a", { kind: "cancel-run", run: `load@${tick}`, by: "ann", reason: "enough" }),
      ["on-always"],
    ],
  ];
  for (const [how, act, expected] of ends) {
    it(`success = succeeded; failure = failed, timeout, lost; always = any run that ended: a parent that ${how} runs ${expected.join(" and ")}`, () => {
      const cores = beforeTick("abc", [load, ...branches], { runMs: Infinity });
      cores.pass(10 * second);
      const [first] = cores.starts;
      assert.ok(first);
      act(cores, first);
      cores.pass(minute);
      assert.deepEqual(branchesRun(cores), expected);
    });
  }

  const late: [how: string, parent: Partial<Spec>, end: (cores: Cores, tick: string) => void][] = [
    [
      "two runs of which the one that fails ends long before the other",
      { target: { count: 2 } },
      (cores) => {
        cores.end("load", 1);
        cores.pass(2 * hour);
        cores.end("load", 0);
      },
    ],
    [
      "a pending retry that a person cancels after hours",
      { retry: { attempts: 1, backoff: "5h", maxBackoff: "5h" } },
      (cores, tick) => {
        cores.end("load", 1);
        cores.pass(2 * hour);
        cores.ask("b", { kind: "cancel-run", run: `load@${tick}`, by: "ann", reason: "enough" });
      },
    ],
  ];
  for (const [how, parent, end] of late) {
    it(`follow the tick's final word, and begin when it is said: a parent with ${how}`, () => {
      const once = { ...load, schedule: "0 3 * * *", ...parent };
      const cores = beforeTick("abc", [once, ...branches], { runMs: Infinity });
      cores.pass(10 * second);
      const [first] = cores.starts;
      assert.ok(first);
      end(cores, first.tick);
      cores.pass(2 * second);
      for (const peer of "abc")
        assert.equal(storyAt(cores, peer, "on-success"), "skipped parent load failed");
      assert.deepEqual(
        branchesRun(cores),
        ["on-failure", "on-always"],
        "at once, and not with what is caught up",
      );
    });
  }

  const unrun: [how: string, prepare: (cores: Cores) => void, reason: string][] = [
    ["was skipped", (cores) => pause(cores, "load"), "parent load was skipped"],
    [
      "was missed",
      (cores) => {
        cores.put({ ...load, target: { peers: ["nobody"] }, catchUp: { policy: "none" } });
      },
      "parent load was missed",
    ],
  ];
  for (const [how, prepare, reason] of unrun) {
    it(`a parent that ${how} gives the child skipped(parent …) at once: never pending for ever, never the failure branch`, () => {
      const slow = { ...load, id: "slow" };
      const both = {
        ...report,
        id: "both",
        after: { jobs: ["load", "slow"] as JobId[], on: "failure" as const },
      };
      const cores = beforeTick("abc", [load, slow, ...branches, both], { runMs: Infinity });
      prepare(cores);
      cores.pass(minute);
      assert.deepEqual(branchesRun(cores), []);
      for (const { id } of [...branches, both]) assert.equal(storyAt(cores, "b", id), `skipped ${reason}`);
      assert.equal(startsOf(cores, "slow").length, 1, "while the other parent still runs");
      for (const peer of "abc") assert.equal(cores.state(peer).book.chains.size, 0);
    });
  }

  const gone: [how: string, act: (cores: Cores) => void][] = [
    ["was deleted", (cores) => cores.remove("slow")],
    ["was disabled", (cores) => cores.put({ ...load, id: "slow", enabled: false })],
    ["got another schedule", (cores) => cores.put({ ...load, id: "slow", schedule: "30 3 * * *" })],
  ];
  for (const [how, act] of gone) {
    it(`a parent that has no such tick, because it ${how} before it, gives the child skipped(parent …) at once`, () => {
      const both = { ...report, after: { jobs: ["load", "slow"] as JobId[], on: "failure" as const } };
      const cores = beforeTick("abc", [load, { ...load, id: "slow" }, both]);
      act(cores);
      cores.pass(minute);
      assert.equal(storyAt(cores, "c", "report"), "skipped parent slow has no such tick");
      assertNothingLeft(cores, "abc");
    });
  }

  it("a run by hand of one of several parents fires no child, and one of the only parent fires it", () => {
    const both = { ...report, id: "both", after: { jobs: ["load", "slow"] as JobId[] } };
    const cores = beforeTick("abc", [load, { ...load, id: "slow" }, report, both]);
    cores.ask("b", { kind: "run-job", id: "load" as JobId, by: "ann" });
    cores.pass(4 * second);
    assert.equal(startsOf(cores, "report").length, 1);
    assert.deepEqual(recordsOf(cores, "b", "both"), []);
  });

  it("a deleted parent is a problem of the child", () => {
    const cores = beforeTick("ab", [load, report]);
    cores.remove("load");
    const shown = jobNow(cores.state("a"), cores.state("a").now, "report" as JobId);
    assert.deepEqual(
      shown?.hindrances.map(({ code, message }) => [code, message]),
      [["NO_PARENT", 'it runs after "load", and there is no such job']],
    );
  });

  const written: [
    what: string,
    on: "success" | "failure",
    where: "any" | "other",
    codes: number[],
    outputs: string,
  ][] = [
    ["succeeded at its second attempt", "success", "any", [1, 0], '{"TRY":"2"}'],
    ["failed at its second attempt", "failure", "any", [1, 1], '{"TRY":"2"}'],
    ["failed at its first attempt, which no peer could repeat", "failure", "other", [1], '{"TRY":"1"}'],
  ];
  for (const [what, on, where, codes, outputs] of written) {
    it(`outputs are those of the attempt that ended the tick: the parent ${what}`, () => {
      const child = { ...report, after: { ...report.after, on } };
      const cores = beforeTick("a", [{ ...load, retry: { ...retry, where } }, child]);
      cores.writtenBy = ({ env }) => `TRY=${env["CICADA_ATTEMPT"]}`;
      cores.exitCodeOf = ({ run, env }) =>
        run.startsWith("load@") ? (codes[Number(env["CICADA_ATTEMPT"]) - 1] ?? 0) : 0;
      cores.pass(5 * minute);
      assert.deepEqual(
        startsOf(cores, "report").map(({ parents }) =>
          JSON.stringify((JSON.parse(parents) as { load: { outputs: unknown } }).load.outputs),
        ),
        [outputs],
      );
    });
  }
});

function pause(cores: Cores, id: string): void {
  const job = cores.state("a").jobs.plans.get(id as JobId)?.job;
  assert.ok(job);
  cores.put(job.spec, { ...job, pauses: [{ by: "ann", at: 0 }] });
}
