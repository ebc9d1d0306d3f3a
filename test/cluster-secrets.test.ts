/**
 * Three real peers and a secret that only one of them has, or that is sealed to some: judged by what the jobs received, and by
 * what every way out of the mesh shows.
 */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import { hash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Cluster, items, until, type RunningPeer } from "./kit/cluster.ts";

interface Run {
  id: string;
  state: string;
  reason: string | null;
  peerName: string;
  outputs: Record<string, string> | null;
}

const value = 'pa ss/wörd+"1"';
const newest = "a newer value";

/** Succeeds if $SHARED is that text, which the command doesn't contain. */
function is(text: string): string {
  const sum = hash("sha256", text);
  return `test "$(printf %s "$SHARED" | sha256sum | cut -d ' ' -f 1)" = ${sum}`;
}

async function ended(peer: RunningPeer, job: string, count = 1): Promise<Run[]> {
  return until(`${job} has ended`, 40_000, async () => {
    const runs = (await items<Run>(peer, `/v1/jobs/${job}/runs`)).filter(
      ({ state }) => state !== "claimed" && state !== "running",
    );
    return runs.length >= count && runs;
  });
}

async function output(peer: RunningPeer, run: Run): Promise<string> {
  return (await peer.call("GET", `/v1/runs/${encodeURIComponent(run.id)}/log`)).text;
}

