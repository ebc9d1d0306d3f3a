/**
 * Finished outputs in an S3-compatible store and at a syslog server: what is sent, in which form, and what becomes of it while
 * they are away.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server as TcpServer, type Socket } from "node:net";
import { describe, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { readArchive, readSyslog, Refusal } from "../src/config/values.ts";
import { AwsV4Signer } from "aws4fetch";
import { ArchiveQueue, type Sent } from "../src/real/archive/queue.ts";
import { keyOf, objectUrl, putObject, s3StoreOf, type S3Store } from "../src/real/archive/s3.ts";
import { messagesOf, Syslog } from "../src/real/archive/syslog.ts";
import type { JobId, PeerId, TickId } from "../src/schema/ids.ts";
import type { RunRecord } from "../src/schema/run.ts";
import { Cluster, items, until, type RunningPeer } from "./kit/cluster.ts";
import { S3Server } from "./kit/s3-server.ts";

const limitMs = 30_000;
const peer = "12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p" as PeerId;

function recordOf(fields: Partial<RunRecord> = {}): RunRecord {
  const tick = "2026-11-20T02:00:00Z" as TickId;
  const at = Date.parse(tick);
  return {
    job: "backup-db" as JobId,
    tick,
    attempt: 1,
    slot: "0",
    peer,
    state: "succeeded",
    version: 3,
    revision: "r",
    trigger: "schedule",
    rank: 0,
    due: at,
    startedAt: at + 5,
    finishedAt: at + 1_500,
    exitCode: 0,
    logBytes: 12,
    view: 1,
    passed: [],
    signature: "",
    ...fields,
  };
}

const store: S3Store = {
  bucket: "backups",
  prefix: "cicada",
  endpoint: new URL("http://127.0.0.1:9000"),
  region: "us-east-1",
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "secret",
  sessionToken: undefined,
};

describe("an object of the archive", () => {
  test("is signed as the vector says that AWS has published for putting an object", async () => {
    // docs.aws.amazon.com, "Signature Calculations for the Authorization Header", example: PUT Object.
    const signer = new AwsV4Signer({
      method: "PUT",
      url: "https://examplebucket.s3.amazonaws.com/test%24file.text",
      headers: {
        date: "Fri, 24 May 2013 00:00:00 GMT",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        "x-amz-content-sha256": "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
      },
      accessKeyId: "AKIAIOSFODNN7EXAMPLE",
      secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
      service: "s3",
      region: "us-east-1",
      datetime: "20130524T000000Z",
    });
    const { headers } = await signer.sign();
    assert.match(
      headers.get("authorization") ?? "",
      /Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd$/,
    );
  });

  test("is named by its run's id in its job's folder, below the prefix if there is one", () => {
    const name = "backup-db/backup-db@2026-11-20T02:00:00Z~1@G1aoDd2p.log".replace(
      "G1aoDd2p",
      peer.slice(-8),
    );
    assert.equal(keyOf(store, recordOf()), `cicada/${name}`);
    assert.equal(keyOf({ bucket: "b", prefix: "" }, recordOf()), name);
    assert.match(keyOf(store, recordOf({ slot: "2", of: 3 })), /#2\.log$/);
  });

  test("has its key percent-encoded, in the path unless the endpoint is AWS's and the bucket has no dots", () => {
    const key = "a b/x@1:2~1#2+(é)";
    const encoded = "a%20b/x%401%3A2~1%232%2B%28%C3%A9%29";
    const cases: readonly [endpoint: string, bucket: string, url: string][] = [
      ["http://127.0.0.1:9000", "b", `http://127.0.0.1:9000/b/${encoded}`],
      ["https://minio.example.org/s3/", "b", `https://minio.example.org/s3/b/${encoded}`],
      ["https://s3.eu-west-1.amazonaws.com", "b", `https://b.s3.eu-west-1.amazonaws.com/${encoded}`],
      ["https://s3.cn-north-1.amazonaws.com.cn", "b", `https://b.s3.cn-north-1.amazonaws.com.cn/${encoded}`],
      ["https://s3.eu-west-1.amazonaws.com", "my.b", `https://s3.eu-west-1.amazonaws.com/my.b/${encoded}`],
      ["https://amazonaws.com.example.org", "b", `https://amazonaws.com.example.org/b/${encoded}`],
    ];
    for (const [endpoint, bucket, url] of cases) {
      assert.equal(objectUrl({ ...store, endpoint: new URL(endpoint), bucket }, key), url);
    }
  });

  test("goes where AWS's variables say; without credentials, or with an invalid endpoint, the start is refused", () => {
    const address = { bucket: "b", prefix: "" };
    const keys = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "key" };
    assert.equal(s3StoreOf(address, keys).endpoint.host, "s3.us-east-1.amazonaws.com");
    const there = { ...keys, AWS_REGION: "eu-west-1", AWS_SESSION_TOKEN: "t" };
    assert.partialDeepStrictEqual(s3StoreOf(address, there), { region: "eu-west-1", sessionToken: "t" });
    const own = { ...there, AWS_ENDPOINT_URL: "http://other", AWS_ENDPOINT_URL_S3: "http://here:9000" };
    assert.equal(s3StoreOf(address, own).endpoint.host, "here:9000");
    assert.throws(() => s3StoreOf(address, { AWS_ACCESS_KEY_ID: "id" }), /AWS_SECRET_ACCESS_KEY/);
    assert.throws(() => s3StoreOf(address, { ...keys, AWS_ENDPOINT_URL: "ftp://x" }), /AWS_ENDPOINT_URL/);
  });
});

test("an output waits while the store refuses the peer or the request, and is given up only where the store refuses that object", async () => {
  const keys = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "right" };
  await using s3 = await S3Server.listen(keys);
  const at = { ...store, ...keys, endpoint: new URL(s3.url) };
  const cases: readonly [status: number, code: string, refused: boolean][] = [
    [400, "EntityTooLarge", true],
    [400, "KeyTooLongError", true],
    [413, "", true],
    [400, "ExpiredToken", false],
    [400, "InvalidToken", false],
    [400, "AuthorizationHeaderMalformed", false],
    [400, "RequestTimeout", false],
    [400, "XAmzContentSHA256Mismatch", false],
    [403, "SignatureDoesNotMatch", false],
    [404, "NoSuchBucket", false],
    [405, "", false],
    [503, "SlowDown", false],
  ];
  for (const [status, code, refused] of cases) {
    s3.refuses = { status, code };
    // oxlint-disable-next-line no-await-in-loop -- the server answers one after the other
    const sent = await putObject(at, recordOf(), gzipSync("x"), new AbortController().signal);
    assert.ok(typeof sent !== "string");
    assert.equal(sent.refused, refused, `${status} ${code}`);
    assert.match(
      sent.failed,
      new RegExp(`answered ${status}${code === "" ? "" : `: ${code} [(]the "key" & no[)]`}`),
    );
  }
});

test("an address that is no archive or syslog server is refused with what would be right", () => {
  assert.deepEqual(readArchive("s3://backups"), { bucket: "backups", prefix: "" });
  assert.deepEqual(readArchive("s3://backups/cicada/prod/"), { bucket: "backups", prefix: "cicada/prod" });
  for (const text of [
    "backups",
    "https://x/y",
    "s3://B/x",
    "s3://bb",
    "s3://bkt/a//b",
    "s3://bkt/../x",
    "s3://bkt/a\n",
  ]) {
    assert.ok(readArchive(text) instanceof Refusal, text);
  }
  assert.deepEqual(readSyslog("logs.example.org"), { tls: false, host: "logs.example.org", port: 601 });
  assert.deepEqual(readSyslog("tls://[::1]"), { tls: true, host: "::1", port: 6_514 });
  assert.deepEqual(readSyslog("tcp://h:1514"), { tls: false, host: "h", port: 1_514 });
  for (const text of ["udp://h:514", "h:0", "h:70000", "tcp://", "h:514/x"]) {
    assert.ok(readSyslog(text) instanceof Refusal, text);
  }
});

/** A queue whose destination and clock the test moves. */
class QueueStage {
  mono = 0;
  wall = 1_000_000;
  readonly tried: RunRecord[] = [];
  readonly lost: string[] = [];
  #alarms: { at: number; ring: () => void }[] = [];
  #open: ((sent: Sent) => void)[] = [];
  readonly queue: ArchiveQueue;

