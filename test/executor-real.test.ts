/** The real executor: the contract of every executor, and what only real processes can show. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { ChildOutcome, Log, LogPiece, ProcessAction, RunSpec, Written } from "../src/ports.ts";
import { openDisk } from "../src/real/disk.ts";
import { openExecutor } from "../src/real/executor.ts";
import { fileNameOf } from "../src/real/executor/output-files.ts";
import type { JobId, RunId, TickId } from "../src/schema/ids.ts";
import {
  ended,
  executorContract,
  launchToEnd,
  readAll,
  Reports,
  started,
  type ExecutorBed,
} from "./kit/contract/executor.ts";

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };
const commands = {
  succeeds: "echo done",
  "prints much": "seq 1 2000",
  fails: "echo broken >&2; exit 3",
  lasts: "exec sleep 600",
};

interface RealBed extends ExecutorBed {
  folder: string;
  shell: typeof shellSpec;
}

function placesIn(folder: string): { work: string; logs: string; scripts: string } {
  const places = { work: join(folder, "work"), logs: join(folder, "logs"), scripts: join(folder, "scripts") };
  for (const path of Object.values(places)) mkdirSync(path, { recursive: true });
  return places;
}

/** The runs of this test, whose ids are file names as they are, that have a file somewhere in there. */
function outputFilesIn(logs: string): RunId[] {
  return readdirSync(logs, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.log(\.gz)?$/.test(path))
    .map((path) => basename(path).replace(/\.log(\.gz)?$/, "") as RunId);
}

let runsMade = 0;

function shellSpec(
  command: string,
  fields: Partial<RunSpec> = {},
  action: Partial<ProcessAction> = {},
): RunSpec {
  const run = `job@2026-11-20T12:00:00Z~1@${process.pid}-${runsMade++}` as RunId;
  return {
    run,
    job: "job" as JobId,
    tick: "2026-11-20T12:00:00Z" as TickId,
    timeoutMs: 0,
    logCapBytes: 1_048_576,
    notAfter: Date.now() + 60_000,
    ...fields,
    action: {
      kind: "process",
      argv: ["/bin/sh", "-c", command],
      stdin: "",
      cwd: "",
      user: "",
      umask: 0o077,
      killGraceMs: 5_000,
      ...action,
    },
    hostEnv: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", ...fields.hostEnv },
    env: { CICADA_RUN: fields.run ?? run, ...fields.env },
  };
}

async function makeBed(
  log: Log = quiet,
  folder = mkdtempSync(join(tmpdir(), "cicada-executor-")),
): Promise<RealBed> {
  const disk = await openDisk({ folder, log: quiet });
  const executor = openExecutor({ folder: placesIn(folder), disk, log });
  return {
    executor,
    disk,
    files: () => outputFilesIn(join(folder, "logs")),
    folder,
    wait: (start) => new Promise(start),
    spec: (what, fields) => shellSpec(commands[what], fields),
    shell: shellSpec,
    wall: () => Date.now(),
    async end() {
      await new Promise<void>((done) => executor.close(done));
      await new Promise<void>((done) => disk.close(done));
      rmSync(folder, { recursive: true });
    },
  };
}

executorContract("the real executor", () => makeBed());

async function openBed(context: TestContext): Promise<{ bed: RealBed; reports: Reports }> {
  const bed = await makeBed();
  context.after(() => bed.end());
  return { bed, reports: new Reports(bed.executor) };
}

function pieceOf(bed: RealBed, run: RunId, offset: number, length: number): Promise<LogPiece | undefined> {
  return bed.wait((done) => bed.executor.readLog(run, offset, length, done));
}

async function outputOf(bed: RealBed, run: RunId): Promise<string> {
  const piece = await readAll(bed, run);
  return Buffer.from(piece?.bytes ?? []).toString();
}