/** All that a peer keeps, apart from the values themselves. */
function keptBy({ data }: RunningPeer): string {
  return readdirSync(data, { recursive: true, encoding: "utf8" })
    .filter((name) => !name.startsWith("secrets/") && statSync(path.join(data, name)).isFile())
    .map((name) => readFileSync(path.join(data, name), "latin1"))
    .join("\n");
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

describe("secrets on three real peers", () => {
  let cluster: Cluster;
  let peers: RunningPeer[] = [];
  let ada: RunningPeer;
  let bob: RunningPeer;
  let cyd: RunningPeer;

  before(async () => {
    cluster = new Cluster();
    peers = await cluster.mesh(["ada", "bob", "cyd"]);
    const [first, second, third] = peers;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    [ada, bob, cyd] = [first, second, third];
  });
  after(() => cluster[Symbol.asyncDispose]());

  const setFrom = async (peer: RunningPeer, name: string, text: string, ...flags: string[]) => {
    const file = path.join(cluster.folder, `${name}.value`);
    writeFileSync(file, text);
    return peer.command("secrets", "set", name, "--file", file, ...flags);
  };

  test("a job that no peer can run says so when it is written, and is blocked", async () => {
    const job = { id: "early", schedule: "@every 5s", command: "echo $DEPLOY_KEY", secrets: ["DEPLOY_KEY"] };
    const made = (await bob.ask("POST", "/v1/jobs", job)) as { warnings: string[]; state: string };
    assert.match(
      made.warnings.join("\n"),
      /no peer can run it now: .*the newest value of the secret DEPLOY_KEY/,
    );
    assert.equal(made.state, "blocked");
    await ada.ask("DELETE", "/v1/jobs/early");
  });

  test("only the peer that has the value runs the job, and no way out shows it", async () => {
    const set = await setFrom(bob, "DEPLOY_KEY", `${value}\n`);
    assert.equal(set.code, 0, set.stderr);
    assert.match(set.stdout, /bob has it/);
    assert.equal(statSync(path.join(bob.data, "secrets", "DEPLOY_KEY")).mode & 0o777, 0o600);
    const proof = path.join(cluster.folder, "proof");
    const script = `
      printf %s "$DEPLOY_KEY" > ${proof}.$CICADA_PEER_NAME
      echo "plain $DEPLOY_KEY and more"
      printf 'split '; printf %s "$DEPLOY_KEY" | head -c 7; sleep 0.3; printf %s "$DEPLOY_KEY" | tail -c +8; echo
      printf %s "user:$DEPLOY_KEY" | base64
      ${process.execPath} -p 'JSON.stringify({ k: process.env.DEPLOY_KEY })'
      ${process.execPath} -p '"url " + encodeURIComponent(process.env.DEPLOY_KEY)'
      echo "KEY=$DEPLOY_KEY" >> $CICADA_OUTPUT
      echo "to stderr: $DEPLOY_KEY" >&2`;
    await ada.ask("POST", "/v1/jobs", {
      id: "deploy",
      schedule: "@every 3s",
      command: script,
      secrets: ["DEPLOY_KEY"],
      precheck: { command: 'test -n "$DEPLOY_KEY" && echo "checked $DEPLOY_KEY"' },
    });
    const runs = await ended(cyd, "deploy", 4);
    assert.deepEqual(
      [...new Set(runs.map(({ peerName, state }) => `${peerName} ${state}`))],
      ["bob succeeded"],
    );
    assert.equal(readFileSync(`${proof}.bob`, "utf8"), value, "the run itself has it");
    const [run] = runs;
    assert.ok(run !== undefined);
    const shown = await output(ada, run);
    assert.match(
      shown,
      /^plain \*\*\* and more\nsplit \*\*\*\ndXNlcj\S*\*\*\*\S*\n\{"k":"\*\*\*"\}\nurl \*\*\*\nto stderr: \*\*\*\n$/,
    );
    assert.deepEqual(run.outputs, { KEY: "***" });
    for (const peer of peers) {
      const kept = keptBy(peer);
      for (const form of [value, encodeURIComponent(value), Buffer.from(value).toString("base64")]) {
        assert.ok(!kept.includes(Buffer.from(form).toString("latin1")), `${peer.name} keeps no ${form}`);
      }
      assert.ok(!peer.started.said.includes(value));
    }
    for (const url of [
      "/v1/secrets",
      "/v1/secrets/DEPLOY_KEY",
      "/v1/jobs/deploy",
      "/v1/jobs/deploy/history",
    ]) {
      assert.ok(!(await bob.call("GET", url)).text.includes("ss/w"));
    }
    await ada.ask("DELETE", "/v1/jobs/deploy");
  });

  test("a precheck and a program that can't be started show no value, either", async () => {
    const base = { secrets: ["DEPLOY_KEY"] };
    await ada.ask("POST", "/v1/jobs", {
      ...base,
      id: "checked",
      command: "true",
      precheck: { command: 'echo "no: $DEPLOY_KEY"; exit 3' },
    });
    await ada.ask("POST", "/v1/jobs/checked/run", {});
    const [run] = await ended(bob, "checked");
    assert.ok(run !== undefined);
    assert.deepEqual([run.state, run.reason, run.peerName], ["skipped", "precheck", "bob"]);
    assert.equal(await output(cyd, run), "no: ***\n");
    const refused = await ada.call("POST", "/v1/jobs/checked/run", { env: { DEPLOY_KEY: "mine" } });
    assert.equal(refused.status, 422);
    assert.match(refused.text, /it is a secret of the job/);
    const short = await ada.call("PUT", "/v1/secrets/SHORT", { value: "abc" });
    assert.equal(short.status, 422);
    assert.match(short.text, /"detail":"\/value: a value has at least 6 characters/);
  });

  test("a value that is sealed to two peers is run by both, and by neither after a newer one for the third", async () => {
    const set = await setFrom(ada, "SHARED", value, "--peers", "ada,cyd");
    assert.equal(set.code, 0, set.stderr);
    await bob.ask("POST", "/v1/jobs", {
      id: "shared",
      schedule: "@every 2s",
      command: is(value),
      secrets: ["SHARED"],
    });
    const both = await until("both have run it", 60_000, async () => {
      const runs = await items<Run>(bob, "/v1/jobs/shared/runs");
      const done = runs.filter(({ state }) => state === "succeeded");
      return new Set(done.map(({ peerName }) => peerName)).size >= 2 && done;
    });
    assert.deepEqual(
      both.map(({ peerName }) => peerName).filter((name) => name === "bob"),
      [],
    );
    for (const peer of peers)
      assert.ok(!keptBy(peer).includes("ss/w"), `${peer.name} keeps nothing in clear`);
    await ada.ask("PATCH", "/v1/jobs/shared", { command: is(newest) });
    const newer = await setFrom(ada, "SHARED", newest, "--peers", "bob");
    assert.equal(newer.code, 0, newer.stderr);
    const since = Date.now() + 3_000;
    const later = await until("bob has run it", 60_000, async () => {
      const runs = await items<Run & { startedAt: string }>(cyd, "/v1/jobs/shared/runs");
      const done = runs.filter(
        ({ state, startedAt }) => state === "succeeded" && Date.parse(startedAt) > since,
      );
      return done.length >= 3 && done;
    });
    assert.deepEqual([...new Set(later.map(({ peerName }) => peerName))], ["bob"]);
    const listed = await cyd.command("secrets", "ls");
    assert.match(listed.stdout, /SHARED +bob +ada, cyd|SHARED +bob +cyd, ada/);
    await ada.ask("DELETE", "/v1/jobs/shared");
  });

  test("a sealed value is still there after a restart, and removed everywhere by rm", async () => {
    await bob.crash();
    await bob.restart();
    await ada.ask("POST", "/v1/jobs", {
      id: "again",
      command: is(newest),
      secrets: ["SHARED"],
    });
    const run = await until("it runs by hand", 40_000, async () => {
      const reply = await ada.call("POST", "/v1/jobs/again/run", {});
      return reply.status === 202 && ended(ada, "again");
    });
    assert.deepEqual([run[0]?.state, run[0]?.peerName], ["succeeded", "bob"]);
    assert.equal((await cyd.command("secrets", "rm", "SHARED")).code, 0);
    await until("bob has it no longer", 20_000, async () => {
      const job = (await bob.ask("GET", "/v1/jobs/again")) as { state: string };
      return job.state === "blocked";
    });
  });

  test("a request has the value where its job says; its answer is masked, and it goes to no other origin", async () => {
    const heard: { url: string; auth: string; body: string }[] = [];
    const other = createServer((request, response) => {
      heard.push({ url: `other ${request.url ?? ""}`, auth: JSON.stringify(request.headers), body: "" });
      response.end("other");
    }).listen(0, "127.0.0.1");
    const server = createServer((request, response) => {
      void bodyOf(request).then((body) => {
        const { url = "", headers } = request;
        heard.push({ url, auth: headers.authorization ?? "", body });
        if (url.startsWith("/go")) {
          const location = `http://127.0.0.1:${(other.address() as AddressInfo).port}/${url.slice(4)}`;
          return response.writeHead(302, { location }).end();
        }
        return response.end(`you sent ${headers.authorization ?? ""} ${body} ${url}`);
      });
    }).listen(0, "127.0.0.1");
    await Promise.all([once(server, "listening"), once(other, "listening")]);
    try {
      const token = "tok-123456 ü";
      assert.equal((await setFrom(ada, "TOKEN", token)).code, 0);
      const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const http = {
        method: "POST",
        url: `${base}/x?k=\${secrets.TOKEN}`,
        headers: { Authorization: "Bearer ${secrets.TOKEN}" },
        body: '{"k":"${secrets.TOKEN}"}',
      };
      await bob.ask("POST", "/v1/jobs", { id: "call", http, secrets: ["TOKEN"] });
      await bob.ask("POST", "/v1/jobs/call/run", {});
      const [run] = await ended(bob, "call");
      assert.ok(run !== undefined);
      assert.deepEqual([run.state, run.peerName], ["succeeded", "ada"]);
      assert.deepEqual(heard, [
        {
          url: `/x?k=${encodeURIComponent(token)}`,
          auth: `Bearer ${token}`,
          body: `{"k":"${token}"}`,
        },
      ]);
      const shown = await output(cyd, run);
      assert.match(
        shown,
        /\n\nyou sent \S* ?\*\*\* \{"k":"\*\*\*"\} \/x\?k=\*\*\*$|\n\nyou sent .*\{"k":"\*\*\*"\} \/x\?k=\*\*\*$/,
      );
      assert.ok(!shown.includes("123456"));
      const { body: _, method: __, ...plain } = http;
      const go = {
        ...plain,
        url: `${base}/go?\${secrets.TOKEN}`,
        followRedirects: true,
        headers: { "User-Agent": "${secrets.TOKEN}" },
      };
      await bob.ask("POST", "/v1/jobs", { id: "go", http: go, secrets: ["TOKEN"] });
      await bob.ask("POST", "/v1/jobs/go/run", {});
      const [away] = await ended(bob, "go");
      assert.equal(away?.state, "failed");
      assert.match(away.reason ?? "", /redirect: a secret is not sent to another origin/);
      assert.ok(!heard.some(({ url }) => url.startsWith("other")));
    } finally {
      server.close();
      other.close();
    }
  });
});
