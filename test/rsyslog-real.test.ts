/** A peer's outputs as rsyslog takes them in, over TCP and over TLS. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { hostname } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { Cluster, freePort, items, plainEnv, Started, until } from "./kit/cluster.ts";

const limitMs = 30_000;

/** Starts rsyslogd, which writes what it understood of each message into a file: one field a column. */
async function startRsyslog(folder: string, port: number, more: readonly string[]): Promise<Started> {
  mkdirSync(folder, { recursive: true });
  const columns = ["pri", "hostname", "app-name", "procid", "msgid", "structured-data", "msg"];
  const config = path.join(folder, "rsyslog.conf");
  const parts = columns.map((name) => `property(name="${name}") constant(value="|")`);
  writeFileSync(
    config,
    `module(load="imtcp")
global(workDirectory="${folder}" ${more[0] ?? ""})
template(name="columns" type="list") { ${parts.join(" ")} constant(value="\\n") }
input(type="imtcp" port="${port}" address="127.0.0.1" ${more[1] ?? ""})
action(type="omfile" file="${path.join(folder, "got")}" template="columns")
`,
  );
  const started = new Started(
    "rsyslogd",
    ["-n", "-f", config, "-i", path.join(folder, "pid"), "-C"],
    plainEnv(),
  );
  await until("rsyslog listens", limitMs, () => {
    assert.ok(!started.hasEnded, started.said);
    return isListening(port);
  });
  return started;
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function sendsTo(
  cluster: Cluster,
  folder: string,
  address: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const ada = await cluster.start({ name: "ada", flags: ["--syslog", address], env });
  await ada.ask("POST", "/v1/jobs", { id: "talks", command: String.raw`printf 'one\ntwo | 2\n'; exit 3` });
  await ada.ask("POST", "/v1/jobs/talks/run", {});
  const lines = await until("rsyslog has all three messages", limitMs, () => {
    const all = read(path.join(folder, "got"))
      .split("\n")
      .filter((line) => line.includes("|talks|"));
    return all.length >= 3 && all;
  });
  const [run] = await items<{ id: string }>(ada, "/v1/jobs/talks/runs");
  assert.ok(run);
  const named = `[cicada@32473 run="${run.id}" tick="${run.id.split("@")[1]?.split("~")[0]}"`;
  assert.deepEqual(lines, [
    `78|${hostname()}|talks|${run.id}|output|${named}]|one|`,
    `78|${hostname()}|talks|${run.id}|output|${named}]|two | 2|`,
    `75|${hostname()}|talks|${run.id}|end|${named} state="failed" exitCode="3"]|${run.id} failed|`,
  ]);
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

test("rsyslog takes in each line of an output and the end of its run, over TCP", async () => {
  await using cluster = new Cluster();
  const folder = path.join(cluster.folder, "rsyslog");
  const port = await freePort();
  const rsyslog = await startRsyslog(folder, port, []);
  try {
    await sendsTo(cluster, folder, `tcp://127.0.0.1:${port}`, {});
  } finally {
    rsyslog.kill("SIGTERM");
    await rsyslog.ended;
  }
});

test("and over TLS, if its certificate is trusted; with one that is not, nothing is sent, and the peer says so", async () => {
  await using cluster = new Cluster();
  const folder = path.join(cluster.folder, "rsyslog");
  mkdirSync(folder, { recursive: true });
  const [key, certificate] = [path.join(folder, "key.pem"), path.join(folder, "cert.pem")];
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=rsyslog";
  execFileSync(
    "openssl",
    [...request.split(" "), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
    { stdio: "ignore" },
  );
  const port = await freePort();
  const rsyslog = await startRsyslog(folder, port, [
    `defaultNetstreamDriverCAFile="${certificate}" defaultNetstreamDriverCertFile="${certificate}" defaultNetstreamDriverKeyFile="${key}"`,
    `streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon"`,
  ]);
  try {
    const address = `tls://127.0.0.1:${port}`;
    const eve = await cluster.start({ name: "eve", flags: ["--syslog", address] });
    await eve.ask("POST", "/v1/jobs", { id: "talks", command: "echo secret" });
    await eve.ask("POST", "/v1/jobs/talks/run", {});
    await until("the certificate is refused", limitMs, async () => {
      const { warnings } = (await eve.call("GET", "/readyz?verbose")).body as { warnings: string[] };
      return warnings.some((text) => /1 output waits for tls:.*self-signed certificate/.test(text));
    });
    await eve.stop();
    assert.equal(read(path.join(folder, "got")).includes("secret"), false);
    await sendsTo(cluster, folder, address, { NODE_EXTRA_CA_CERTS: certificate });
  } finally {
    rsyslog.kill("SIGTERM");
    await rsyslog.ended;
  }
});