  constructor(atOnce = 2) {
    this.queue = new ArchiveQueue({
      clock: {
        now: () => ({ mono: this.mono, wall: this.wall }),
        alarm: (at, ring) => {
          const alarm = { at, ring };
          this.#alarms.push(alarm);
          return () => void (this.#alarms = this.#alarms.filter((one) => one !== alarm));
        },
      },
      atOnce,
      send: (record) => {
        this.tried.push(record);
        return new Promise((done) => this.#open.push(done));
      },
      lost: (record, why) => void this.lost.push(`${record.attempt}: ${why}`),
    });
  }

  add(count: number): void {
    for (let attempt = 1; attempt <= count; attempt++) {
      this.queue.add(recordOf({ attempt, finishedAt: this.wall + attempt }));
    }
  }

  /** All tries that are under way end like that. */
  async end(sent: Sent): Promise<void> {
    for (const done of this.#open.splice(0)) done(sent);
    await new Promise((done) => setImmediate(done));
  }

  pass(ms: number): void {
    this.mono += ms;
    this.wall += ms;
    const due = this.#alarms.filter(({ at }) => at <= this.mono);
    this.#alarms = this.#alarms.filter(({ at }) => at > this.mono);
    for (const { ring } of due) ring();
  }
}

const down: Sent = { failed: "connection refused", refused: false };

describe("outputs that wait for a destination", () => {
  test("are sent a limited number at a time", async () => {
    const stage = new QueueStage(2);
    stage.add(5);
    assert.equal(stage.tried.length, 2);
    await stage.end("sent");
    assert.equal(stage.tried.length, 4);
    await stage.end("sent");
    await stage.end("sent");
    assert.deepEqual([stage.queue.sent, stage.queue.waiting, stage.queue.oldestEnd], [5, 0, undefined]);
  });

  test("are tried again, one at a time and with growing pauses, while it fails, and it says why", async () => {
    const stage = new QueueStage(2);
    stage.add(3);
    await stage.end(down);
    assert.equal(stage.queue.failure, "connection refused");
    const pauses: number[] = [];
    for (let failures = 0; failures < 10; failures++) {
      const tried = stage.tried.length;
      let waited = 0;
      while (stage.tried.length === tried) {
        stage.pass(1_000);
        waited += 1_000;
      }
      pauses.push(waited);
      assert.equal(stage.tried.length, tried + 1);
      // oxlint-disable-next-line no-await-in-loop -- one try after the other
      await stage.end(down);
    }
    assert.deepEqual(pauses.slice(0, 4), [2_000, 4_000, 8_000, 16_000]);
    assert.equal(pauses.at(-1), 300_000);
    stage.pass(300_000);
    await stage.end("sent");
    await stage.end("sent");
    assert.deepEqual([stage.queue.failure, stage.queue.sent, stage.queue.losses], [undefined, 3, 0]);
  });

  test("are lost, counted and named when they were refused, tried for a day, or too many", async () => {
    const stage = new QueueStage(1);
    stage.add(1);
    await stage.end({ failed: "EntityTooLarge", refused: true });
    assert.deepEqual(stage.lost, ["1: EntityTooLarge"]);
    assert.equal(stage.queue.failure, undefined, "the next one may be taken");
    stage.add(1);
    stage.pass(86_400_001);
    await stage.end(down);
    assert.deepEqual(stage.lost.slice(1), ["1: connection refused"]);
    stage.add(10_002);
    assert.equal(stage.queue.losses, 4);
    assert.match(stage.lost.at(-1) ?? "", /more than 10000 outputs wait/);
  });
});

function messages(record: RunRecord, output: string | Uint8Array, host = "ada"): string[] {
  return [...messagesOf(record, Buffer.from(output), host)].map((message) => {
    const text = message.toString();
    const [, length = "", rest = ""] = /^(\d+) (.*)$/s.exec(text) ?? [];
    assert.equal(Buffer.byteLength(rest), Number(length), "the length counts the message's bytes");
    return rest;
  });
}

describe("a syslog message", () => {
  test("is one line of the output with the run's names; the last one tells how the run ended", () => {
    const [one, two, end, ...more] = messages(recordOf(), "first\r\nsecond é\n\n");
    const run = `backup-db@2026-11-20T02:00:00Z~1@${peer.slice(-8)}`;
    const named = `[cicada@32473 run="${run}" tick="2026-11-20T02:00:00Z"`;
    assert.equal(one, `<78>1 2026-11-20T02:00:01.500Z ada backup-db ${run} output ${named}] first`);
    assert.match(two ?? "", /output .*\] second é$/);
    assert.equal(
      end,
      `<77>1 2026-11-20T02:00:01.500Z ada backup-db ${run} end ${named} state="succeeded" exitCode="0"] ${run} succeeded`,
    );
    assert.deepEqual(more, []);
  });

  test("is an error's if the run went wrong, and says why and that its output was cut", () => {
    const record = recordOf({ state: "failed", exitCode: 2, reason: 'exit "2"', logTruncated: true });
    const [end] = messages(record, "");
    assert.match(
      end ?? "",
      /^<75>1 .* state="failed" exitCode="2"\] .* failed: exit "2"; its output was cut$/,
    );
  });

  test("has fields that are cut to their limits, and no character that belongs to the frame", () => {
    const record = recordOf({ job: "j".repeat(128) as JobId });
    const [line] = messages(record, "x", `${"h".repeat(300)} é`);
    const [, , host, app, process] = (line ?? "").split(" ");
    assert.deepEqual([host?.length, app?.length, process?.length], [255, 48, 128]);
    const [bare] = messages(recordOf(), "x", "é");
    assert.equal((bare ?? "").split(" ")[2], "-");
  });

  test("holds no control characters, and a line that is too long is cut between two characters", () => {
    const [escapes] = messages(recordOf(), "a\u001b[31mb\u0007\tc\n");
    assert.match(escapes ?? "", /\] a \[31mb \tc$/);
    const [long] = messages(recordOf(), `${"é".repeat(5_000)}\n`);
    assert.match(long ?? "", /\] é+…$/);
    assert.ok(Buffer.byteLength(long ?? "") < 8_192);
  });
});

