/** The API by https: its certificate is replaced while it is open; and people whom a proxy in front of it has logged in. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { linkSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { connect, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { Certificate, isNamed } from "../src/api/http/tls.ts";
import { request as requestByCommand } from "../src/cli/terminal/request.ts";
import { reloadOnSighup } from "../src/cli/start/tls-files.ts";
import type { Log, LogFields } from "../src/ports.ts";
import { accessStage } from "./kit/access-stage.ts";
import { fakeApi, host, token } from "./kit/fake-api.ts";

const pem = (name: string): string => readFileSync(new URL(`fixtures/tls/${name}`, import.meta.url), "utf8");
const [one, two] = ["one", "two"].map((name) => ({ cert: pem(`${name}.crt`), key: pem(`${name}.key`) }));
assert.ok(one !== undefined && two !== undefined);

async function secured(t: TestContext) {
  const certificate = new Certificate(one?.cert ?? "", one?.key ?? "");
  const fake = fakeApi({ certificate, hosts: () => [] });
  await fake.api.listen({ host: "127.0.0.1", port: 0 });
  t.after(() => fake.api.close());
  const { port } = fake.api.server.address() as AddressInfo;
  const ask = async (named: string, ca: string) => {
    const asked = request({
      port,
      host: "127.0.0.1",
      path: "/v1/jobs",
      ca,
      servername: "cron.example",
      headers: { host: named, authorization: `Bearer ${token}`, connection: "close" },
    });
    asked.end();
    const [response] = await once(asked, "response");
    response.resume();
    await once(response, "end");
    return response.statusCode as number;
  };
  return { certificate, port, ask };
}

test("the API answers by https, under the names of its certificate and no other", async (t) => {
  const { port, ask } = await secured(t);
  assert.equal(await ask(`cron.example:${port}`, one?.cert ?? ""), 200);
  assert.equal(await ask("a.wild.example", one?.cert ?? ""), 200);
  assert.equal(await ask("evil.example", one?.cert ?? ""), 403);
  await assert.rejects(ask("cron.example", two?.cert ?? ""), /self-signed|certificate/);
});

test("the command line says that a local peer's file holds another certificate than the peer shows", async (t) => {
  const { port } = await secured(t);
  const address = new URL(`https://127.0.0.1:${port}/livez`);
  assert.equal(
    (await requestByCommand(address, { cert: one?.cert ?? "" })).status,
    403,
    "it is reached, by a name that is not its own",
  );
  for (const cert of [two?.cert ?? "", "nonsense"])
    await assert.rejects(requestByCommand(address, { cert }), /shows another certificate .*`kill -HUP`/);
});

test("a replaced certificate is used from the next connection on; one that can't be used leaves the old one", async (t) => {
  const { certificate, ask } = await secured(t);
  assert.throws(() => certificate.replace("nonsense", one?.key ?? ""), /not a certificate in PEM/);
  assert.throws(() => certificate.replace(one?.cert ?? "", two?.key ?? ""), /does not fit/);
  assert.throws(() => certificate.replace(two?.cert ?? "", "nonsense"), /does not fit|not a key/);
  assert.throws(() => certificate.replace(two?.cert ?? "", ""), /not a key in PEM/);
  assert.equal(await ask("cron.example", one?.cert ?? ""), 200);
  certificate.replace(two?.cert ?? "", two?.key ?? "");
  assert.equal(await ask("cron.example", two?.cert ?? ""), 200);
  await assert.rejects(ask("cron.example", one?.cert ?? ""), /certificate/);
});

test("plain http and old TLS get no answer at the https port, and don't disturb it", async (t) => {
  const { port, ask } = await secured(t);
  const plain = connect(port, "127.0.0.1");
  plain.on("error", () => undefined);
  plain.end(`GET /v1/jobs HTTP/1.1\r\nHost: cron.example\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  let heard = "";
  plain.on("data", (bytes: Buffer) => (heard += bytes.toString("latin1")));
  await once(plain, "close");
  assert.doesNotMatch(heard, /HTTP|items/);
  const old = connectTls({
    port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    maxVersion: "TLSv1.1",
    minVersion: "TLSv1",
  });
  await assert.rejects(once(old, "secureConnect"));
  assert.equal(await ask("cron.example", one?.cert ?? ""), 200);
});

test("a certificate's names are matched part by part", () => {
  const names = ["cron.example", "*.wild.example", "10.0.0.7"];
  for (const good of ["cron.example", "cron.example:8443", "a.wild.example", "10.0.0.7:1"]) {
    assert.ok(isNamed(good, names), good);
  }
  for (const bad of [
    "",
    "xcron.example",
    "cron.example.",
    "wild.example",
    ".wild.example",
    "a.b.wild.example",
    "10.0.0.70",
  ]) {
    assert.ok(!isNamed(bad, names), bad);
  }
});

const trusted = { userHeader: "x-user", roleHeader: "x-role", addresses: ["127.0.0.1"] };
const proxied = { host: "cron.example" };

test("behind a proxy its header names a person, with the role of the other header, else a viewer", async () => {
  const stage = await accessStage({ behindTlsProxy: true, trusted });
  const ask = (headers: Record<string, string>, url = "/v1/me", method: "GET" | "POST" = "GET") =>
    stage.api.inject({ method, url, headers: { ...proxied, ...headers } });
  assert.equal((await ask({ "x-user": "ann@example.com" })).json().role, "viewer");
  const editor = (await ask({ "x-user": "ann", "x-role": "Editor" })).json();
  assert.deepEqual([editor.name, editor.role, editor.token], ["ann", "editor", "user:ann"]);
  for (const headers of [
    { "x-user": "" },
    { "x-user": "a\tb<script>" },
    { "x-user": "ann", "x-role": "root" },
    { "x-role": "admin" },
  ]) {
    assert.equal((await ask(headers)).statusCode, 401, JSON.stringify(headers));
  }
  const { text } = stage.tokenFor("operator");
  const both = await ask({ "x-user": "ann", "x-role": "admin", authorization: `Bearer ${text}` });
  assert.equal(both.json().role, "operator", "a token that is sent along counts");
  const basic = `Basic ${Buffer.from("ann:secret").toString("base64")}`;
  const byPassword = await ask({ "x-user": "ann", "x-role": "editor", authorization: basic });
  assert.equal(byPassword.json().role, "editor", "what the proxy logs people in by is not ours");
  for (const authorization of [`Basic ${text}`, "Bearer", "Bearer wrong", basic]) {
    const named = authorization.startsWith("Bearer") ? { "x-user": "ann" } : { "x-user": "" };
    assert.equal((await ask({ ...named, authorization })).statusCode, 401, authorization);
  }
  const changed = (headers: Record<string, string>) =>
    ask({ "x-user": "ann", "x-role": "operator", ...headers }, "/v1/jobs/in-a/pause", "POST");
  assert.equal(
    (await changed({})).statusCode,
    401,
    "a change comes from the page, or another site could make it",
  );
  assert.equal((await changed({ origin: "https://evil.example" })).statusCode, 403);
  assert.equal((await changed({ origin: "https://cron.example" })).json().paused.by, "ann@alpha");
});

test("the header counts from the proxy's address alone, and not at all where it isn't configured", async () => {
  const stage = await accessStage({ behindTlsProxy: true, trusted: { ...trusted, addresses: ["10.0.0.1"] } });
  const headers = { ...proxied, "x-user": "ann", "x-role": "admin" };
  const refused = await stage.api.inject({ url: "/v1/me", headers });
  assert.equal(refused.statusCode, 401);
  assert.match(refused.json().detail, /only from the proxy's address/);
  const other = await stage.api.inject({ url: "/v1/me", headers, remoteAddress: "10.0.0.1" });
  assert.equal(other.json().role, "admin");
  const plain = await accessStage();
  const ignored = await plain.api.inject({ url: "/v1/me", headers: { ...headers, host } });
  assert.equal(ignored.statusCode, 401);
});

test("on SIGHUP, a certificate's file that has become a pipe is refused at once and the one before stays in use", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "cicada-tls-"));
  const files = { cert: join(folder, "cert"), key: join(folder, "key") };
  writeFileSync(files.key, one?.key ?? "");
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  linkSync(pipe, files.cert);
  // Whoever waits for the pipe's writer gets something else than a certificate in the end.
  const writer = spawn("sh", ["-c", 'echo nonsense > "$1"', "sh", pipe]);
  const writerEnded = once(writer, "exit");
  t.after(async () => {
    writer.kill();
    await writerEnded;
    rmSync(folder, { recursive: true });
  });
  const replaced: string[] = [];
  const reasons: string[] = [];
  const error = (_: string, fields?: LogFields): void => void reasons.push(String(fields?.["reason"]));
  const log: Log = { debug() {}, info() {}, warn() {}, error };
  using _ = reloadOnSighup(files, { replace: (cert) => void replaced.push(cert) }, log);
  process.emit("SIGHUP");
  assert.deepEqual(replaced, []);
  assert.deepEqual(reasons, [`--tls-cert ${files.cert}: it is not a plain file`]);
  rmSync(files.cert);
  writeFileSync(files.cert, one?.cert ?? "");
  process.emit("SIGHUP");
  assert.deepEqual(replaced, [one?.cert]);
});
