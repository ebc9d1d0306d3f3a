/** Scripts (peer/host/scripts.ts): fetched ahead by every peer, verified, kept while a job names them; and who runs such a job. */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { actionOf } from "../src/core/checks/action.ts";
import { checkJob, checkedJob } from "../src/core/checks/job.ts";
import { scriptName } from "../src/core/checks/script.ts";
import { whyBlocked } from "../src/core/members/blocked.ts";
import { CicadaError } from "../src/errors.ts";
import { ScriptStore } from "../src/peer/host/scripts.ts";
import type { Scripts } from "../src/ports/scripts.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import type { Job, JobSpec } from "../src/schema/job.ts";
import type { MessageOf } from "../src/schema/message.ts";
import { scriptCapBytes, scriptsCapBytes } from "../src/schema/script.ts";
import { everySeconds } from "../src/sim/client/schedules.ts";
import { worldScript } from "../src/sim/scripts.ts";
import { World } from "../src/sim/world/world.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";
import { Cores } from "./kit/cores.ts";

const script = { interpreter: "python3", sha256: scriptName(Buffer.from("print(1)\n")) };
const id = "report" as JobId;

describe("a job with a script is refused with the place and the remedy", () => {
  const cases: [string, object, RegExp][] = [
    [
      "no interpreter",
      { script: { sha256: script.sha256 } },
      /^\/script\/interpreter: interpreter is the name/,
    ],
    ["no bytes", { script: { interpreter: "sh" } }, /^\/script\/sha256: sha256 is the 64 hex digits/],
    [
      "a name that is no SHA-256",
      { script: { ...script, sha256: "abc" } },
      /^\/script\/sha256: sha256 is the 64 hex/,
    ],
    [
      "an interpreter with options",
      { script: { ...script, interpreter: "python3 -u" } },
      /^\/script\/interpreter: "python3 -u" is neither/,
    ],
    [
      "an interpreter in a relative folder",
      { script: { ...script, interpreter: "bin/python3" } },
      /^\/script\/interpreter: .* is neither/,
    ],
    [
      "an argument with a NUL",
      { script: { ...script, args: ["a", "b\0"] } },
      /^\/script\/args\/1: a NUL byte/,
    ],
    ["a command beside it", { script, command: "x" }, /^\/script: give either command or script, not both/],
    [
      "another executor",
      { script, executor: "exec" },
      /^\/executor: .* does not take script: write "script"/,
    ],
    ["an unknown field", { script: { ...script, body: "x" } }, /^\/script\/body: unknown field/],
  ];
  for (const [title, job, expected] of cases) {
    it(title, () => {
      const check = checkJob({ id, ...job });
      assert.ok(!check.ok);
      assert.deepEqual(check.problems.length, 1);
      const [{ pointer, message } = { pointer: "", message: "" }] = check.problems;
      assert.match(`${pointer}: ${message}`, expected);
    });
  }
});

test("a script is run by its interpreter, with its arguments behind its file", () => {
  const action = actionOf({ id, script: { ...script, args: ["a", "b c"] } });
  assert.partialDeepStrictEqual(action, {
    kind: "process",
    argv: ["python3", "a", "b c"],
    script: script.sha256,
  });
});

const job: JobSpec = { id, schedule: "@every 10s", script };

