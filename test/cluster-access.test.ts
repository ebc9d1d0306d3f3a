/** Access with real peers: tokens count and end at every one of them, and the API is served by https. */
import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { cicada, Cluster, items, root, until } from "./kit/cluster.ts";

const quickMs = 20_000;

test("a token made at one peer counts at the other, and is revoked there; its streams end", async () => {
  await using cluster = new Cluster();
  const a = await cluster.start({ name: "alder" });
  const b = await cluster.start({ name: "birch", join: a });
  const made = await cicada(["token", "create", "ci", "--role", "viewer", "--data", a.data]);
  assert.equal(made.code, 0, made.stderr);
  const token = made.stdout.trim();
  const asking = (url: string) =>
    fetch(`${b.ready.http}${url}`, { headers: { authorization: `Bearer ${token}` } });
  await until("the token counts at birch", quickMs, async () => (await asking("/v1/me")).status === 200);
  const denied = await cicada([
    "jobs",
    "create",
    "x",
    "--command",
    "true",
    "--peer",
    b.ready.http,
    "--token",
    token,
  ]);
  assert.equal(denied.code, 7, denied.stderr);
  const stream = await asking("/v1/events");
  assert.equal(stream.status, 200);
  const ended = stream.text();
  assert.equal((await cicada(["token", "rm", "ci", "--data", a.data])).code, 0);
  await ended;
  await until("the token ends at birch", quickMs, async () => (await asking("/v1/me")).status === 401);
  const audit = await cicada(["audit", "--data", a.data]);
  assert.match(audit.stdout, /revoke-token +token ci/);
  assert.match(audit.stdout, /ci@birch +POST \/v1\/jobs/, "what was asked of the other peer is there, too");
  assert.equal(audit.stderr, "");
  await b.stop();
  await until("alder says that it lacks birch's", quickMs, async () => {
    const alone = await cicada(["audit", "--data", a.data]);
    return /The entries of birch are missing/.test(alone.stderr) && !alone.stdout.includes("ci@birch");
  });
});

test("a run that a killed peer answered is the answer to its repeat elsewhere, and the killed peer's audit has it", async () => {
  await using cluster = new Cluster();
  const a = await cluster.start({ name: "alder" });
  const b = await cluster.start({ name: "birch", join: a });
  const job = { id: "once", command: "true", target: { peers: ["birch"] } };
  assert.equal((await a.call("POST", "/v1/jobs", job)).status, 201);
  await until(
    "birch has the job",
    quickMs,
    async () => (await b.call("GET", "/v1/jobs/once")).status === 200,
  );
  const ask = (peer: typeof a) =>
    peer.call("POST", "/v1/jobs/once/run", {}, { "idempotency-key": "the-only-one" });
  const answered = await ask(a);
  assert.equal(answered.status, 202, answered.text);
  await until("birch has run it", quickMs, async () => {
    const [run] = await items<{ state: string }>(b, "/v1/jobs/once/runs");
    return run?.state === "succeeded";
  });
  await a.crash();
  const repeated = await ask(b);
  assert.equal(repeated.status, 202, repeated.text);
  assert.deepEqual(repeated.text, answered.text);
  assert.equal((await items(b, "/v1/jobs/once/runs")).length, 1);
  await a.restart();
  const audit = await cicada(["audit", "--actor", "admin@alder", "--action", "run-job", "--data", a.data]);
  assert.match(audit.stdout, /admin@alder +run-job +job once +done/);
  const found = await ask(a);
  assert.deepEqual(found.text, answered.text, "and the restarted peer finds the run too");
});

test("a peer with a certificate is called by https, reads it again on SIGHUP, and keeps it when the new one is bad", async () => {
  await using cluster = new Cluster();
  const files = { cert: path.join(cluster.folder, "tls.crt"), key: path.join(cluster.folder, "tls.key") };
  const use = (name: string): void => {
    for (const [to, ending] of [
      [files.cert, "crt"],
      [files.key, "key"],
    ] as const) {
      copyFileSync(path.join(root, "test", "fixtures", "tls", `${name}.${ending}`), to);
    }
  };
  use("one");
  const peer = await cluster.start({
    name: "alder",
    flags: ["--tls-cert", files.cert, "--tls-key", files.key],
  });
  assert.match(peer.ready.http, /^https:/);
  const list = () => cicada(["jobs", "ls", "--data", peer.data]);
  assert.equal((await list()).code, 0);
  use("two");
  assert.equal((await list()).code, 5, "until it is told, it has the certificate from before");
  peer.started.kill("SIGHUP");
  await until("the new certificate is used", quickMs, async () => (await list()).code === 0);
  writeFileSync(files.key, "nonsense");
  peer.started.kill("SIGHUP");
  await until("the bad key is told", quickMs, () => /stay in use/.test(peer.started.said));
  assert.equal((await list()).code, 0);
});

test("an API that isn't on loopback, and half of a certificate, are refused in words", async () => {
  await using cluster = new Cluster();
  const start = (...flags: string[]) =>
    cicada(["start", "--data", path.join(cluster.folder, "x"), "--listen", "0", ...flags]);
  const open = await start("--http", "0.0.0.0:0");
  assert.equal(open.code, 6);
  assert.match(open.stderr, /--tls-cert/);
  const half = await start("--tls-cert", "x.crt");
  assert.match(half.stderr, /--tls-cert needs --tls-key/);
  const missing = await start("--tls-cert", "none.crt", "--tls-key", "none.key");
  assert.match(missing.stderr, /none\.crt: there is no such file/);
  const header = await start("--trust-user-header", "X-User");
  assert.match(header.stderr, /--behind-tls-proxy/);
});
