/**
 * How a peer starts and stops, as a person or a supervisor sees it: real processes, their exit codes, their messages,
 * and what they leave behind.
 */
import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import {
  Cluster,
  freePort,
  items,
  plainEnv,
  readReadyFile,
  Started,
  until,
  untilMembers,
  type PeerItem,
  type RunningPeer,
} from "./kit/cluster.ts";

const stopLimitMs = 20_000;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function childrenOf(pid: number): number[] {
  const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
  assert.ok(pids.length > 0 && pids.every((child) => child > 0), "the peer has a launcher");
  return pids;
}

function mode(file: string): string {
  return (statSync(file).mode & 0o777).toString(8);
}

function joinStringIn(text: string): string {
  return /cicada-join-1:\S+/.exec(text)?.[0] ?? assert.fail(text);
}

/** The arguments of every process on this machine, which any user can read; those of a peer are among them. */
function processList(): string[] {
  const shown = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return ""; // It has ended meanwhile.
      }
    });
  assert.ok(
    shown.some((one) => one.includes("cicada") && one.includes("start")),
    "no peer is in the list",
  );
  return shown;
}

/** Starts a job that never ends by itself, and returns the pid of its process. */
async function startEndlessJob(peer: RunningPeer, folder: string): Promise<number> {
  const file = path.join(folder, `${peer.name}.pid`);
  await peer.ask("POST", "/v1/jobs", { id: "endless", command: `echo $$ > ${file}; exec sleep 3600` });
  await peer.ask("POST", "/v1/jobs/endless/run", {});
  return until("the job has started", 10_000, () => existsSync(file) && Number(readFileSync(file, "utf8")));
}