describe("a job with a script", () => {
  const elsewhere: [string, readonly string[]][] = [
    ["without the script", [`script:${script.sha256}`]],
    ["without the interpreter", ["interpreter:python3"]],
    ["that allows no scripts", ["executor:script"]],
    ["that lacks more scripts than it can name", ["script:*"]],
  ];
  for (const [title, lacks] of elsewhere) {
    it(`isn't run by a peer ${title}`, () => {
      const cores = new Cores(["a", "b"], { lacks: { b: lacks } });
      cores.pass(10_000);
      cores.put(job);
      cores.pass(60_000);
      assert.ok(cores.starts.length >= 5 && cores.starts.every(({ peer }) => peer === "a"));
    });
  }

  it("isn't run by a peer of a version without scripts", () => {
    const cores = new Cores(["a", "b"], { capabilities: { b: ["executor:process", "majority"] } });
    cores.pass(10_000);
    cores.put(job);
    cores.pass(60_000);
    assert.ok(cores.starts.length >= 5 && cores.starts.every(({ peer }) => peer === "a"));
  });

  it("waits for the script, and runs as soon as a peer has it", () => {
    const cores = new Cores(["a", "b"]);
    const lacks = [`script:${script.sha256}`];
    for (const peer of ["a", "b"] as PeerId[]) cores.feed(peer, { kind: "equipment", lacks });
    cores.put(job);
    cores.pass(30_000);
    assert.equal(cores.starts.length, 0);
    const plan = cores.state("a").jobs.plans.get(id);
    assert.ok(plan !== undefined);
    const { message } = whyBlocked(cores.state("a"), plan) ?? { message: "" };
    assert.match(message, /host-a and host-b don't have the script [0-9a-f]{12}… yet \(PUT \/v1\/scripts/);
    cores.feed("b" as PeerId, { kind: "equipment", lacks: [] });
    cores.pass(20_000);
    assert.ok(cores.starts.length >= 2 && cores.starts.every(({ peer }) => peer === "b"));
  });
});

// ------------------------------------------------------------------------------------------------ the keepers

/** Some keepers side by side, whose messages arrive at once unless they are cut. */
class Mesh {
  readonly keepers = new Map<PeerId, ScriptStore>();
  readonly disks = new Map<PeerId, Map<string, Uint8Array>>();
  readonly lacks = new Map<PeerId, readonly string[]>();
  readonly counts: string[] = [];
  /** messages from one peer to another, which may be changed on their way */
  tamper: (message: MessageOf<"blob-read" | "blob-piece">) => typeof message | undefined = (message) =>
    message;
  mono = 0;
  #alarms: { at: number; ring: () => void }[] = [];
  #due: (() => void)[] = [];

  readonly later = (act: () => void): void => void this.#due.push(act);

  add(name: string, jobs: readonly Job[] = [], installed: readonly string[] = ["python3", "sh"]): PeerId {
    const peer = name as PeerId;
    const disk = this.disks.get(peer) ?? new Map<string, Uint8Array>();
    this.disks.set(peer, disk);
    const { later } = this;
    const door: Scripts = {
      list: (done) => later(() => done(new Map([...disk].map(([key, bytes]) => [key, bytes.length])))),
      store: (sha256, bytes, done) =>
        later(() => {
          disk.set(sha256, bytes);
          done();
        }),
      read: (sha256, done) => later(() => done(disk.get(sha256))),
      remove: (sha256) => void disk.delete(sha256),
      missingInterpreters: (names, done) =>
        later(() => done(names.filter((one) => !installed.includes(one)))),
      lookUpUsers: (names, found) => later(() => names.forEach((user) => found(user, false))),
    };
    const keeper = new ScriptStore(
      {
        door,
        clock: {
          now: () => ({ wall: this.mono, mono: this.mono }),
          alarm: (at, ring) => {
            const alarm = { at, ring };
            this.#alarms.push(alarm);
            return () => (this.#alarms = this.#alarms.filter((one) => one !== alarm));
          },
        },
        send: (to, sent) => {
          const message = this.tamper(sent as MessageOf<"blob-read" | "blob-piece">);
          if (message !== undefined) later(() => this.keepers.get(to)?.heard(peer, message));
        },
        living: () => [...this.keepers.keys()].filter((other) => other !== peer),
        lacks: (items) => this.lacks.set(peer, items),
        count: (what) => this.counts.push(what),
        note: (_entries, done) => done(),
      },
      jobs,
    );
    this.keepers.set(peer, keeper);
    keeper.begin();
    this.pass(0);
    return peer;
  }

  pass(ms: number): void {
    const until = this.mono + ms;
    for (;;) {
      for (let act = this.#due.shift(); act !== undefined; act = this.#due.shift()) act();
      for (const keeper of this.keepers.values()) keeper.woke(this.mono);
      for (const alarm of this.#alarms.filter(({ at }) => at <= this.mono)) {
        this.#alarms = this.#alarms.filter((one) => one !== alarm);
        alarm.ring();
      }
      if (this.#due.length > 0) continue;
      if (this.mono >= until) return;
      this.mono += Math.min(1_000, until - this.mono);
    }
  }

  keeper(peer: PeerId): ScriptStore {
    const keeper = this.keepers.get(peer);
    assert.ok(keeper !== undefined);
    return keeper;
  }

  put(peer: PeerId, bytes: Uint8Array): { sha256: string; created: boolean } | CicadaError | undefined {
    let stored: { sha256: string; created: boolean } | CicadaError | undefined;
    this.keeper(peer).put(
      bytes,
      () => [],
      (result) => (stored = result),
    );
    this.pass(0);
    return stored;
  }

  use(peer: PeerId, sha256: string, name = "report"): void {
    this.keeper(peer).jobsChanged([{ id: name as JobId, job: jobWith(sha256, name) }]);
    this.pass(0);
  }
}

function jobWith(sha256: string, name = "report"): Job {
  const spec = checkedJob({ id: name as JobId, script: { ...script, sha256 } });
  const never = { createdAt: 0, updatedAt: 0, scheduledAt: 0, resumedAt: 0, failuresFrom: 0 };
  return { id: spec.id, spec, revision: "r", updatedBy: "x", pauses: [], needs: [], ...never };
}

const large = Buffer.alloc(scriptCapBytes, "print(1)\n");

test("a script is fetched by a peer as soon as a job names it, in pieces, and is the same bytes", () => {
  const mesh = new Mesh();
  const [a, b] = [mesh.add("a"), mesh.add("b")];
  const stored = mesh.put(a, large);
  assert.deepEqual(stored, { sha256: scriptName(large), created: true });
  assert.equal(mesh.disks.get(b)?.size, 0, "no job names it yet");
  mesh.use(b, scriptName(large));
  assert.deepEqual(Buffer.from(mesh.disks.get(b)?.get(scriptName(large)) ?? []), large);
  assert.deepEqual(mesh.lacks.get(b), []);
  assert.deepEqual(mesh.put(a, large), { sha256: scriptName(large), created: false });
});

test("a script is fetched within a minute although a peer answers with one byte after the other, as if it had it", () => {
  const mesh = new Mesh();
  const [a, b] = [mesh.add("a"), mesh.add("b")];
  mesh.put(a, large);
  let asked = 0;
  const liars = Array.from({ length: 8 }, (_, index) => `liar-${index}` as PeerId);
  for (const liar of liars) {
    mesh.keepers.set(liar, {
      woke: () => undefined,
      heard: (from: PeerId, question: MessageOf<"blob-read">) => {
        assert.ok(asked++ < 1_000, "a peer is asked for ever");
        const bytes = large.subarray(question.offset, question.offset + 1).toString("base64");
        const answer = { ...question, kind: "blob-piece" as const, size: large.length, bytes };
        mesh.later(() => mesh.keeper(from).heard(liar, answer));
      },
    } as unknown as ScriptStore);
  }
  mesh.use(b, scriptName(large));
  mesh.pass(60_000);
  assert.deepEqual(mesh.lacks.get(b), []);
});

test("a peer that starts, or whose script has gone from its disk, fetches it again", () => {
  const mesh = new Mesh();
  const a = mesh.add("a");
  mesh.put(a, large);
  const b = mesh.add("b", [jobWith(scriptName(large))]);
  assert.equal(mesh.disks.get(b)?.size, 1);
  mesh.disks.get(b)?.clear();
  mesh.keeper(b).checkOf("report@2026-11-20T02:00:00Z~1@x" as never);
  mesh.pass(10_000);
  assert.equal(mesh.disks.get(b)?.size, 1);
  assert.deepEqual(mesh.lacks.get(b), []);
});

test("a peer says which scripts and interpreters it lacks, and asks again until a peer has the script", () => {
  const mesh = new Mesh();
  const [a, b] = [mesh.add("a"), mesh.add("b", [], [])];
  mesh.use(b, scriptName(large));
  assert.deepEqual(mesh.lacks.get(b), ["interpreter:python3", `script:${scriptName(large)}`]);
  mesh.pass(60_000);
  mesh.put(a, large);
  mesh.pass(10_000);
  assert.deepEqual(mesh.lacks.get(b), ["interpreter:python3"]);
});

describe("a peer that sends other bytes than the script's is passed over", () => {
  const cases: [string, (piece: MessageOf<"blob-piece">) => MessageOf<"blob-piece"> | undefined][] = [
    ["changed bytes", (piece) => ({ ...piece, bytes: Buffer.from("evil").toString("base64"), size: 4 })],
    ["another offset", (piece) => ({ ...piece, offset: piece.offset + 1 })],
    ["no bytes", (piece) => ({ ...piece, bytes: "" })],
    ["more bytes than it says", (piece) => ({ ...piece, size: 1 })],
    ["nothing at all", () => undefined],
  ];
  for (const [title, change] of cases) {
    it(title, () => {
      const mesh = new Mesh();
      const [a, b, c] = [mesh.add("a"), mesh.add("b"), mesh.add("c")];
      for (const peer of [a, b]) mesh.put(peer, large);
      let liar: number | undefined;
      mesh.tamper = (message) => {
        if (message.kind === "blob-read") return message;
        // Whoever answers first lies in every answer to that question.
        liar ??= message.id;
        return message.id === liar ? change(message) : message;
      };
      mesh.use(c, scriptName(large));
      mesh.pass(10_000);
      assert.deepEqual(Buffer.from(mesh.disks.get(c)?.get(scriptName(large)) ?? []), large);
    });
  }
});

test("a script that no job names is removed after a day, and not before", () => {
  const mesh = new Mesh();
  const a = mesh.add("a");
  const other = Buffer.from("other");
  mesh.put(a, large);
  mesh.put(a, other);
  mesh.use(a, scriptName(other));
  mesh.pass(23 * 3_600_000);
  assert.equal(mesh.disks.get(a)?.size, 2);
  mesh.pass(2 * 3_600_000);
  assert.deepEqual([...(mesh.disks.get(a)?.keys() ?? [])], [scriptName(other)]);
  mesh.keeper(a).jobsChanged([{ id, job: undefined }]);
  mesh.pass(25 * 3_600_000);
  assert.equal(mesh.disks.get(a)?.size, 0);
});

test("scripts take only so much of a peer's disk: unused ones make room, and then another one is refused", () => {
  const mesh = new Mesh();
  const a = mesh.add("a");
  const scripts = Array.from({ length: scriptsCapBytes / scriptCapBytes + 1 }, (_, index) => {
    const bytes = Buffer.alloc(scriptCapBytes);
    bytes.writeUInt32LE(index);
    return bytes;
  });
  for (const bytes of scripts) assert.ok(!(mesh.put(a, bytes) instanceof CicadaError));
  assert.equal(mesh.disks.get(a)?.size, scripts.length - 1);
  for (const [index, sha256] of [...(mesh.disks.get(a)?.keys() ?? [])].entries())
    mesh.use(a, sha256, `job-${index}`);
  const refused = mesh.put(a, Buffer.from("one more"));
  assert.ok(refused instanceof CicadaError && refused.code === "SCRIPTS_FULL");
});

test("a script is read from another peer by one that doesn't have it", () => {
  const mesh = new Mesh();
  const [a, b] = [mesh.add("a"), mesh.add("b")];
  mesh.put(a, large);
  const found: (Uint8Array | undefined)[] = [];
  for (const sha256 of [scriptName(large), scriptName(Buffer.from("nobody's"))]) {
    mesh.keeper(b).get(sha256, (bytes) => found.push(bytes));
    mesh.pass(10_000);
  }
  assert.deepEqual([found[0] && Buffer.from(found[0]), found[1]], [large, undefined]);
});

test("in a mesh where one peer has the script, the others fetch it and run the job when that peer is dead", () => {
  const world = new World({ ...calmWorld, seed: "scripts", peers: 3, skewMs: 0, driftPpm: 0 });
  const [first, ...others] = world.peers;
  assert.ok(first !== undefined);
  for (const peer of others) world.hosts.get(peer).storage.scripts.clear();
  for (const peer of world.peers) world.hosts.start(peer);
  world.at(epoch + 20_000, () => {
    const rules = { id, schedule: everySeconds(10), overlap: "allow", script: true } as const;
    const catchUp = { policy: "none", windowMs: 0 } as const;
    world.ask(first, { kind: "put", rules: { ...rules, catchUp, peers: undefined } });
  });
  world.at(epoch + 60_000, () => world.hosts.kill(first, true));
  world.runUntil(epoch + 180_000);
  for (const peer of others) {
    assert.ok(world.hosts.get(peer).storage.scripts.has(worldScript.use.sha256), `${peer} has fetched it`);
  }
  const late = world.evidence(epoch + 180_000, []).runs.filter(({ start }) => start > epoch + 80_000);
  assert.ok(late.length >= 9 && late.every(({ peer }) => peer !== first));
});