/** Waits until the condition holds, at most for the test's time limit. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(20);
}

function runs(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("output of both streams is kept in the order in which it was written", async (context) => {
  const { bed, reports } = await openBed(context);
  const spec = bed.shell("for i in 1 2 3; do echo out $i; echo err $i >&2; done; echo last >/dev/stderr");
  await launchToEnd(bed, reports, spec);
  assert.equal(await outputOf(bed, spec.run), "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\nlast\n");
});

test("a run gets exactly its environment, folder, umask, standard input and no stray descriptors", async (context) => {
  const { bed, reports } = await openBed(context);
  process.env["CICADA_LEAK"] = "from the peer";
  context.after(() => delete process.env["CICADA_LEAK"]);
  const spec = bed.shell(
    "env; pwd; umask; cat; ls /proc/self/fd | wc -l",
    { env: { GREETING: "hello" } },
    { umask: 0o027, stdin: "line one\nline two\n" },
  );
  await launchToEnd(bed, reports, spec);
  const lines = (await outputOf(bed, spec.run)).trim().split("\n");
  const variables = lines.slice(0, lines.indexOf(join(bed.folder, "work"))).map((line) => line.split("=")[0]);
  // The shell itself sets PWD and the like.
  const own = new Set(variables).difference(new Set(["PWD", "OLDPWD", "SHLVL", "_"]));
  assert.deepEqual(own, new Set(["CICADA_OUTPUT", "CICADA_RUN", "GREETING", "PATH"]));
  assert.deepEqual(lines.slice(-4, -1), ["0027", "line one", "line two"]);
  // A run may have as many as any child of this process: those come from this test's own shell, not from the launcher.
  const plain = spawnSync("/bin/sh", ["-c", "ls /proc/self/fd | wc -l"], { encoding: "utf8" });
  assert.equal(lines.at(-1)?.trim(), plain.stdout.trim());
});

test("a run can be given a folder of its own", async (context) => {
  const { bed, reports } = await openBed(context);
  const spec = bed.shell("pwd", {}, { cwd: tmpdir() });
  await launchToEnd(bed, reports, spec);
  assert.equal(await outputOf(bed, spec.run), `${tmpdir()}\n`);
});

test("a run that can't be started is reported with a plain reason, and leaves no output", async (context) => {
  const { bed, reports } = await openBed(context);
  const notRunnable = join(bed.folder, "notes.txt");
  writeFileSync(notRunnable, "only words", { mode: 0o600 });
  const cases: [Partial<ProcessAction>, RegExp][] = [
    [{ argv: ["/no/such/program"] }, /there is no program \/no\/such\/program/],
    [{ argv: ["no-such-program-on-path"] }, /there is no program/],
    [{ cwd: "/no/such/folder" }, /the folder \/no\/such\/folder doesn.t exist/],
    [{ cwd: notRunnable }, /is not a folder/],
    [{ argv: [notRunnable] }, /may not be run/],
    [{ user: "no-such-user" }, /there is no user no-such-user/],
    [{ argv: ["/bin/echo", "x".repeat(3_000_000)] }, /too large for this host/],
  ];
  for (const [action, reason] of cases) {
    const spec = bed.shell("true", {}, action);
    const outcome = await launchToEnd(bed, reports, spec);
    assert.ok(outcome.kind === "not-started" && outcome.why === "error", JSON.stringify(outcome));
    assert.match(outcome.reason, reason);
    assert.equal(await readAll(bed, spec.run), undefined);
  }
});

test("only root may run jobs as another user, and then with that user's groups and home", async (context) => {
  const { bed, reports } = await openBed(context);
  const spec = bed.shell(
    "id -un; id -G; echo $HOME $USER $LOGNAME; echo fine >/dev/stdout",
    {},
    { user: "nobody", cwd: "/" },
  );
  const outcome = await launchToEnd(bed, reports, spec);
  if (process.getuid?.() !== 0) {
    assert.ok(outcome.kind === "not-started");
    assert.match(outcome.reason, /only root/);
    return;
  }
  assert.partialDeepStrictEqual(outcome, { kind: "exited", exitCode: 0 });
  const passwd = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((line) => line.startsWith("nobody:"));
  const [, , , gid, , home] = passwd?.split(":") ?? [];
  assert.equal(await outputOf(bed, spec.run), `nobody\n${gid}\n${home} nobody nobody\nfine\n`);
});

test("what a run writes to $CICADA_OUTPUT is reported with its end, up to 64 KiB, and the file is gone", async (context) => {
  const { bed, reports } = await openBed(context);
  const written = async (command: string, fields: Partial<RunSpec> = {}): Promise<Written | undefined> => {
    const outcome = await launchToEnd(bed, reports, bed.shell(command, fields));
    assert.ok("written" in outcome || outcome.kind === "exited", JSON.stringify(outcome));
    return "written" in outcome ? outcome.written : undefined;
  };
  assert.deepEqual(await written(`echo A=1 >> "$CICADA_OUTPUT"; echo B=2 >> "$CICADA_OUTPUT"; exit 3`), {
    text: "A=1\nB=2\n",
    isCut: false,
  });
  assert.equal(await written("true"), undefined, "nothing was written");
  const large = await written(`head -c 100000 /dev/zero | tr '\\0' x > "$CICADA_OUTPUT"`);
  assert.deepEqual([large?.text.length, large?.isCut], [65_536, true]);
  assert.equal(
    (await written(`(trap '' TERM; echo LATE=1 > "$CICADA_OUTPUT"; kill -9 $$)`))?.text,
    "LATE=1\n",
  );
  assert.deepEqual(readdirSync(join(bed.folder, "logs", "exchange")), []);
});

test("only a plain file of the run's user is read as its outputs", async (context) => {
  const { bed, reports } = await openBed(context);
  for (const command of [
    `ln -s /etc/hostname "$CICADA_OUTPUT"`,
    `mkfifo "$CICADA_OUTPUT"`,
    `mkdir "$CICADA_OUTPUT"; echo A=1 > "$CICADA_OUTPUT/x"`,
  ]) {
    const outcome = await launchToEnd(bed, reports, bed.shell(command));
    assert.ok(outcome.kind === "exited" && outcome.written?.text === "", command);
    assert.match(outcome.written.fault ?? "", /not a plain file|can't be read/);
  }
  assert.deepEqual(readdirSync(join(bed.folder, "logs", "exchange")), []);
});

test("a run after others finds the text about its parents in the file $CICADA_PARENTS, and others have no such variable", async (context) => {
  const { bed, reports } = await openBed(context);
  const parents = JSON.stringify({ load: { state: "succeeded", outputs: { ROWS: "12" } } });
  const withParents = bed.shell(`cat "$CICADA_PARENTS"`, { parents });
  await launchToEnd(bed, reports, withParents);
  assert.equal(await outputOf(bed, withParents.run), parents);
  const withoutParents = bed.shell('echo "${CICADA_PARENTS-none}"');
  await launchToEnd(bed, reports, withoutParents);
  assert.equal(await outputOf(bed, withoutParents.run), "none\n");
});

test("a run of another user can write and read these files, too", async (context) => {
  if (process.getuid?.() !== 0) return context.skip("only root may run jobs as another user");
  const { bed, reports } = await openBed(context);
  const spec = bed.shell(
    `cat "$CICADA_PARENTS" && echo A=1 > "$CICADA_OUTPUT"`,
    { parents: "{}" },
    { user: "nobody", cwd: "/" },
  );
  const outcome = await launchToEnd(bed, reports, spec);
  assert.ok(outcome.kind === "exited" && outcome.exitCode === 0, JSON.stringify(outcome));
  assert.deepEqual(outcome.written, { text: "A=1\n", isCut: false });
  assert.equal(await outputOf(bed, spec.run), "{}");
});

test("a run that was ended by a signal is reported with the signal", async (context) => {
  const { bed, reports } = await openBed(context);
  const outcome = await launchToEnd(bed, reports, bed.shell("kill -SEGV $$"));
  assert.partialDeepStrictEqual(outcome, { kind: "signalled", signal: "SIGSEGV" });
});

test("past the cap the first and last parts of an output are kept, and the rest is counted", async (context) => {
  const { bed, reports } = await openBed(context);
  const command = "seq 1 200000";
  const whole = Array.from({ length: 200_000 }, (_, index) => `${index + 1}\n`).join("");
  for (const logCapBytes of [1_000, 100_001, whole.length - 1, whole.length, whole.length + 1]) {
    const spec = bed.shell(command, { logCapBytes });
    const outcome = await launchToEnd(bed, reports, spec);
    const truncated = logCapBytes < whole.length;
    assert.deepEqual(outcome, {
      kind: "exited",
      exitCode: 0,
      logBytes: whole.length,
      logTruncated: truncated,
    });
    const text = Buffer.from((await pieceOf(bed, spec.run, 0, 2_000_000))?.bytes ?? []).toString();
    if (!truncated) {
      assert.equal(text, whole);
      continue;
    }
    const tailBytes = Math.floor(logCapBytes / 2);
    const notKept = (whole.length - logCapBytes).toLocaleString("en-US");
    const expected = `${whole.slice(0, logCapBytes - tailBytes)}\n… ${notKept} bytes not kept …\n${whole.slice(-tailBytes)}`;
    assert.ok(text === expected, `cap ${logCapBytes}`);
  }
});

test("a run that writes without end delays no others and can be stopped", async (context) => {
  const { bed, reports } = await openBed(context);
  const endless = bed.shell("yes", { logCapBytes: 2_000 });
  bed.executor.launch(endless);
  await started(bed, reports, endless);
  assert.partialDeepStrictEqual(await launchToEnd(bed, reports, bed.spec("succeeds")), { kind: "exited" });
  // The head is written, and `yes` writes far more than the cap at once. The test's time limit ends the wait.
  while (((await readAll(bed, endless.run))?.size ?? 0) < 1_000) await sleep(10);
  bed.executor.stop(endless.run);
  assert.partialDeepStrictEqual(await ended(bed, reports, endless), {
    kind: "cancelled",
    logTruncated: true,
  });
  assert.ok(((await readAll(bed, endless.run))?.size ?? 0) < 2_100);
});

test("a run that ignores TERM is killed after its grace, with everything that it has forked", async (context) => {
  const { bed, reports } = await openBed(context);
  const spec = bed.shell(
    `trap "" TERM; (trap "" TERM; while :; do sleep 1; done) & echo $! $$; while :; do sleep 1; done`,
    { timeoutMs: 300 },
    { killGraceMs: 200 },
  );
  const outcome = await launchToEnd(bed, reports, spec);
  assert.partialDeepStrictEqual(outcome, { kind: "timeout" });
  const pids = (await outputOf(bed, spec.run)).trim().split(" ").map(Number);
  assert.equal(pids.length, 2);
  for (const pid of pids) assert.equal(runs(pid), false);
});

test("a run that exits by itself after its timeout tells its exit code", async (context) => {
  const { bed, reports } = await openBed(context);
  const spec = bed.shell(`trap "exit 75" TERM; while :; do sleep 0.05; done`, { timeoutMs: 300 });
  assert.partialDeepStrictEqual(await launchToEnd(bed, reports, spec), { kind: "timeout", exitCode: 75 });
});

test("a process that a stopped run has put into another session is ended too", async (context) => {
  const { bed, reports } = await openBed(context);
  const spec = bed.shell("setsid sleep 600 & echo $!; wait");
  bed.executor.launch(spec);
  await started(bed, reports, spec);
  let pid = 0;
  while (pid === 0) pid = Number(await outputOf(bed, spec.run));
  bed.executor.stop(spec.run);
  await ended(bed, reports, spec);
  // SIGKILL has been sent by now, but a busy machine takes a moment to end the process.
  await until(() => !runs(pid));
});

test("a run that ends while another process still holds its output is reported soon, and its group is ended", async (context) => {
  const { bed, reports } = await openBed(context);
  const inGroup = bed.shell("sleep 600 & echo $!");
  const inSession = bed.shell("setsid sleep 600 & echo $!");
  // If it waited for the sleep to end, it would take ten minutes.
  assert.partialDeepStrictEqual(await launchToEnd(bed, reports, inGroup), { kind: "exited", exitCode: 0 });
  assert.partialDeepStrictEqual(await launchToEnd(bed, reports, inSession), { kind: "exited", exitCode: 0 });
  assert.equal(runs(Number(await outputOf(bed, inGroup.run))), false);
  // A daemon that left the group on purpose is left alone, as under cron.
  const daemon = Number(await outputOf(bed, inSession.run));
  assert.equal(runs(daemon), true);
  process.kill(daemon, "SIGKILL");
});

test("output that comes just after the program's end is kept", async (context) => {
  const { bed, reports } = await openBed(context);
  const spec = bed.shell("(sleep 0.1; echo late) & echo early");
  await launchToEnd(bed, reports, spec);
  assert.equal(await outputOf(bed, spec.run), "early\nlate\n");
});

test("runs start in the order of their launches", async (context) => {
  const { bed, reports } = await openBed(context);
  const count = 150;
  const specs = Array.from({ length: count }, () => bed.shell(":"));
  for (const spec of specs) bed.executor.launch(spec);
  for (const spec of specs) await ended(bed, reports, spec);
  const order = reports.said.filter((text) => text.startsWith("started"));
  assert.deepEqual(
    order,
    specs.map(({ run }) => `started ${run}`),
  );
});

test("a run that is stopped while it still waits to be started never starts", async (context) => {
  const { bed, reports } = await openBed(context);
  const first = Array.from({ length: 20 }, () => bed.shell(":"));
  const waiting = bed.shell("echo started");
  for (const spec of [...first, waiting]) bed.executor.launch(spec);
  bed.executor.stop(waiting.run);
  assert.partialDeepStrictEqual(await ended(bed, reports, waiting), { kind: "cancelled" });
  assert.equal(await readAll(bed, waiting.run), undefined);
});

/** A process that uses an executor as a peer does: it launches runs, which print their process ids. */
const peerSource = `
  import { openDisk } from ${JSON.stringify(new URL("../src/real/disk.ts", import.meta.url).href)};
  import { openExecutor } from ${JSON.stringify(new URL("../src/real/executor.ts", import.meta.url).href)};
  const [folder, work, logs, scripts, ...specs] = process.argv.slice(1);
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const disk = await openDisk({ folder, log });
  const executor = openExecutor({ folder: { work, logs, scripts }, disk, log });
  executor.start({ childStarted: (run) => console.log(run), childStuck() {}, childEnded() {} });
  for (const spec of specs) executor.launch(JSON.parse(spec));
  setInterval(() => {}, 1000);
`;

