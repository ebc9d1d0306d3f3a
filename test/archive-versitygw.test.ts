/**
 * Finished outputs in a real S3 server that verifies every signature: from three real peers, and through all that can go wrong
 * with it.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { request } from "node:http";
import path from "node:path";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { putObject, signedPut, keyOf, type S3Store } from "../src/real/archive/s3.ts";
import type { JobId, PeerId, TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { Cluster, items, until, type RunningPeer } from "./kit/cluster.ts";
import { howToGet, s3Keys, Versitygw, versitygw } from "./kit/versitygw.ts";

const limitMs = 60_000;
const skip = versitygw === undefined ? `versitygw is not on PATH: ${howToGet}` : false;

const record: RunRecord = {
  job: "a.b_c-1" as JobId,
  tick: "2026-11-20T02:00:00Z" as TickId,
  attempt: 1,
  slot: "2",
  of: 3,
  peer: "12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p" as PeerId,
  state: "failed",
  version: 3,
  revision: "r",
  trigger: "schedule",
  rank: 0,
  due: 0,
  finishedAt: Date.UTC(2026, 10, 20, 2),
  exitCode: 255,
  logBytes: 12,
  view: 1,
  passed: [],
  signature: "",
};

async function serverIn(cluster: Cluster): Promise<Versitygw> {
  const folder = path.join(cluster.folder, "s3");
  mkdirSync(folder);
  return Versitygw.start(folder);
}

function storeAt(server: Versitygw, more: Partial<S3Store> = {}): S3Store {
  const endpoint = new URL(server.url);
  return {
    bucket: "outputs",
    prefix: "",
    endpoint,
    region: "us-east-1",
    sessionToken: undefined,
    ...s3Keys,
    ...more,
  };
}

function envOf(server: Versitygw, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: s3Keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3Keys.secretAccessKey,
    AWS_ENDPOINT_URL: server.url,
    CICADA_ARCHIVE: "s3://outputs/a prefix (é)",
    ...more,
  };
}

function keyFor(run: string): string {
  return `a prefix (é)/${run.slice(0, run.indexOf("@"))}/${run}.log`;
}

async function untilWarned(peer: RunningPeer, says: RegExp): Promise<void> {
  await until(`${peer.name} warns: ${says.source}`, limitMs, async () => {
    const { ready, warnings } = (await peer.call("GET", "/readyz?verbose")).body as {
      ready: boolean;
      warnings: string[];
    };
    return ready && warnings.some((text) => says.test(text));
  });
}

/** Runs the job by hand, and returns the ids of all runs of that tick once they have ended. */
async function ran(peer: RunningPeer, job: string, count = 1): Promise<string[]> {
  const { tick } = (await peer.ask("POST", `/v1/jobs/${job}/run`, {})) as { tick: string };
  return until(`${job} has run`, limitMs, async () => {
    const runs = await items<{ id: string; state: string }>(peer, `/v1/jobs/${job}/runs?limit=100`);
    const ended = runs.filter(({ id, state }) => id.includes(tick) && /succeeded|failed/.test(state));
    return ended.length >= count && ended.map(({ id }) => id);
  });
}

