/**
 * What `cicada service` prints is understood by those who read it: systemd, parsers of YAML, and the programs of
 * containers where they are installed. And a peer says to systemd what the unit promises.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { cicada, freePort, plainEnv, Started, until } from "./kit/cluster.ts";

const folder = mkdtempSync(path.join(tmpdir(), "cicada-service-"));
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));

async function printed(...flags: string[]): Promise<string> {
  const { code, stdout, stderr } = await cicada(["service", ...flags]);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** The program's path if it is installed and works here. */
function works(program: string, ...words: string[]): boolean {
  return spawnSync(program, words, { stdio: "ignore" }).status === 0;
}

describe("the systemd unit", () => {
  const skip = works("systemd-analyze", "--version") ? false : "systemd is not installed";

  test("is understood by systemd without a word, for root and for a user of its own", { skip }, async () => {
    for (const [name, flags] of [
      ["root", []],
      ["joining", ["--join", "/etc/cicada/join"]],
      ["user", ["--user", "daemon", "--join", "/etc/cicada/join"]],
      ["joining-oddly", ["--join", "/etc/my $ci%cada/5% join"]],
      ["user-oddly", ["--user", "daemon", "--join", "/etc/my $ci%cada/5% join"]],
    ] as const) {
      const file = path.join(folder, `cicada-${name}.service`);
      writeFileSync(file, await printed(...flags));
      const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8" });
      assert.deepEqual({ status, said: stdout + stderr }, { status: 0, said: "" }, name);
    }
  });

  test("starts this very program, stops it alone, and watches it", async () => {
    const unit = await printed();
    for (const line of [
      /^KillMode=mixed$/m,
      /^Type=notify$/m,
      /^WatchdogSec=\d+$/m,
      /^StateDirectory=cicada$/m,
    ]) {
      assert.match(unit, line);
    }
    const [, node = "", program = ""] = /^ExecStart=(\S+) (\S+) start$/m.exec(unit) ?? [];
    assert.equal(node, process.execPath);
    assert.ok(existsSync(program), program);
    assert.match(await printed("--user", "daemon"), /^NotifyAccess=all$/m);
  });

  test("what could say something else in the unit is refused", async () => {
    for (const flags of [
      ["--user", "a b"],
      ["--user", "a\nExecStartPre=/bin/true"],
      ["--join", "join"],
      ["--join", "/etc/a\nUser=b"],
      ["--docker", "--k8s"],
      ["--docker", "--user", "daemon"],
      ["--grafana", "--alerts"],
      ["--alerts", "--join", "/etc/cicada/join"],
    ]) {
      assert.equal((await cicada(["service", ...flags])).code, 2, flags.join(" "));
    }
  });
});

interface Compose {
  services: Record<string, { build: { platforms: string[]; dockerfile_inline: string }; command: string[] }>;
}

describe("for containers", () => {
  test("the compose file has three peers, of which the later ones join the first, and an image for amd64 and arm64", async () => {
    const text = await printed("--docker");
    const { services } = parse(text, { merge: true }) as Compose;
    assert.deepEqual(Object.keys(services), ["ada", "bob", "cyd"]);
    const [ada, bob, cyd] = Object.values(services);
    assert.ok(ada !== undefined && bob !== undefined && cyd !== undefined);
    assert.deepEqual(ada.build.platforms, ["linux/amd64", "linux/arm64"]);
    assert.ok(!ada.command.includes("--bootstrap"));
    for (const { command } of [bob, cyd])
      assert.equal(command[command.indexOf("--bootstrap") + 1], "ada:7401");
    const dockerfile = ada.build.dockerfile_inline;
    assert.match(dockerfile, /^FROM node:24-/m);
    assert.match(dockerfile, /^USER \d+:\d+$/m);
    assert.match(dockerfile, /^ENTRYPOINT \["cicada"\]$/m);
    assert.doesNotMatch(dockerfile, /\$/);
  });

  const composes = works("docker", "compose", "version");
  test("docker understands it", { skip: composes ? false : "docker compose is not installed" }, async () => {
    const file = path.join(folder, "compose.yaml");
    writeFileSync(file, await printed("--docker"));
    writeFileSync(path.join(folder, "cluster.key"), "");
    execFileSync("docker", ["compose", "--file", file, "config", "--quiet"]);
  });

  test(
    "kubectl understands it",
    { skip: works("kubectl", "version", "--client") ? false : "kubectl is not installed" },
    async () => {
      const place = path.join(folder, "kustomize");
      mkdirSync(place);
      writeFileSync(path.join(place, "cicada.yaml"), await printed("--k8s"));
      writeFileSync(path.join(place, "kustomization.yaml"), "resources: [cicada.yaml]\n");
      const built = execFileSync("kubectl", ["kustomize", place], { encoding: "utf8" });
      assert.equal(parseAllDocuments(built).length, 4);
    },
  );

  test("the manifest has a stateful set of three, its headless service and its secret, under the names that they use for each other", async () => {
    const documents = parseAllDocuments(await printed("--k8s"));
    assert.deepEqual(
      documents.flatMap(({ errors, warnings }) => [...errors, ...warnings]),
      [],
    );
    const byKind = new Map(documents.map((document) => [String(document.get("kind")), document]));
    const set = byKind.get("StatefulSet");
    const service = byKind.get("Service");
    assert.ok(set !== undefined && service !== undefined);
    assert.equal(set.getIn(["spec", "replicas"]), 3);
    assert.equal(set.getIn(["spec", "serviceName"]), service.getIn(["metadata", "name"]));
    assert.equal(service.getIn(["spec", "clusterIP"]), "None");
    const secret = set.getIn(["spec", "template", "spec", "volumes", 0, "secret", "secretName"]);
    assert.equal(secret, byKind.get("Secret")?.getIn(["metadata", "name"]));
    const pod = ["spec", "template", "spec"];
    assert.equal(set.getIn([...pod, "securityContext", "runAsNonRoot"]), true);
    assert.ok(byKind.has("PodDisruptionBudget"));
  });
});