test("when a peer is killed, everything that it had started is ended", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "cicada-executor-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const { work, logs, scripts } = placesIn(folder);
  const specs = [
    shellSpec("echo $$; exec sleep 600"),
    shellSpec(`trap "" TERM; echo $$; while :; do sleep 1; done`),
    shellSpec("setsid sleep 600 & echo $!; wait"),
  ];
  const peer = spawn(
    process.execPath,
    [
      "--input-type=module",
      "-e",
      peerSource,
      folder,
      work,
      logs,
      scripts,
      ...specs.map((spec) => JSON.stringify(spec)),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const said: string[] = [];
  for await (const line of createInterface(peer.stdout)) {
    said.push(line);
    if (said.length === specs.length) break;
  }
  const pidOf = (spec: RunSpec) =>
    Number(readFileSync(join(logs, "running", `${fileNameOf(spec.run)}.log`), "utf8"));
  await until(() => specs.every((spec) => pidOf(spec) > 0));
  const pids = specs.map(pidOf);
  for (const pid of pids) assert.ok(runs(pid));
  peer.kill("SIGKILL");
  await once(peer, "exit");
  await until(() => pids.every((pid) => !runs(pid)));

  const disk = await openDisk({ folder, log: quiet });
  const executor = openExecutor({ folder: placesIn(folder), disk, log: quiet });
  const never = shellSpec("true").run;
  const found = await new Promise<ReadonlySet<RunId>>((done) =>
    executor.findStarted([...specs.map(({ run }) => run), never], done),
  );
  assert.deepEqual(
    [...found],
    specs.map(({ run }) => run),
  );
  await new Promise<void>((done) => executor.close(done));
  await new Promise<void>((done) => disk.close(done));
});

function sleeperOf(run: string) {
  return spawn("/bin/sleep", ["600"], { env: { CICADA_RUN: run }, detached: true, stdio: "ignore" });
}

test("a sweep ends processes left from an earlier start and touches nothing else", async (context) => {
  const { bed } = await openBed(context);
  const run = shellSpec("true").run;
  const survivor = sleeperOf(run);
  const stranger = sleeperOf(`${run}0`);
  context.after(() => stranger.kill("SIGKILL"));
  const gone = once(survivor, "exit");
  bed.executor.sweep([run]);
  await gone;
  assert.equal(survivor.signalCode, "SIGKILL");
  assert.ok(stranger.pid !== undefined && runs(stranger.pid));
});

test("when the launcher dies, its runs are ended, reported as killed, and new ones start", async (context) => {
  const { bed, reports } = await openBed(context);
  const spec = bed.shell("echo $$ $PPID; while :; do sleep 1; done");
  bed.executor.launch(spec);
  await started(bed, reports, spec);
  let pids: number[] = [];
  while (pids.length < 2)
    pids = (await outputOf(bed, spec.run)).trim().split(" ").filter(Boolean).map(Number);
  const [child = 0, launcher = 0] = pids;
  process.kill(launcher, "SIGKILL");
  const outcome: ChildOutcome = await ended(bed, reports, spec);
  assert.partialDeepStrictEqual(outcome, { kind: "signalled", signal: "SIGKILL" });
  assert.equal(runs(child), false);
  assert.partialDeepStrictEqual(await launchToEnd(bed, reports, bed.spec("succeeds")), {
    kind: "exited",
    exitCode: 0,
  });
});

test("a frozen launcher is treated as dead: its runs end, and waiting runs are given back", async (context) => {
  const { bed, reports } = await openBed(context);
  const spec = bed.shell("echo $$ $PPID; while :; do sleep 1; done");
  bed.executor.launch(spec);
  let pids: number[] = [];
  while (pids.length < 2)
    pids = (await outputOf(bed, spec.run)).trim().split(" ").filter(Boolean).map(Number);
  const [child = 0, launcher = 0] = pids;
  process.kill(launcher, "SIGSTOP");
  const waiting = bed.shell("echo started");
  bed.executor.launch(waiting);
  assert.partialDeepStrictEqual(await ended(bed, reports, spec), { kind: "signalled", signal: "SIGKILL" });
  assert.partialDeepStrictEqual(await ended(bed, reports, waiting), { kind: "not-started", why: "host" });
  assert.equal(runs(child), false);
  assert.equal(runs(launcher), false);
  assert.partialDeepStrictEqual(await launchToEnd(bed, reports, bed.spec("succeeds")), { kind: "exited" });
});

test("Ctrl-C, the service manager's TERM and other signals to the whole group don't reach runs before the drain", async (context) => {
  const { bed, reports } = await openBed(context);
  const signalled = join(bed.folder, "signalled");
  const spec = bed.shell(`echo $PPID; until [ -e '${signalled}' ]; do sleep 0.05; done; echo through`);
  bed.executor.launch(spec);
  let launcher = 0;
  while (launcher === 0) launcher = Number(await outputOf(bed, spec.run));
  const byPeople = ["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;
  const bySystem = ["SIGPWR", "SIGXCPU", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGSTKFLT"] as const;
  for (const signal of [...byPeople, ...bySystem]) process.kill(launcher, signal);
  writeFileSync(signalled, "");
  assert.partialDeepStrictEqual(await ended(bed, reports, spec), { kind: "exited", exitCode: 0 });
});

/** An executor on a folder in which an earlier life, or an earlier version, has left these files and stored outputs. */
async function openWith(
  context: TestContext,
  files: Readonly<Record<string, string>>,
  stored: Readonly<Record<string, string>> = {},
): Promise<RealBed> {
  const folder = mkdtempSync(join(tmpdir(), "cicada-executor-"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const bed = await makeBed(quiet, folder);
  context.after(() => bed.end());
  const writes = Object.entries(stored).map(([run, text]) => ({
    kind: "output" as const,
    run: run as RunId,
    bytes: Buffer.from(text),
  }));
  assert.equal(await bed.wait((done) => bed.disk.store(writes, done)), undefined);
  return bed;
}

test("a peer that was killed while an output moved to the database leaves neither a loss nor a stray file", async (context) => {
  const [before, after, large] = [shellSpec("").run, shellSpec("").run, shellSpec("").run];
  const text = "x".repeat(5_000);
  const bed = await openWith(
    context,
    {
      [`logs/running/${before}.log`]: "a",
      [`logs/running/${after}.log`]: "b",
      [`logs/running/${large}.log`]: text,
    },
    { [after]: "b" },
  );
  const found = await bed.wait<ReadonlySet<RunId>>((done) => bed.executor.findStarted([before, after], done));
  assert.deepEqual([...found], [before, after]);
  await until(() => readdirSync(join(bed.folder, "logs", "running")).length === 0);
  assert.deepEqual(bed.files().toSorted(), [before, large].toSorted());
  assert.deepEqual([await outputOf(bed, before), await outputOf(bed, after)], ["a", "b"]);
  assert.equal(await outputOf(bed, large), text);
});

test("what an older version has kept as files is read as ever, and goes when it is dropped", async (context) => {
  const [own, copy] = [shellSpec("").run, shellSpec("").run];
  const bed = await openWith(context, { [`logs/${own}.log`]: "own", "logs/copies/x": "" });
  writeFileSync(join(bed.folder, "logs", "copies", `${copy}.log.gz`), gzipSync("copy"));
  assert.deepEqual([await outputOf(bed, own), await outputOf(bed, copy)], ["own", "copy"]);
  bed.executor.dropLogs([own, copy]);
  await until(() => bed.files().length === 0);
});

test("an output that the database does not take stays a file", async (context) => {
  const { bed, reports } = await openBed(context);
  await bed.wait<void>((done) => bed.disk.close(done));
  const spec = bed.spec("succeeds");
  assert.partialDeepStrictEqual(await launchToEnd(bed, reports, spec), { kind: "exited", exitCode: 0 });
  await until(() => existsSync(join(bed.folder, "logs", `${spec.run}.log`)));
  assert.equal(await outputOf(bed, spec.run), "done\n");
});

test("a copy that is not gzip, or unpacks to more than the limit, is not kept", async (context) => {
  const refused: string[] = [];
  const bed = await makeBed({ ...quiet, warn: (message) => void refused.push(message) });
  context.after(() => bed.end());
  const bomb = gzipSync(Buffer.alloc(80_000_000));
  bed.executor.keepLog(shellSpec("true").run, bomb);
  bed.executor.keepLog(shellSpec("true").run, Buffer.from("not a gzip"));
  bed.executor.keepLog(shellSpec("true").run, Buffer.concat([gzipSync("two"), gzipSync("members")]));
  const understated = gzipSync(Buffer.alloc(60_000_000));
  understated.writeUInt32LE(10_000, understated.length - 4);
  bed.executor.keepLog(shellSpec("true").run, understated);
  const good = shellSpec("true").run;
  bed.executor.keepLog(good, gzipSync(Buffer.alloc(5_000)));
  await until(() => refused.length === 4 && bed.files().includes(good));
  assert.deepEqual(bed.files(), [good]);
});

/** How many bytes this process has read by system calls so far. */
function bytesRead(): number {
  return Number(/^rchar: (\d+)/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
}

test("a copy that is read piece by piece is unpacked only once, even for several readers at a time", async (context) => {
  const { bed } = await openBed(context);
  const { run } = shellSpec("true");
  const whole = randomBytes(4_000_000);
  bed.executor.keepLog(run, gzipSync(whole));
  while ((await pieceOf(bed, run, 0, 1)) === undefined) await sleep(10);
  const before = bytesRead();
  const readInPieces = async (pieceBytes: number) => {
    const pieces: Uint8Array[] = [];
    for (let offset = 0; offset < whole.length;) {
      const piece = await pieceOf(bed, run, offset, pieceBytes);
      assert.ok(piece !== undefined && piece.size === whole.length && piece.bytes.length > 0);
      pieces.push(piece.bytes);
      offset += piece.bytes.length;
    }
    assert.ok(Buffer.concat(pieces).equals(whole));
  };
  await Promise.all([readInPieces(131_072), readInPieces(100_000), readInPieces(50_000)]);
  assert.ok(bytesRead() - before < 5 * whole.length, `${bytesRead() - before} bytes read`);
  const middle = await pieceOf(bed, run, 1_000, 10);
  assert.deepEqual([...(middle?.bytes ?? [])], [...whole.subarray(1_000, 1_010)]);
});

test("file names are safe whatever a run's id contains, and differ if the ids do", () => {
  const ids = [
    "../../etc/passwd",
    "a/b",
    "a%2fb",
    ".hidden",
    "",
    "ü",
    "x".repeat(500),
    "x".repeat(501),
    "job@t~1@p#2",
  ];
  const names = ids.map((id) => fileNameOf(id as RunId));
  assert.equal(new Set(names).size, ids.length);
  for (const name of names) {
    assert.match(name, /^(?!\.)[A-Za-z0-9._~@#:%-]*$/);
    assert.ok(name.length <= 200);
  }
});

test("the output of a precheck that passes is not kept, and its run's output is the job's alone; that of a failing precheck is kept", async (context) => {
  const { bed, reports } = await openBed(context);
  const precheck = bed.shell("echo checked", { isPrecheck: true });
  assert.partialDeepStrictEqual(await launchToEnd(bed, reports, precheck), { kind: "exited", exitCode: 0 });
  reports.said.length = 0;
  const { isPrecheck: _, ...job } = bed.shell("echo done", { run: precheck.run });
  await launchToEnd(bed, reports, job);
  assert.equal(await outputOf(bed, job.run), "done\n");
  const failing = bed.shell("echo not ready; exit 3", { isPrecheck: true });
  assert.partialDeepStrictEqual(await launchToEnd(bed, reports, failing), { kind: "exited", exitCode: 3 });
  assert.equal(await outputOf(bed, failing.run), "not ready\n");
});

test("limits hold for a run's processes, also as another user, and a limit that the host doesn't allow is reported", async (context) => {
  const { bed, reports } = await openBed(context);
  const limits = { nice: 7, memoryBytes: 2_147_483_648, openFiles: 123, processes: 4_321 };
  const asking = "nice; ulimit -v; ulimit -n; prlimit --pid $$ --nproc --noheadings --output SOFT";
  const expected = ["7", "2097152", "123", "4321"];
  const own = bed.shell(asking, {}, { limits });
  assert.partialDeepStrictEqual(await launchToEnd(bed, reports, own), { kind: "exited", exitCode: 0 });
  assert.deepEqual((await outputOf(bed, own.run)).split(/\s+/).filter(Boolean), expected);
  const over = bed.shell(`head -c 100000000 /dev/zero | tail`, {}, { limits: { memoryBytes: 20_000_000 } });
  assert.match(JSON.stringify(await launchToEnd(bed, reports, over)), /"exitCode":[1-9]|signalled/);
  if (process.getuid?.() !== 0) return;
  const other = bed.shell(`id -un; ${asking}`, {}, { limits, user: "nobody", cwd: "/" });
  await launchToEnd(bed, reports, other);
  assert.deepEqual((await outputOf(bed, other.run)).split(/\s+/).filter(Boolean), ["nobody", ...expected]);
});

test("what a program leaves in its group is ended with it and counted, or goes on if the job says so; a stopped run's is always ended", async (context) => {
  const { bed, reports } = await openBed(context);
  const leaving = "sleep 600 >/dev/null 2>&1 & echo $!";
  const pidOf = async (spec: RunSpec) => Number(await outputOf(bed, spec.run));
  const ending = bed.shell(leaving);
  assert.partialDeepStrictEqual(await launchToEnd(bed, reports, ending), { exitCode: 0, leftRunning: 1 });
  assert.equal(runs(await pidOf(ending)), false);
  const two = bed.shell(`${leaving}; ${leaving}; exit 3`);
  assert.partialDeepStrictEqual(await launchToEnd(bed, reports, two), { exitCode: 3, leftRunning: 2 });
  const left = bed.shell(leaving, {}, { leavesBackground: true });
  const { leftRunning, ...outcome } = { leftRunning: undefined, ...(await launchToEnd(bed, reports, left)) };
  assert.partialDeepStrictEqual(outcome, { kind: "exited", exitCode: 0 });
  assert.equal(leftRunning, undefined);
  const pid = await pidOf(left);
  context.after(() => process.kill(pid, "SIGKILL"));
  assert.equal(runs(pid), true);
  const stopped = bed.shell(`${leaving}; wait`, {}, { leavesBackground: true });
  bed.executor.launch(stopped);
  await started(bed, reports, stopped);
  await until(() =>
    /\d/.test(readFileSync(join(bed.folder, "logs", "running", `${fileNameOf(stopped.run)}.log`), "utf8")),
  );
  bed.executor.stop(stopped.run);
  await ended(bed, reports, stopped);
  assert.equal(runs(await pidOf(stopped)), false);
});