describe("a peer by itself", () => {
  let cluster: Cluster;
  before(() => (cluster = new Cluster()));
  after(() => cluster[Symbol.asyncDispose]());

  test("the first start makes everything that is needed, readable only by its owner", async () => {
    const peer = await cluster.start({ name: "alone" });
    const { ready } = peer;
    assert.equal(ready.name, "alone");
    assert.match(ready.http, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.match(peer.address, new RegExp(`/tcp/\\d+/p2p/${ready.peerId}$`));
    assert.equal(mode(peer.data), "700");
    assert.equal(mode(peer.keyFile), "600");
    assert.equal(mode(ready.tokenFile), "600");
    assert.equal((await peer.call("GET", "/livez")).status, 200);
    assert.equal((await peer.call("GET", "/readyz")).status, 200);
  });

  test("a peer runs with the settings of V8 and of malloc by which it stays small", async () => {
    const peer = await cluster.start({ name: "small" });
    const given = readFileSync(`/proc/${peer.started.pid}/cmdline`, "utf8").split("\0");
    for (const flag of [
      "--max-semi-space-size=16",
      "--heap-growing-percent=300",
      "--v8-pool-size=1",
      "--expose-gc",
    ])
      assert.ok(given.includes(flag), `${flag}: ${given.join(" ")}`);
    const environment = readFileSync(`/proc/${peer.started.pid}/environ`, "utf8").split("\0");
    for (const setting of ["MALLOC_ARENA_MAX=1", "MALLOC_MMAP_THRESHOLD_=32768"])
      assert.ok(environment.includes(setting), setting);
  });

  test("SIGUSR1 opens no debugger in the peer or its launcher, and both keep running", async () => {
    const peer = await cluster.start({ name: "signalled" });
    for (const pid of [peer.started.pid, ...childrenOf(peer.started.pid)]) process.kill(pid, "SIGUSR1");
    await peer.ask("POST", "/v1/jobs", { id: "after", command: "true" });
    const { code, stderr } = await peer.command("jobs", "run", "after", "--wait");
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(peer.started.said, /debugger/i);
  });

  test("a used folder without its peer.key is refused, and becomes a new peer only with --new-identity", async () => {
    const peer = await cluster.start({ name: "nobody" });
    const { peerId } = peer.ready;
    await peer.stop();
    rmSync(path.join(peer.data, "peer.key"));
    const refused = await cluster.begin({ name: "nobody", data: peer.data });
    assert.equal((await refused.started.ended).code, 1);
    assert.match(refused.started.said, /peer\.key is gone.*--new-identity/s);
    assert.ok(!existsSync(path.join(peer.data, "peer.key")), "nothing was made in its place");
    const anew = await cluster.start({ name: "somebody", data: peer.data, flags: ["--new-identity"] });
    assert.notEqual(anew.ready.peerId, peerId);
  });

  test("a folder with another peer's database is refused, and named with both peers", async () => {
    const [one, other] = [await cluster.start({ name: "one" }), await cluster.start({ name: "other" })];
    const ids = [one.ready.peerId, other.ready.peerId];
    for (const peer of [one, other]) await peer.stop(); // oxlint-disable-line no-await-in-loop -- there are two
    for (const file of readdirSync(other.data).filter((name) => /^cicada\.(db|mark)/.test(name)))
      copyFileSync(path.join(other.data, file), path.join(one.data, file));
    const refused = await cluster.begin({ name: "one", data: one.data });
    assert.equal((await refused.started.ended).code, 1);
    for (const id of ids) assert.ok(refused.started.said.includes(id), refused.started.said);
    const own = await cluster.start({ name: "other", data: other.data });
    assert.equal(own.ready.peerId, ids[1], "the other folder is untouched");
  });

  test("SIGTERM stops it cleanly: exit 0, no ready.json, no child left behind", async () => {
    const peer = await cluster.start({ name: "stopped", flags: ["--drain", "200ms"] });
    const pid = await startEndlessJob(peer, cluster.folder);
    assert.deepEqual(await peer.stop(), { code: 0, signal: null });
    assert.equal(readReadyFile(peer.data), undefined);
    await until("the job's process is gone", 1_000, () => !isAlive(pid));
  });

  for (const [signal, from] of [
    ["SIGHUP", "a closed terminal"],
    ["SIGQUIT", "Ctrl-\\"],
    ["SIGPWR", "LXC, which stops a container"],
    ["SIGXCPU", "a limit on CPU time"],
  ] as const)
    test(`${signal}, as from ${from}, stops it just as cleanly`, async () => {
      const peer = await cluster.start({
        name: `stopped-by-${signal.toLowerCase()}`,
        flags: ["--drain", "200ms"],
      });
      const pid = await startEndlessJob(peer, cluster.folder);
      peer.started.kill(signal);
      assert.deepEqual(await peer.started.ended, { code: 0, signal: null });
      assert.equal(readReadyFile(peer.data), undefined);
      await until("the job's process is gone", 1_000, () => !isAlive(pid));
    });

  test("signals that mean nothing to it, as a tool that rotates logs sends, do it no harm", async () => {
    const peer = await cluster.start({ name: "unmoved" });
    const harmless = [
      "SIGUSR1",
      "SIGUSR2",
      "SIGPIPE",
      "SIGALRM",
      "SIGVTALRM",
      "SIGPROF",
      "SIGIO",
      "SIGSTKFLT",
    ] as const;
    for (const signal of harmless) peer.started.kill(signal);
    assert.equal((await peer.call("GET", "/readyz")).status, 200);
    assert.deepEqual(await peer.stop(), { code: 0, signal: null });
  });

  test("a peer that is to join but reaches no other is not ready and says which addresses it tried, until one answers", async () => {
    const first = await cluster.start({ name: "first" });
    await first.stop();
    const second = await cluster.start({ name: "second", join: first });
    await until("it is red because it is alone", 15_000, async () => {
      const { status, text } = await second.call("GET", "/readyz");
      assert.equal(status, 503, "never ready before");
      return text === "not ready: alone\n";
    });
    await until("it says so", 15_000, () =>
      /No peer has answered at 127\.0\.0\.1:\d+ yet/.test(second.started.said),
    );
    await first.restart();
    await until("it is ready", 30_000, async () => (await second.call("GET", "/readyz")).status === 200);
    await until("it says whom it has joined", 5_000, () => /joined first/.test(second.started.said));
    await Promise.all([first.stop(), second.stop()]);
  });

  test("kill -9 leaves no child behind, and the next start is the same peer with its jobs", async () => {
    const peer = await cluster.start({ name: "killed" });
    const { peerId } = peer.ready;
    const pid = await startEndlessJob(peer, cluster.folder);
    await peer.crash();
    await until("the job's process is gone", 15_000, () => !isAlive(pid));
    assert.equal((await peer.restart()).peerId, peerId);
    assert.equal((await peer.call("GET", "/v1/jobs/endless")).status, 200);
    const runs = await items<{ state: string }>(peer, "/v1/jobs/endless/runs");
    assert.deepEqual(
      runs.map((run) => run.state),
      ["lost"],
    );
  });

  test("a job that makes the peer fail an assertion three times is quarantined there; other jobs run, and an edit frees it", async () => {
    const sabotage = `
      const { set } = Map.prototype;
      Map.prototype.set = function (key, value) {
        if (key === "sick" && value?.lifetime && /poison/.test(value.job.spec.command)) throw new Error("a fault that was planted");
        return set.call(this, key, value);
      };`;
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(sabotage)}` };
    const peer = await cluster.start({ name: "poisoned", env });
    await peer.ask("POST", "/v1/jobs", { id: "healthy", command: "true" });
    await assert.rejects(peer.ask("POST", "/v1/jobs", { id: "sick", command: "echo poison" }));
    for (let exit = 1; exit <= 3; exit++) {
      assert.deepEqual(await peer.started.ended, { code: 70, signal: null }, peer.started.said);
      assert.match(peer.started.said, /a fault that was planted/);
      if (exit < 3) await assert.rejects(peer.restart());
    }

    await peer.restart();
    const sick = await peer.ask("GET", "/v1/jobs/sick");
    assert.match(JSON.stringify(sick), /"state":"invalid".*quarantined on this peer.* 3 times/);
    const { text } = await peer.call("GET", "/readyz?verbose");
    assert.match(text, /ended 3 times because of an internal fault while it worked on sick/);
    await peer.ask("POST", "/v1/jobs/healthy/run", {});
    await until("the healthy job has run", 10_000, async () => {
      const runs = await items<{ state: string }>(peer, "/v1/jobs/healthy/runs");
      return runs.some(({ state }) => state === "succeeded");
    });

    await peer.ask("PUT", "/v1/jobs/sick", { id: "sick", command: "echo well" });
    await peer.ask("POST", "/v1/jobs/sick/run", {});
    await until("the mended job has run", 10_000, async () => {
      const runs = await items<{ state: string }>(peer, "/v1/jobs/sick/runs");
      return runs.some(({ state }) => state === "succeeded");
    });
  });

  test("a second peer on the same folder is refused, and the first keeps running", async () => {
    const first = await cluster.start({ name: "first" });
    const second = await cluster.begin({ name: "second", data: first.data });
    assert.deepEqual(await second.started.ended, { code: 4, signal: null });
    assert.match(second.started.said, /data folder/i);
    assert.match(second.started.said, /--data/);
    assert.equal(readReadyFile(first.data)?.pid, first.started.pid);
    assert.equal((await first.call("GET", "/livez")).status, 200);
  });

  test("ports in use are named, both the API's and the mesh's at once", async () => {
    const first = await cluster.start({ name: "holder" });
    const httpPort = new URL(first.ready.http).port;
    const meshPort = /\/tcp\/(\d+)/.exec(first.address)?.[1] ?? "";
    const http = [`--http=127.0.0.1:${httpPort}`, httpPort] as const;
    const listen = [`--listen=/ip4/127.0.0.1/tcp/${meshPort}`, meshPort] as const;
    for (const wanted of [[http], [listen], [http, listen]]) {
      const [flags, ports] = [wanted.map(([flag]) => flag), wanted.map(([, port]) => port)];
      const late = await cluster.begin({ name: `wants-${ports.join("-")}`, flags });
      assert.deepEqual(await late.started.ended, { code: 4, signal: null }, flags.join(" "));
      for (const port of ports) assert.ok(late.started.said.includes(port), late.started.said);
      assert.match(late.started.said, /in use/);
      const line =
        /These are free: `\S*node? ?\S* start .*`/.exec(late.started.said)?.[0] ?? late.started.said;
      assert.equal(/--http \d+/.test(line), flags.includes(http[0]), line);
      assert.equal(/--listen \/ip4\/127\.0\.0\.1\/tcp\/\d+/.test(line), flags.includes(listen[0]), line);
      assert.equal(readReadyFile(late.data), undefined);
    }
  });

  test("a data folder that can't be written is named", async () => {
    const file = path.join(cluster.folder, "a-file");
    writeFileSync(file, "");
    const peer = await cluster.begin({ name: "nowhere", data: path.join(file, "data") });
    assert.deepEqual(await peer.started.ended, { code: 1, signal: null });
    assert.ok(peer.started.said.includes(file), peer.started.said);
  });

  test("the refusal of a mistyped flag names the right one, and nothing is started", async () => {
    const peer = await cluster.begin({ name: "typo", flags: ["--capcity", "3"] });
    assert.deepEqual(await peer.started.ended, { code: 2, signal: null });
    assert.match(peer.started.said, /--capacity/);
  });
});

describe("npm start", () => {
  let cluster: Cluster;
  before(() => (cluster = new Cluster()));
  after(() => cluster[Symbol.asyncDispose]());

  async function npmStart(name: string): Promise<{ npm: Started; data: string; pid: number }> {
    const data = path.join(cluster.folder, name);
    const listen = `--listen=/ip4/127.0.0.1/tcp/${await freePort()}`;
    const args = ["start", "--", `--data=${data}`, "--http=127.0.0.1:0", listen];
    const npm = new Started("npm", args, plainEnv(), true);
    const ready = await until("the peer is ready", 30_000, () => {
      if (npm.hasEnded) throw new Error(npm.said);
      return readReadyFile(data);
    });
    return { npm, data, pid: ready.pid };
  }

  const ways: [title: string, stop: (npm: Started) => void][] = [
    ["SIGTERM to npm", (npm) => npm.kill("SIGTERM")],
    // A terminal sends Ctrl-C to the whole group in the foreground.
    ["Ctrl-C in its terminal", (npm) => process.kill(-npm.pid, "SIGINT")],
  ];
  for (const [title, stop] of ways) {
    test(`${title} stops the peer cleanly`, async () => {
      const { npm, data, pid } = await npmStart(title.replaceAll(" ", "-"));
      stop(npm);
      await npm.ended;
      await until("the peer is gone", stopLimitMs, () => !isAlive(pid));
      assert.equal(existsSync(path.join(data, "ready.json")), false, npm.said);
    });
  }
});

describe("joining a mesh", () => {
  let cluster: Cluster;
  before(() => (cluster = new Cluster()));
  after(() => cluster[Symbol.asyncDispose]());

  test("the line that `cicada peers invite` prints makes a peer join, shows the key to no other user, and is needed only once", async () => {
    const host = await cluster.start({ name: "host" });
    const invite = await host.command("peers", "invite");
    assert.equal(invite.code, 0, invite.stderr);

    const data = path.join(cluster.folder, "guest-by-line");
    const flags = `--data ${data} --http 127.0.0.1:0 --listen /ip4/127.0.0.1/tcp/${await freePort()}`;
    // The line goes into a file, because arguments of `sh -c` would show in the process list; a typed line doesn't.
    const typed = path.join(cluster.folder, "typed.sh");
    writeFileSync(typed, `${invite.stdout.trim()} ${flags}\n`);
    const pasted = new Started("sh", [typed], plainEnv(), true);
    const ready = await until("the guest is ready", 30_000, () => {
      if (pasted.hasEnded) throw new Error(pasted.said);
      return readReadyFile(data);
    });
    await untilMembers([host], 2);
    const word = joinStringIn(invite.stdout);
    assert.ok(processList().every((shown) => !shown.includes(word)));
    assert.doesNotMatch(pasted.said, /given as an argument/);
    process.kill(ready.pid, "SIGKILL");
    await pasted.ended;
    const again = await cluster.start({ name: "guest-again", data });
    assert.equal(again.ready.peerId, ready.peerId);
    await untilMembers([host, again], 2);
  });

  test("a join string given as an argument is hidden from the process list, with a warning", async () => {
    const host = await cluster.start({ name: "careful" });
    const { stdout } = await host.command("peers", "invite");
    const word = joinStringIn(stdout);
    const guest = await cluster.start({ name: "careless", flags: ["--join", word] });
    await untilMembers([host, guest], 2);
    assert.ok(processList().every((shown) => !shown.includes(word)));
    assert.match(
      readFileSync(`/proc/${guest.started.pid}/cmdline`, "utf8"),
      /^cicada start .*--join cicada-join-…/,
    );
    assert.match(guest.started.said, /the join string was given as an argument/);
    await guest.crash();
  });

  test("a third peer that knows one address finds all others, and finds them again after all were killed", async () => {
    const peers = await cluster.mesh(["one", "two", "three"]);
    await Promise.all(peers.map((peer) => peer.crash()));
    await Promise.all(peers.map((peer) => peer.restart()));
    await untilMembers(peers, 3);
  });

  test("a wrong key is refused, both sides say so, and retries harm neither", async () => {
    const host = await cluster.start({ name: "keeper" });
    const other = await cluster.start({ name: "other-mesh" });
    const stranger = await cluster.start({
      name: "stranger",
      flags: ["--bootstrap", host.address, "--cluster-key", other.keyFile],
    });
    for (const peer of [host, stranger]) {
      await until(`${peer.name} says that the key differs`, 5_000, () =>
        /cluster key/i.test(peer.started.said),
      );
    }
    // The log says it once a minute, the counter counts each time.
    await until("several retries, survived by both", 60_000, async () => {
      const counted = await Promise.all([host, stranger].map(refusals));
      return counted.every((count) => count >= 3);
    });
    for (const peer of [host, stranger]) {
      const members = await items<PeerItem>(peer, "/v1/peers");
      assert.deepEqual(
        members.filter((member) => member.state === "alive").map((member) => member.name),
        [peer.name],
      );
    }
  });

  test("a torn join line and a torn key file are refused by name", async () => {
    const host = await cluster.start({ name: "inviter" });
    const { stdout } = await host.command("peers", "invite");
    const torn = await cluster.begin({ name: "torn", flags: ["--join", joinStringIn(stdout).slice(0, -4)] });
    assert.equal((await torn.started.ended).code, 2);
    assert.match(torn.started.said, /peers invite/);

    const data = path.join(cluster.folder, "torn-key");
    mkdirSync(data, { mode: 0o700 });
    writeFileSync(path.join(data, "cluster.key"), readFileSync(host.keyFile).subarray(0, 10));
    const keyless = await cluster.begin({ name: "keyless", data });
    assert.equal((await keyless.started.ended).code, 2);
    assert.ok(keyless.started.said.includes("cluster.key"), keyless.started.said);
  });
});

/** How often the peer refused another, or was refused, because of a key. */
async function refusals(peer: RunningPeer): Promise<number> {
  const metrics = await peer.call("GET", "/metrics");
  return Number(/^cicada_mesh_handshakes_refused\S* (\d+)/m.exec(metrics.text)?.[1]);
}