/** Receives what is sent to a socket as systemd's, which Node can't, and writes each message as one line. */
const receiver = `
use Socket; use IO::Handle; STDOUT->autoflush(1);
socket(my $in, AF_UNIX, SOCK_DGRAM, 0) or die $!; bind($in, pack_sockaddr_un($ARGV[0])) or die $!;
print "open\\n"; while (defined recv($in, my $text, 4096, 0)) { $text =~ tr/\\n/ /; print "$text\\n"; }`;

describe("a peer that systemd has started", () => {
  const skip =
    works("systemd-notify", "--version") && works("perl", "-e", "1")
      ? false
      : "needs systemd-notify and perl";
  let systemd: Started | undefined;
  const socket = path.join(folder, "notify");
  const said = () => systemd?.stdout ?? "";

  before(async () => {
    if (skip !== false) return;
    systemd = new Started("perl", ["-e", receiver, socket], plainEnv());
    await until("the socket is open", 10_000, () => said().includes("open\n"));
  });
  after(() => systemd?.kill("SIGKILL"));

  test(
    "says when it is ready, that it lives, and when it stops; its jobs know nothing of it",
    { skip },
    async () => {
      const data = path.join(folder, "data");
      const flags = [`--data=${data}`, "--http=127.0.0.1:0", `--listen=127.0.0.1:${await freePort()}`];
      const program = path.join(import.meta.dirname, "..", "src", "cicada.mjs");
      const env = plainEnv({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: "600000" });
      const peer = new Started(process.execPath, [program, "start", ...flags], env);
      const heard = (what: RegExp) =>
        until(`${what.source} is said`, 30_000, () => {
          if (peer.hasEnded && !what.test(said())) throw new Error(peer.said);
          return what.test(said());
        });
      await heard(/^READY=1/m);
      await heard(/(WATCHDOG=1\n[^]*){2}/);
      const ask = { CICADA_DATA: data };
      assert.equal((await cicada(["jobs", "create", "env", "--command", "env"], ask)).code, 0);
      assert.equal((await cicada(["jobs", "run", "env", "--wait"], ask)).code, 0);
      const { stdout } = await cicada(["runs", "log", "env"], ask);
      assert.match(stdout, /CICADA_JOB=env/);
      assert.doesNotMatch(stdout, /NOTIFY_SOCKET|WATCHDOG/);
      peer.kill("SIGTERM");
      await heard(/^STOPPING=1/m);
      assert.deepEqual(await peer.ended, { code: 0, signal: null }, peer.said);
      assert.doesNotMatch(peer.said, /systemd can't be told/);
    },
  );

  test("warns once, and carries on, if systemd can't be reached", { skip }, async () => {
    const data = path.join(folder, "unheard");
    const flags = [`--data=${data}`, "--http=127.0.0.1:0", `--listen=127.0.0.1:${await freePort()}`];
    const program = path.join(import.meta.dirname, "..", "src", "cicada.mjs");
    const env = plainEnv({ NOTIFY_SOCKET: path.join(folder, "nobody"), WATCHDOG_USEC: "300000" });
    const peer = new Started(process.execPath, [program, "start", ...flags], env);
    await until("it warns", 30_000, () => /systemd can't be told/.test(peer.said));
    peer.kill("SIGTERM");
    assert.deepEqual(await peer.ended, { code: 0, signal: null }, peer.said);
    assert.equal(peer.said.split("systemd can't be told").length, 2);
  });
});