async function tcpServer(onSocket: (socket: Socket) => void): Promise<{ server: TcpServer; port: number }> {
  const server = createServer(onSocket).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 };
}

test("after its connection has ended, a server gets the next output on a new one; a server that is away fails with its address", async () => {
  let got = "";
  const sockets: Socket[] = [];
  const { server, port } = await tcpServer((socket) => {
    sockets.push(socket);
    socket.on("data", (bytes) => (got += bytes.toString()));
  });
  const syslog = new Syslog({ tls: false, host: "127.0.0.1", port }, "ada");
  try {
    assert.equal(await syslog.send(recordOf(), Buffer.from("one\n")), "sent");
    await until("the first line is there", limitMs, () => /\] one/.test(got));
    sockets[0]?.destroy();
    await until("the second line is there", limitMs, async () => {
      await syslog.send(recordOf(), Buffer.from("two\n"));
      return /\] two/.test(got);
    });
    assert.equal(sockets.length, 2);
  } finally {
    syslog.close();
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  }
  const sent = await syslog.send(recordOf(), Buffer.from("three\n"));
  assert.ok(typeof sent !== "string" && !sent.refused);
  assert.match(sent.failed, new RegExp(`127.0.0.1:${port}: .*ECONNREFUSED`));
});

interface Run {
  id: string;
  state: string;
}

