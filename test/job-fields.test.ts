/**
 * What each field of a job promises (INTERFACE, "Job"): on a real peer, what its process and its ticks are like; and for every
 * field of the schema, which tests hold its promise.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { JobSpecSchema } from "../src/schema/job.ts";
import { Cluster, items, until, type RunningPeer } from "./kit/cluster.ts";

const limitMs = 30_000;

/** By field: the file, and the beginning of a test's title. A row of several fields is tested as one. */
const tests: Readonly<Record<keyof typeof JobSpecSchema.properties, readonly [file: string, title: string]>> =
  {
    id: ["job", "with an id and a command alone"],
    schedule: ["schedule", "what an expression means"],
    timezone: [
      "schedule-laws",
      "a daily job at a fixed time runs once for each day of a year, in every zone",
    ],
    startsAt: ["job-fields", "startsAt, endsAt:"],
    endsAt: ["job-fields", "startsAt, endsAt:"],
    except: ["except", "a tick is left out exactly if its date is, or one of the expressions ticks with it"],
    jitter: ["jitter", "each tick starts once, when its jitter has passed"],
    enabled: ["job-fields", "enabled:"],
    executor: ["allowed", "exec off allows no job of any executor"],
    command: ["job-fields", "command, argv:"],
    argv: ["job-fields", "command, argv:"],
    http: ["executor-http-real", "a request that is answered as expected succeeds"],
    script: ["scripts-real", "a script runs with its arguments, by its interpreter"],
    stdin: ["job-fields", "stdin, env, cwd, umask:"],
    env: ["job-fields", "stdin, env, cwd, umask:"],
    cwd: ["job-fields", "stdin, env, cwd, umask:"],
    umask: ["job-fields", "stdin, env, cwd, umask:"],
    user: [
      "executor-real",
      "only root may run jobs as another user, and then with that user's groups and home",
    ],
    params: ["params", "a run of the schedule gets the defaults, and a run by hand what is given"],
    secrets: ["secrets", "is run only where a peer has a value of its own"],
    limits: ["executor-real", "limits hold for a run's processes, also as another user"],
    timeout: ["job-fields", "timeout, killGrace:"],
    killGrace: ["job-fields", "timeout, killGrace:"],
    background: [
      "executor-real",
      "what a program leaves in its group is ended with it and counted, or goes on if the job says so",
    ],
    precheck: ["precheck", "each attempt begins with its precheck, on the same peer"],
    overlap: ["overlap", "overlap ${policy}: when ${circumstance}, the verdict on the due run is ${verdict}"],
    pool: ["pools", "has as many runs at once as it has slots, and uses them all"],
    catchUp: ["catchup", "under `latest` only the newest tick runs, and the others are superseded"],
    retry: [
      "retry",
      "a run that fails is repeated with growing pauses, as often as the job says, and never again",
    ],
    pauseAfterFailures: ["pause-after-failures", "is paused after that many of them, once for all peers"],
    success: ["success", "a run's state by the end of its process"],
    partition: [
      "majority",
      "in a split only the side with a majority runs a majority job, and the other side says why",
    ],
    target: ["target", "a job runs on the peers that it prefers while there are any, then on the others"],
    weight: ["weight", "the weights of a peer's runs never exceed its capacity together"],
    after: ["chain", "a child runs once after its parent has succeeded, at its parent's tick"],
    notify: ["notices", "each rule tells its own channels"],
    longAfter: ["job-fields", "longAfter:"],
    ping: ["pings", "each start has exactly one end, and both carry the run's id"],
    keep: ["job-fields", "keep:"],
    group: ["groups", "a job takes from its group"],
    labels: ["job-fields", "group, labels, description, owner:"],
    description: ["job-fields", "group, labels, description, owner:"],
    owner: ["job-fields", "group, labels, description, owner:"],
  };