describe("a server that verifies signatures", { skip }, () => {
  test("takes objects under any prefix, addressed by path or by the bucket's own host", async () => {
    await using cluster = new Cluster();
    await using server = await serverIn(cluster);
    server.makeBucket("outputs");
    const stop = new AbortController().signal;
    const prefixes = [
      "",
      "a b",
      "é/ü",
      "a+b",
      "a%20b",
      "a%2Fb",
      "(x)!*'",
      "a&b=c?d#e",
      "a:b@c~d",
      "日本",
      '$^`|<>[]{}"',
    ];
    for (const prefix of prefixes) {
      const at = storeAt(server, { prefix });
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.equal(await putObject(at, record, gzipSync(prefix), stop), "sent", prefix);
      assert.equal(server.text("outputs", keyOf(at, record)), prefix);
    }
    const endpoint = new URL("http://s3.us-east-1.amazonaws.com");
    const byHost = storeAt(server, { endpoint, prefix: "by host" });
    const put = await signedPut(byHost, record, gzipSync("by host"), new Date());
    assert.equal(put.url.host, "outputs.s3.us-east-1.amazonaws.com");
    const status = await new Promise((done, failed) => {
      const { hostname: host, port } = new URL(server.url);
      const headers = {
        ...Object.fromEntries(put.headers),
        host: put.url.host,
        "content-length": put.body.length,
      };
      const asked = request({ host, port, method: "PUT", path: put.url.pathname, headers }, (reply) => {
        reply.resume();
        reply.once("end", () => done(reply.statusCode));
      });
      asked.once("error", failed).end(put.body);
    });
    assert.equal(status, 200);
    assert.equal(server.text("outputs", keyOf(byHost, record)), "by host");
  });

  test("with a wrong secret, key, region, token or bucket each try says which is wrong, and the output is never given up", async () => {
    await using cluster = new Cluster();
    await using server = await serverIn(cluster);
    server.makeBucket("outputs");
    const cases: readonly [wrong: Partial<S3Store>, says: RegExp][] = [
      [{ secretAccessKey: "wrong" }, /403: SignatureDoesNotMatch/],
      [{ accessKeyId: "NOBODY" }, /40[34]: \w+ \(.*access key/i],
      [{ region: "eu-west-1" }, /400: AuthorizationHeaderMalformed \(.*"eu-west-1" is wrong/],
      [{ sessionToken: "stale" }, /400: InvalidToken/],
      [{ bucket: "missing" }, /404: NoSuchBucket/],
    ];
    for (const [wrong, says] of cases) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const sent = await putObject(
        storeAt(server, wrong),
        record,
        gzipSync("x"),
        new AbortController().signal,
      );
      assert.ok(typeof sent !== "string", says.source);
      assert.match(sent.failed, says);
      assert.equal(sent.refused, false, says.source);
    }
    assert.deepEqual(server.keys("outputs"), []);
  });

  test("gets each peer's outputs, a big one whole, and what ran while it was down or lacked the bucket", async () => {
    await using cluster = new Cluster();
    await using server = await serverIn(cluster);
    const [ada, bob, cyd] = await cluster.mesh(["ada", "bob", "cyd"], [], envOf(server));
    const everywhere = { target: { count: "all" } };
    await ada.ask("POST", "/v1/jobs", { id: "a.b_c-1", command: "echo on $CICADA_PEER_NAME", ...everywhere });
    await ada.ask("POST", "/v1/jobs", {
      id: "big",
      command: "head -c 12000000 /dev/urandom | base64 -w 100",
      keep: { logBytes: "32MiB" },
    });
    const untilThere = (runs: readonly string[]) =>
      until(`the outputs of ${runs.join(", ")} are there`, limitMs, () =>
        runs.every((run) => server.keys("outputs").includes(keyFor(run))),
      );

    const first = await ran(ada, "a.b_c-1", 3);
    for (const peer of [ada, bob, cyd])
      await untilWarned(
        peer,
        /1 output waits for s3:\/\/outputs\/a prefix \(é\): .* answered 404: NoSuchBucket/,
      );
    server.makeBucket("outputs");
    await untilThere(first);
    const texts = first.map((run) => server.text("outputs", keyFor(run))).toSorted();
    assert.deepEqual(texts, ["on ada\n", "on bob\n", "on cyd\n"]);

    const [big = ""] = await ran(bob, "big");
    await untilThere([big]);
    const whole = await bob.call("GET", `/v1/runs/${encodeURIComponent(big)}/log`);
    assert.ok(whole.text.length > 16_000_000);
    assert.ok(server.text("outputs", keyFor(big)) === whole.text, "as the peer itself shows it");

    await server.stop();
    const meanwhile = await ran(cyd, "a.b_c-1", 3);
    for (const peer of [ada, bob, cyd]) await untilWarned(peer, /waits? for s3:.*ECONNREFUSED/);
    await bob.crash();
    await server.start();
    await bob.restart();
    await untilThere(meanwhile);
    for (const peer of [ada, bob, cyd]) {
      const metrics = (await peer.call("GET", "/metrics")).text;
      assert.match(metrics, /^cicada_archive_lost_total 0/m);
    }
  });

  test("refuses a peer with a wrong secret, which says so, runs on, and sends all of it once it has the right one", async () => {
    await using cluster = new Cluster();
    await using server = await serverIn(cluster);
    server.makeBucket("outputs");
    const env = envOf(server, { AWS_SECRET_ACCESS_KEY: "wrong-secret" });
    const ada = await cluster.start({ name: "ada", env });
    await ada.ask("POST", "/v1/jobs", { id: "talks", command: "echo hello; echo $AWS_SECRET_ACCESS_KEY" });
    const runs = [...(await ran(ada, "talks")), ...(await ran(ada, "talks"))];
    await untilWarned(ada, /2 outputs wait for s3:.* answered 403: SignatureDoesNotMatch/);
    const doctor = await ada.command("doctor");
    assert.match(doctor.stdout + doctor.stderr, /SignatureDoesNotMatch/);
    assert.ok(!ada.started.said.includes("wrong-secret"), "the secret is in no message");
    assert.deepEqual(server.keys("outputs"), []);
    await ada.stop();
    // Its next process gets this environment.
    Object.assign(env, envOf(server));
    await ada.restart();
    await until("both outputs are there", limitMs, () => server.keys("outputs").length === 2);
    for (const run of runs) assert.equal(server.text("outputs", keyFor(run)), "hello\n\n");
  });
});