async function ran(at: RunningPeer, job: string): Promise<string> {
  const answer = (await at.ask("POST", `/v1/jobs/${job}/run`, {})) as { tick: string };
  return until(`${job} has run`, limitMs, async () => {
    const runs = await items<Run>(at, `/v1/jobs/${job}/runs`);
    return runs.find(
      ({ id, state }) => id.includes(answer.tick) && state !== "claimed" && state !== "running",
    )?.id;
  });
}

function keyFor(run: string): string {
  return `outputs/cicada/talks/${run}.log`;
}

test("a peer copies its outputs to an S3 store that checks signatures; what ran while it was away is sent later, also by the next process", async () => {
  await using cluster = new Cluster();
  const keys = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG" };
  await using s3 = await S3Server.listen(keys);
  const env = {
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_ENDPOINT_URL: s3.url,
    CICADA_ARCHIVE: "s3://outputs/cicada",
  };
  const ada = await cluster.start({ name: "ada", env });
  await ada.ask("POST", "/v1/jobs", { id: "talks", command: "echo hello; echo $AWS_SECRET_ACCESS_KEY" });
  await ada.ask("POST", "/v1/jobs", { id: "silent", command: "true" });
  const first = await ran(ada, "talks");
  const object = await until("the output is there", limitMs, () => s3.objects.get(keyFor(first)));
  assert.equal(
    gunzipSync(object.body).toString(),
    "hello\n\n",
    "and the job has not seen the peer's credentials",
  );
  assert.equal(object.headers["x-amz-meta-cicada-state"], "succeeded");
  await ran(ada, "silent");

  s3.refuses = { status: 503, code: "SlowDown" };
  const second = await ran(ada, "talks");
  await until("its failure is a warning", limitMs, async () => {
    const { warnings } = (await ada.call("GET", "/readyz?verbose")).body as { warnings: string[] };
    return warnings.some((text) =>
      /1 output waits for s3:\/\/outputs\/cicada: .* answered 503: SlowDown/.test(text),
    );
  });
  await ada.crash();
  s3.refuses = undefined;
  await ada.restart();
  await until("the next process has sent it", limitMs, () => s3.objects.has(keyFor(second)));
  assert.equal(s3.badSignatures, 0);
  assert.deepEqual(
    [...s3.objects.keys()].filter((key) => key.includes("silent")),
    [],
  );
  const metrics = (await ada.call("GET", "/metrics")).text;
  assert.match(metrics, /^cicada_archive_sent_total [1-9]/m);
  assert.match(metrics, /^cicada_archive_lost_total 0/m);
});

test("a store with other credentials refuses, and the peer says so and runs on", async () => {
  await using cluster = new Cluster();
  await using s3 = await S3Server.listen({ accessKeyId: "AKIDEXAMPLE", secretAccessKey: "right" });
  const env = { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "wrong", AWS_ENDPOINT_URL: s3.url };
  const ada = await cluster.start({ name: "ada", env, flags: ["--archive", "s3://outputs"] });
  await ada.ask("POST", "/v1/jobs", { id: "talks", command: "echo hello" });
  await ran(ada, "talks");
  await until("the refusal is a warning", limitMs, async () => {
    const { ready, warnings } = (await ada.call("GET", "/readyz?verbose")).body as {
      ready: boolean;
      warnings: string[];
    };
    return ready && warnings.some((text) => /answered 403: SignatureDoesNotMatch/.test(text));
  });
  await ran(ada, "talks");
  assert.equal(s3.objects.size, 0);
});