test("every field of a job's schema has a test of what it promises", () => {
  assert.deepEqual(Object.keys(tests).toSorted(), Object.keys(JobSpecSchema.properties).toSorted());
  for (const [field, [file, title]] of Object.entries(tests)) {
    const text = readFileSync(path.join(import.meta.dirname, `${file}.test.ts`), "utf8");
    const titles = [...text.matchAll(/\b(?:test|it|describe)\(\s*(?:"([^"]*)"|`([^`]*)`)/g)];
    const isThere = titles.some(([, plain = "", filled = ""]) => `${plain}${filled}`.startsWith(title));
    assert.ok(isThere, `${field}: ${file}.test.ts has no test with the title "${title}…"`);
  }
});

interface Run {
  id: string;
  tick: string;
  state: string;
  reason: string | null;
  exitCode: number | null;
  logBytes: number;
  logTruncated: boolean;
}

describe("a job of a real peer", () => {
  let cluster: Cluster;
  let ada: RunningPeer;
  before(async () => {
    cluster = new Cluster();
    ada = await cluster.start({ name: "ada", env: { ONLY_THE_PEERS: "1" } });
  });
  after(() => cluster[Symbol.asyncDispose]());

  const runsOf = (job: string) => items<Run>(ada, `/v1/jobs/${job}/runs?limit=100`);
  const logOf = async ({ id }: Run) => (await ada.call("GET", `/v1/runs/${encodeURIComponent(id)}/log`)).text;

  async function ran(spec: Readonly<Record<string, unknown>> & { id: string }): Promise<Run> {
    await ada.ask("POST", "/v1/jobs", spec);
    await ada.ask("POST", `/v1/jobs/${spec.id}/run`, {});
    return until(`${spec.id} has run`, limitMs, async () =>
      (await runsOf(spec.id)).find(({ state }) => !["claimed", "running"].includes(state)),
    );
  }

  test("command, argv: the one is text for /bin/sh -c, the other a program and its arguments without a shell", async () => {
    const shell = await ran({ id: "shell", command: 'x=1; echo "$x $0" | tr 1 2; false || exit 7' });
    assert.deepEqual([await logOf(shell), shell.exitCode], ["2 /bin/sh\n", 7]);
    const exec = await ran({ id: "exec", argv: ["printf", "%s|", "$HOME", "a b", "*", "; exit 7"] });
    assert.deepEqual([await logOf(exec), exec.exitCode], ["$HOME|a b|*|; exit 7|", 0]);
  });

  test("stdin, env, cwd, umask: are the process's; without them it reads nothing, has a folder of its own and 077, and nothing of the peer's environment", async () => {
    const command = 'cat; echo "$A|$ONLY_THE_PEERS|$(umask)|$(pwd)"; touch here && ls';
    const folder = path.join(cluster.folder, "work");
    mkdirSync(folder);
    const given = await ran({
      id: "given",
      command,
      stdin: "read\n",
      env: { A: "$B 'é'" },
      cwd: folder,
      umask: "027",
    });
    assert.equal(await logOf(given), `read\n$B 'é'||0027|${folder}\nhere\n`);
    const bare = await logOf(await ran({ id: "bare", command }));
    assert.match(bare, /^\|\|0077\|\/.+\nhere\n$/);
    assert.notEqual(bare, `||0077|${folder}\nhere\n`);
  });

  test("timeout, killGrace: TERM to the whole group, and KILL to what is left after the grace", async () => {
    const ended = await ran({
      id: "told",
      command: "trap 'echo told; exit 3' TERM; sleep 60 & wait",
      timeout: "500ms",
    });
    assert.deepEqual([ended.state, await logOf(ended)], ["timeout", "told\n"]);
    const deaf = await ran({
      id: "deaf",
      command: "trap 'echo told' TERM; (trap '' TERM; sleep 60) & while :; do sleep 0.1; done",
      timeout: "500ms",
      killGrace: "1s",
    });
    assert.equal(deaf.state, "timeout");
    assert.match(await logOf(deaf), /^told$/m);
  });

  test("startsAt, endsAt: no tick lies outside, both included; when the last one is over the job has ended", async () => {
    const from = Math.ceil(Date.now() / 1_000) * 1_000 + 3_000;
    const [startsAt, endsAt] = [from, from + 3_000].map((at) => new Date(at).toISOString());
    await ada.ask("POST", "/v1/jobs", {
      id: "between",
      schedule: "* * * * * *",
      startsAt,
      endsAt,
      command: "true",
    });
    await until("it has ended", limitMs, async () => {
      const { state, lastTick } = (await ada.ask("GET", "/v1/jobs/between")) as {
        state: string;
        lastTick: { tick: string } | null;
      };
      return state === "ended" && lastTick !== null && Date.parse(lastTick.tick) === from + 3_000;
    });
    const ticks = (await runsOf("between")).map(({ tick }) => Date.parse(tick)).toSorted((a, b) => a - b);
    assert.deepEqual(
      ticks,
      [0, 1, 2, 3].map((second) => from + 1_000 * second),
    );
  });

  test("enabled: a job that isn't has no ticks and no next one, and runs by hand only if that is forced", async () => {
    await ada.ask("POST", "/v1/jobs", {
      id: "off",
      schedule: "* * * * * *",
      enabled: false,
      command: "true",
    });
    const { state, nextTick } = (await ada.ask("GET", "/v1/jobs/off")) as {
      state: string;
      nextTick: unknown;
    };
    assert.deepEqual([state, nextTick], ["disabled", null]);
    assert.equal((await ada.call("POST", "/v1/jobs/off/run", {})).status, 409);
    await ada.ask("POST", "/v1/jobs/off/run", { force: true });
    await until("the forced run has ended", limitMs, async () =>
      (await runsOf("off")).some(({ tick, state: how }) => tick.startsWith("manual-") && how === "succeeded"),
    );
    assert.equal((await runsOf("off")).length, 1);
  });

  test("keep: no more than this of an output stays, its beginning and its end, and the run says that it was cut", async () => {
    const run = await ran({ id: "loud", command: "seq 1 20000", keep: { logBytes: "8KiB" } });
    const text = await logOf(run);
    assert.ok(text.startsWith("1\n2\n") && text.endsWith("19999\n20000\n"));
    assert.ok(Buffer.byteLength(text) < 10_000, `${text.length} characters`);
    assert.equal(run.logTruncated, true);
  });

  test("group, labels, description, owner: are kept as they were written, and jobs are found by them", async () => {
    const named = {
      group: "billing",
      labels: { tier: "1" },
      description: "Sends bills, é",
      owner: "ann@example.org",
    };
    await ada.ask("POST", "/v1/jobs", { id: "named", command: "true", ...named });
    assert.partialDeepStrictEqual(await ada.ask("GET", "/v1/jobs/named"), named);
    for (const query of ["group=billing", "label=tier%3D1", "q=bills"]) {
      // oxlint-disable-next-line no-await-in-loop -- one question after the other
      const found = await items<{ id: string }>(ada, `/v1/jobs?${query}`);
      assert.deepEqual(
        found.map(({ id }) => id),
        ["named"],
        query,
      );
    }
  });

  test("longAfter: people who asked for it are told once that a run is still going, while it is", async () => {
    const heard: string[] = [];
    await using server = await listener((body) => heard.push(body));
    await ada.ask("PUT", "/v1/channels/people", { type: "webhook", url: server.url });
    const notify = [{ on: ["long", "failed"], to: ["people"] }];
    const gate = path.join(cluster.folder, "gate");
    const command = `while [ ! -e ${gate} ]; do sleep 0.1; done`;
    await ada.ask("POST", "/v1/jobs", { id: "slow", command, longAfter: "1s", notify });
    await ada.ask("POST", "/v1/jobs/slow/run", {});
    await until("it is told", limitMs, () => heard.length > 0);
    const [run] = await runsOf("slow");
    assert.equal(run?.state, "running");
    writeFileSync(gate, "");
    await until("it has ended", limitMs, async () => (await runsOf("slow"))[0]?.state === "succeeded");
    assert.equal(heard.length, 1);
    assert.match(heard[0] ?? "", /slow/);
    assert.match(heard[0] ?? "", /long/);
  });
});

async function listener(onBody: (body: string) => void): Promise<AsyncDisposable & { url: string }> {
  const server: Server = createServer((request, response) => {
    let body = "";
    request.on("data", (bytes: Buffer) => (body += bytes.toString()));
    request.on("end", () => {
      onBody(body);
      response.end();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
