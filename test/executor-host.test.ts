/** The real executor on hosts that lack something: rights, descriptors, processes, named pipes, room for files. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { ProcessAction, RunSpec } from "../src/ports.ts";
import type { JobId, RunId, TickId } from "../src/schema/ids.ts";
import type { FromChild, ToChild } from "./kit/executor-child.ts";

const program = fileURLToPath(new URL("./kit/executor-child.ts", import.meta.url));
const isRoot = process.getuid?.() === 0;
const nobody = 65_534;

/** How the executor's process is started. */
interface Surroundings {
  /** user and group */
  uid?: number;
  path?: string;
  /** words before its command */
  prefix?: readonly string[];
}

class Bed {
  readonly folder: string;
  readonly #child;
  readonly #heard: FromChild[] = [];
  #listeners: (() => void)[] = [];
  #runs = 0;

  constructor(context: TestContext, { uid, path, prefix = [] }: Surroundings = {}) {
    this.folder = mkdtempSync(join(tmpdir(), "cicada-host-"));
    for (const name of ["", "work", "logs"]) {
      const folder = join(this.folder, name);
      mkdirSync(folder, { recursive: true });
      if (uid !== undefined) chownSync(folder, uid, uid);
    }
    const places = [join(this.folder, "work"), join(this.folder, "logs")];
    const [command = "", ...args] = [...prefix, process.execPath, program, ...places];
    this.#child = spawn(command, args, {
      stdio: ["pipe", "pipe", "inherit"],
      env: { PATH: path ?? process.env["PATH"] },
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      this.#heard.push(JSON.parse(line) as FromChild);
      for (const listener of this.#listeners.splice(0)) listener();
    });
    context.after(async () => {
      this.command({ kind: "close" });
      await this.heard("closed");
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  command(command: ToChild): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
  }

  /** Waits for the first report of that kind, about that run if one is given. */
  async heard(said: FromChild["said"], run?: RunId): Promise<string> {
    for (;;) {
      const found = this.#heard.find((one) => one.said === said && (run === undefined || one.run === run));
      if (found !== undefined) return found.text;
      await new Promise<void>((resolve) => this.#listeners.push(resolve));
    }
  }

  hasHeard(said: FromChild["said"], run: RunId): boolean {
    return this.#heard.some((one) => one.said === said && one.run === run);
  }

  launch(command: string, action: Partial<ProcessAction> = {}, fields: Partial<RunSpec> = {}): RunId {
    const run = `job@2026-11-20T12:00:00Z~1@${process.pid}-${this.#runs++}` as RunId;
    const spec: RunSpec = {
      run,
      job: "job" as JobId,
      tick: "2026-11-20T12:00:00Z" as TickId,
      action: {
        kind: "process",
        argv: ["/bin/sh", "-c", command],
        stdin: "",
        cwd: "",
        user: "",
        umask: 0o77,
        killGraceMs: 200,
        ...action,
      },
      hostEnv: { PATH: "/usr/local/bin:/usr/bin:/bin" },
      env: { CICADA_RUN: run },
      timeoutMs: 0,
      logCapBytes: 100_000,
      notAfter: Date.now() + 60_000,
      ...fields,
    };
    this.command({ kind: "launch", spec });
    return run;
  }

  async outcome(run: RunId): Promise<Record<string, unknown>> {
    return JSON.parse(await this.heard("ended", run)) as Record<string, unknown>;
  }

  async output(run: RunId): Promise<string> {
    await this.heard("ended", run);
    return this.read(run);
  }

  /** The output so far. */
  async read(run: RunId): Promise<string> {
    const before = this.#heard.findIndex((one) => one.said === "read" && one.run === run);
    if (before >= 0) this.#heard.splice(before, 1);
    this.command({ kind: "read", run });
    return this.heard("read", run);
  }

  /** The launcher's process id, as one of its runs sees it. */
  async launcher(): Promise<number> {
    return Number(await this.output(this.launch("echo $PPID")));
  }
}

function limit(pid: number, what: string): void {
  const { status, stderr } = spawnSync("prlimit", ["--pid", String(pid), what], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
}

function softLimit(pid: number): string {
  const limits = readFileSync(`/proc/${pid}/limits`, "utf8");
  return /^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? "";
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

const rootOnly = { skip: isRoot ? false : "needs root to become other users" };

test(
  "a run whose processes may not be killed stays open and is reported as stuck",
  rootOnly,
  async (context) => {
    const bed = new Bed(context, { uid: nobody });
    // Becomes root for good, as sudo does, so that the user `nobody` may not signal it any more.
    const become = join(bed.folder, "become");
    copyFileSync("/usr/bin/setpriv", become);
    chmodSync(become, 0o4755);
    const run = bed.launch(`echo $$; exec ${become} --reuid 0 --regid 0 --clear-groups sleep 600`);
    await bed.heard("started", run);
    let pid = 0;
    while (pid === 0) pid = Number(await bed.read(run));
    // Until it is root, the user `nobody` can still end it.
    while (readFileSync(`/proc/${pid}/comm`, "utf8").trim() !== "sleep") await bed.read(run);
    bed.command({ kind: "stop", run });
    assert.match(await bed.heard("stuck", run), /belong to another user/);
    assert.equal(bed.hasHeard("ended", run), false);
    process.kill(pid, "SIGKILL");
    assert.partialDeepStrictEqual(await bed.outcome(run), { kind: "cancelled" });
  },
);

test("when outputs can't be written, each start fails as a fault of the host, with a reason, and leaks nothing", async (context) => {
  const bed = new Bed(context);
  const launcher = await bed.launcher();
  await bed.outcome(bed.launch("true"));
  const before = openFiles(launcher);
  rmSync(join(bed.folder, "logs"), { recursive: true });
  for (let i = 0; i < 60; i++) {
    const outcome = await bed.outcome(bed.launch("true", { stdin: i % 2 === 0 ? "" : "text" }));
    assert.partialDeepStrictEqual(outcome, { kind: "not-started", why: "host" });
    assert.match(String(outcome["reason"]), /logs\/.*can't be written: its folder doesn.t exist/);
  }
  assert.equal(openFiles(launcher), before);
});

test("a host without free descriptors starts nothing and ends no run, and starts runs again when there are some", async (context) => {
  const bed = new Bed(context);
  const launcher = await bed.launcher();
  const lasting = bed.launch("exec sleep 600");
  await bed.heard("started", lasting);
  // A few descriptors are left, so that pipes use them up, and cleaning up fails as well.
  const before = softLimit(launcher);
  limit(launcher, `--nofile=${openFiles(launcher) + 3}:`);
  const failed = Array.from({ length: 200 }, () => bed.launch("exec sleep 600"));
  const last = failed.at(-1);
  assert.ok(last !== undefined);
  const outcome = await bed.outcome(last);
  assert.partialDeepStrictEqual(outcome, { kind: "not-started", why: "host" });
  assert.match(String(outcome["reason"]), /too many files are open/);
  assert.equal(bed.hasHeard("ended", lasting), false);
  limit(launcher, `--nofile=${before}:`);
  assert.partialDeepStrictEqual(await bed.outcome(bed.launch("true")), { kind: "exited", exitCode: 0 });
});

test("under a low limit of descriptors few pipes are made ahead", async (context) => {
  const bed = new Bed(context, { prefix: ["prlimit", "--nofile=128:128"] });
  const launcher = await bed.launcher();
  for (let i = 0; i < 10; i++) await bed.outcome(bed.launch("true"));
  assert.ok(openFiles(launcher) < 64, `${openFiles(launcher)} descriptors`);
});

test(
  "a host that has no room for another process starts nothing, and the job is not blamed",
  rootOnly,
  async (context) => {
    const bed = new Bed(context, { uid: nobody });
    // The limit is set from within, by the same user: the user `nobody` may not set limits of others.
    await bed.outcome(bed.launch("prlimit --pid $PPID --nproc=1:"));
    const outcome = await bed.outcome(bed.launch("true"));
    assert.partialDeepStrictEqual(outcome, { kind: "not-started", why: "host" });
    assert.match(String(outcome["reason"]), /reached its limit of processes/);
  },
);

test("a missing program is the job's own fault", async (context) => {
  const bed = new Bed(context);
  const outcome = await bed.outcome(bed.launch("", { argv: ["/no/such/program"] }));
  assert.partialDeepStrictEqual(outcome, { kind: "not-started", why: "error" });
});

test("if no named pipe can be made, runs still start and their output is kept", async (context) => {
  const bed = new Bed(context, { path: "/nonexistent" });
  const run = bed.launch("echo out; echo err >&2; for i in 1 2 3; do echo $i; done");
  const lines = (await bed.output(run)).trim().split("\n").toSorted();
  assert.deepEqual(lines, ["1", "2", "3", "err", "out"]);
  assert.match(await bed.heard("warned"), /no named pipe can be made/);
  assert.partialDeepStrictEqual(await bed.outcome(run), { kind: "exited", exitCode: 0 });
});

/** Commands that change the mounts of their own process before they become the executor. */
function mounted(...commands: string[]): readonly string[] {
  return ["unshare", "--mount", "/bin/sh", "-c", `${commands.join(" && ")} && exec "$@"`, "sh"];
}

test("runs start even if /dev/shm takes no files or /proc is missing", rootOnly, async (context) => {
  const full = new Bed(context, { prefix: mounted("mount -t tmpfs -o nr_inodes=3 none /dev/shm") });
  const without = new Bed(context, {
    prefix: mounted("mount -t tmpfs none /proc", "umount /dev/shm || true"),
  });
  for (const bed of [full, without]) {
    const run = bed.launch("echo out; echo err >&2");
    assert.equal(await bed.output(run), "out\nerr\n");
    const stopped = bed.launch("exec sleep 600");
    await bed.heard("started", stopped);
    bed.command({ kind: "stop", run: stopped });
    assert.partialDeepStrictEqual(await bed.outcome(stopped), { kind: "cancelled" });
  }
});

test(
  "a job of another user that names no folder starts in one that the user owns",
  rootOnly,
  async (context) => {
    const bed = new Bed(context);
    chmodSync(bed.folder, 0o700);
    // `nobody` has no home, so the folder is made.
    const run = bed.launch("set -e; echo text >file; stat -c %U .; ls; cat file", { user: "nobody" });
    assert.equal(await bed.output(run), "nobody\nfile\ntext\n");
    const own = bed.launch("pwd");
    assert.equal(await bed.output(own), `${join(bed.folder, "work")}\n`);
  },
);

test(
  "a job runs as a user that only a directory knows, with the groups from there",
  rootOnly,
  async (context) => {
    const programs = mkdtempSync(join(tmpdir(), "cicada-directory-"));
    context.after(() => rmSync(programs, { recursive: true }));
    for (const [name, answer] of [
      ["getent", "ann:*:70001:70000:Ann:/home/ann:/bin/sh"],
      ["id", "70000 70010"],
    ] as const) {
      writeFileSync(join(programs, name), `#!/bin/sh\necho '${answer}'\n`, { mode: 0o755 });
    }
    const bed = new Bed(context, { path: `${programs}:/usr/bin:/bin` });
    const run = bed.launch("/usr/bin/id -u; /usr/bin/id -G; echo $USER", { user: "ann", cwd: "/" });
    assert.equal(await bed.output(run), "70001\n70000 70010\nann\n");
    const unknown = bed.launch("true", { user: "eve", cwd: "/" });
    assert.match(JSON.stringify(await bed.outcome(unknown)), /no user eve on this host/);
  },
);

test("a job's own HOME, USER and SHELL win over its user's and the peer's", rootOnly, async (context) => {
  const bed = new Bed(context);
  const hostEnv = { PATH: "/usr/bin:/bin", HOME: "/root", USER: "root", SHELL: "/bin/bash" };
  const asked = { HOME: "/root", USER: "root", SHELL: "/bin/bash" };
  const print = "echo $HOME $USER $SHELL";
  const plain = bed.launch(print, { user: "nobody", cwd: "/" }, { hostEnv, env: {} });
  const own = bed.launch(print, { user: "nobody", cwd: "/" }, { hostEnv, env: asked });
  assert.match(await bed.output(plain), /^\/nonexistent nobody \S+nologin\n$/);
  assert.equal(await bed.output(own), "/root root /bin/bash\n");
});
