/** Secrets: what jobs may name, who has the newest value, how values are sealed and kept, and who runs such a job. */
import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, it, test } from "node:test";
import { holderOf } from "../src/api/show/secret-holders.ts";
import { checkJob } from "../src/core/checks/job.ts";
import { fillIn, secretValueProblem } from "../src/core/checks/secrets.ts";
import { settingProblems } from "../src/core/job/settings.ts";
import { whyBlocked } from "../src/core/members/blocked.ts";
import { viewOf } from "../src/core/view.ts";
import { CicadaError } from "../src/errors.ts";
import { generatePeerKey, openKeys, peerIdOf } from "../src/real/keys.ts";
import { openSecrets } from "../src/real/secrets.ts";
import { seal, unseal } from "../src/real/secrets/seal.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import type { JobSpec } from "../src/schema/job.ts";
import {
  secretMaxBytes,
  secretsOfJobMax,
  type HeldSecrets,
  type SealedSecret,
} from "../src/schema/secret.ts";
import { everySeconds } from "../src/sim/client/schedules.ts";
import { worldSecret } from "../src/sim/secrets.ts";
import { World } from "../src/sim/world/world.ts";
import { calmWorld, epoch } from "./kit/calm-world.ts";
import { Cores } from "./kit/cores.ts";

const id = "deploy" as JobId;

describe("a job's secrets are refused with the place and the remedy", () => {
  const http = { url: "https://example.org/${secrets.TOKEN}" };
  const many = Array.from({ length: secretsOfJobMax + 1 }, (_, place) => `S${place}`);
  const cases: [string, object, RegExp][] = [
    ["a name that is no variable's", { secrets: ["my-token"] }, /^\/secrets\/0: a secret's name is that/],
    ["cicada's own variables", { secrets: ["OK", "CICADA_JOB"] }, /^\/secrets\/1: cicada sets CICADA_JOB/],
    [
      "a value of one's own for a run's variable",
      { env: { CICADA_TICK: "x" } },
      /^\/env\/CICADA_TICK: cicada sets/,
    ],
    ["the host's variables", { secrets: ["PATH"] }, /^\/secrets\/0: cicada sets PATH for each run itself/],
    ["a variable of env", { secrets: ["A"], env: { A: "x" } }, /^\/secrets\/0: env has a variable A as well/],
    ["a name twice", { secrets: ["A", "A"] }, /^\/secrets\/1: A is listed twice/],
    ["too many", { secrets: many }, /^\/secrets: secrets is a list of at most 32 names/],
    ["no list", { secrets: "A" }, /^\/secrets: secrets is a list of at most 32 names/],
    [
      "a request's without a place",
      { http: { url: "https://x.org" }, secrets: ["A"] },
      /^\/secrets\/0: .*write \$\{secrets\.A\}/,
    ],
    ["a place without a secret", { http }, /^\/http\/url: .*list TOKEN in secrets as well/],
    [
      "one in a request's host",
      { http: { url: "https://${secrets.H}/x" }, secrets: ["H"] },
      /^\/http\/url: /,
    ],
    [
      "one beside a user",
      { http: { url: "https://u:p@x.org/${secrets.H}" }, secrets: ["H"] },
      /^\/http\/url: an address with a user/,
    ],
  ];
  for (const [title, job, expected] of cases) {
    it(title, () => {
      const check = checkJob({ id, ...("http" in job ? {} : { command: "true" }), ...job });
      assert.ok(!check.ok);
      const texts = check.problems.map(({ pointer, message }) => `${pointer}: ${message}`);
      assert.ok(
        texts.some((text) => expected.test(text)),
        texts.join("\n"),
      );
    });
  }
});

test("a request's secrets are filled in where the job says, and nothing else is", () => {
  const http = {
    url: "https://example.org/a?k=${secrets.A}",
    headers: { Authorization: "Bearer ${secrets.B}" },
    body: '{"k":"${secrets.A}"}',
  };
  assert.ok(checkJob({ id, http, secrets: ["A", "B"] }).ok);
  const values = new Map([
    ["A", "one"],
    ["B", "$& two"],
  ]);
  assert.equal(
    fillIn("${secrets.A} ${secrets.B} ${secrets.C} $A", (name) => values.get(name)),
    "one $& two ${secrets.C} $A",
  );
});

describe("a value", () => {
  const cases: [string, string, RegExp | undefined][] = [
    ["of five characters", "ab\u{1F600}de", /at least 6 characters/],
    ["of six", "abcdef", undefined],
    ["with a NUL byte", "abc\0def", /NUL byte/],
    ["of the most bytes", "x".repeat(secretMaxBytes), undefined],
    ["of more", "é".repeat(secretMaxBytes / 2 + 1), /at most 16384 bytes/],
  ];
  for (const [title, value, problem] of cases) {
    it(`${title} is ${problem === undefined ? "taken" : "refused, without being shown"}`, () => {
      const said = secretValueProblem(value);
      if (problem === undefined) assert.equal(said, undefined);
      else assert.match(said ?? "", problem);
      assert.ok(!(said ?? "").includes(value));
    });
  }
});

// ------------------------------------------------------------------------------------------------------ sealing

const [annKey, bobKey, eveKey] = [generatePeerKey(), generatePeerKey(), generatePeerKey()];
const [ann, bob, eve] = [peerIdOf(annKey), peerIdOf(bobKey), peerIdOf(eveKey)];
const label = { mesh: "0123456789abcdef", name: "TOKEN", version: 1_700_000_000_000 };

function sealed(value: string, peers: readonly PeerId[] = [ann, bob]): SealedSecret {
  const made = seal(value, label, peers);
  assert.ok(!(made instanceof CicadaError));
  return made;
}

describe("a sealed value", () => {
  const value = "correct horse battery staple\n🐎";
  const one = sealed(value);
  const keys = one.keys;

  it("is read by each peer that it is sealed to, and is nowhere in what is replicated", () => {
    assert.equal(unseal(one, label, ann, annKey), value);
    assert.equal(unseal(one, label, bob, bobKey), value);
    const text = JSON.stringify(one);
    for (const form of [value, "correct horse", Buffer.from("correct horse").toString("base64")]) {
      assert.ok(!text.includes(form));
    }
    assert.deepEqual(settingProblems("secrets", "TOKEN", one), []);
  });

  const refused: [string, string | undefined][] = [
    ["by a peer that it isn't sealed to", unseal(one, label, eve, eveKey)],
    ["by another peer in its place", unseal(one, label, bob, eveKey)],
    [
      "with another recipient's key",
      unseal({ ...one, keys: { [eve]: keys[ann] ?? "" } }, label, eve, eveKey),
    ],
    [
      "when two recipients' keys are swapped",
      unseal({ ...one, keys: { [ann]: keys[bob] ?? "" } }, label, ann, annKey),
    ],
    ["under another name", unseal(one, { ...label, name: "OTHER" }, ann, annKey)],
    [
      "as another version",
      unseal({ ...one, version: one.version + 1 }, { ...label, version: one.version + 1 }, ann, annKey),
    ],
    ["in another mesh", unseal(one, { ...label, mesh: "fedcba9876543210" }, ann, annKey)],
    ["with another value's box", unseal({ ...one, box: sealed("another value").box }, label, ann, annKey)],
    [
      "when a bit is changed",
      unseal(
        { ...one, box: `${one.box.slice(0, 40)}${one.box[40] === "A" ? "B" : "A"}${one.box.slice(41)}` },
        label,
        ann,
        annKey,
      ),
    ],
    ["when it is cut off", unseal({ ...one, box: one.box.slice(0, 20) }, label, ann, annKey)],
    ["when its key is no key", unseal({ ...one, keys: { [ann]: "AA" } }, label, ann, annKey)],
    ["when it has nothing", unseal({ ...one, box: "", keys: { [ann]: "" } }, label, ann, annKey)],
  ];
  for (const [title, opened] of refused) it(`is not read ${title}`, () => assert.equal(opened, undefined));

  it("never looks the same twice", () => {
    const again = sealed(value);
    assert.notEqual(again.box, one.box);
    assert.notEqual(again.keys[ann], one.keys[ann]);
  });

  it("isn't sealed to what is no peer", () => {
    assert.ok(seal("a value", label, ["12D3KooWnobody" as PeerId]) instanceof CicadaError);
  });
});

// ------------------------------------------------------------------------------------------------- a peer's folder

describe("a peer's own values", () => {
  const folders: string[] = [];
  after(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));
  const log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: () => undefined,
  };
  const mesh = "0123456789abcdef";

  function opened() {
    const base = mkdtempSync(path.join(tmpdir(), "cicada-secrets-"));
    folders.push(base);
    const folder = path.join(base, "secrets");
    const door = openSecrets({ folder, peerKey: annKey, keys: openKeys({ peerKey: annKey, mesh }), log });
    const readOwn = (rows: Record<string, SealedSecret> = {}) =>
      new Promise<HeldSecrets>((resolve) => door.readOwn(new Map(Object.entries(rows)), resolve));
    const keep = (name: string, value: string, version: number) =>
      new Promise<CicadaError | undefined>((resolve) => door.keep(name, value, version, resolve));
    const valueOf = (name: string) => {
      const found = door.resolve([name]);
      return "values" in found ? found.values.get(name) : found.reason;
    };
    return { folder, door, readOwn, keep, valueOf };
  }

  it("are files that only the peer's user may read, and are read back as they were given", async () => {
    const { folder, keep, readOwn, valueOf } = opened();
    assert.deepEqual((await readOwn()).own, new Map());
    for (const value of ["six or more", "ends with a line\n", "ümläut 😀"]) {
      assert.equal(await keep("TOKEN", value, 1_000_000), undefined);
      assert.equal(valueOf("TOKEN"), value);
    }
    assert.equal(statSync(path.join(folder, "TOKEN")).mode & 0o777, 0o600);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    assert.deepEqual((await readOwn()).own, new Map([["TOKEN", 1_000_000]]));
  });

  it("may be put there by a person; the last line break isn't part of them", async () => {
    const { folder, readOwn, valueOf } = opened();
    mkdirSync(folder);
    writeFileSync(path.join(folder, "TOKEN"), "from a file\n", { mode: 0o600 });
    assert.ok((await readOwn()).own.has("TOKEN"));
    assert.equal(valueOf("TOKEN"), "from a file");
  });

  const faults: [string, (file: string) => void, RegExp][] = [
    [
      "that others may read",
      (file) => chmodSync(file, 0o640),
      /other users may read it \(mode 640\): chmod 600/,
    ],
    ["that is too short", (file) => writeFileSync(file, "short\n"), /at least 6 characters/],
    ["that is no text", (file) => writeFileSync(file, Buffer.alloc(20, 0xff)), /not UTF-8/],
    ["that is too large", (file) => writeFileSync(file, "x".repeat(20_000)), /more than 16384 bytes/],
    ["that is a link", (file) => (rmSync(file), symlinkSync("/etc/hostname", file)), /it is a link/],
    ["that is a folder", (file) => (rmSync(file), mkdirSync(file, 0o700)), /it is not a plain file/],
  ];
  for (const [title, spoil, says] of faults) {
    it(`are not read from a file ${title}, and that is said`, async () => {
      const { folder, keep, readOwn, valueOf } = opened();
      await keep("TOKEN", "a good value", 1_000_000);
      spoil(path.join(folder, "TOKEN"));
      const held = await readOwn();
      assert.deepEqual(held.own, new Map());
      assert.match(held.faults.get("TOKEN") ?? "", says);
      assert.match(valueOf("TOKEN") ?? "", /doesn't have the newest value of the secret TOKEN/);
    });
  }

  it("count only if they are newer than what is sealed, for this peer or for others", async () => {
    const { keep, readOwn, valueOf } = opened();
    await keep("TOKEN", "its own value", label.version - 1);
    await readOwn({ TOKEN: sealed("for ann, newer") });
    assert.equal(valueOf("TOKEN"), "for ann, newer");
    await readOwn({ TOKEN: sealed("for bob alone", [bob]) });
    assert.match(valueOf("TOKEN") ?? "", /doesn't have the newest value/);
    await keep("TOKEN", "its own, newest", label.version + 1);
    await readOwn({ TOKEN: sealed("for ann, older") });
    assert.equal(valueOf("TOKEN"), "its own, newest");
  });

  it("and what can't be opened is told apart from what is not for this peer", async () => {
    const { readOwn } = opened();
    const good = sealed("for ann");
    const held = await readOwn({ GOOD: { ...good }, TOKEN: good, OTHERS: sealed("for bob", [bob]) });
    // It was sealed under the name TOKEN.
    assert.deepEqual(held.unopened, ["GOOD"]);
  });

  it("are at most 64 KiB together in one job", async () => {
    const { keep, readOwn, door } = opened();
    const names = ["A", "B", "C", "D", "E"];
    for (const name of names) await keep(name, "x".repeat(16_000), 1_000_000);
    await readOwn();
    const found = door.resolve(names);
    assert.ok("reason" in found && found.why === "error");
    assert.ok("values" in door.resolve(names.slice(1)));
  });

  it("are durable before they are acknowledged, and a half-written file is none", async () => {
    const { folder, keep, readOwn } = opened();
    await keep("TOKEN", "a good value", 1_000_000);
    writeFileSync(path.join(folder, "TOKEN.new"), "half", { mode: 0o600 });
    assert.deepEqual([...(await readOwn()).own.keys()], ["TOKEN"]);
    assert.equal(readFileSync(path.join(folder, "TOKEN"), "utf8"), "a good value\n");
  });
});

// ---------------------------------------------------------------------------------------------- who runs such a job

const job: JobSpec = { id, schedule: "@every 10s", command: "true", secrets: ["TOKEN"] };
const row = (version: number, ...peers: string[]): SealedSecret => ({
  version,
  box: "AA",
  keys: Object.fromEntries(peers.map((peer) => [peer, "AA"])),
});

const own = (version: number) =>
  ({ kind: "secrets", held: { own: { TOKEN: version }, unopened: [] } }) as const;

function runners(cores: Cores, ms: number): string[] {
  const from = cores.starts.length;
  cores.pass(ms);
  return [...new Set(cores.starts.slice(from).map(({ peer }) => String(peer)))].toSorted();
}

describe("a job with a secret", () => {
  it("is run only where a peer has a value of its own", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.feed("b" as PeerId, own(5));
    cores.put(job);
    assert.deepEqual(runners(cores, 60_000), ["b"]);
    assert.ok(cores.starts.length >= 5, "each tick has run");
  });

  it("is run only by peers that the newest value is sealed to, and they change with it", () => {
    const cores = new Cores(["a", "b", "c"]);
    cores.set("secrets", "TOKEN", row(10, "a", "b"));
    cores.put(job);
    assert.deepEqual(runners(cores, 200_000), ["a", "b"]);
    cores.set("secrets", "TOKEN", row(11, "c"));
    cores.pass(10_000);
    assert.deepEqual(runners(cores, 60_000), ["c"]);
  });

  it("is not run by a peer whose own value is older than the sealed one", () => {
    const cores = new Cores(["a", "b"]);
    cores.feed("a" as PeerId, own(9));
    cores.set("secrets", "TOKEN", row(10, "b"));
    cores.put(job);
    assert.deepEqual(runners(cores, 60_000), ["b"]);
    cores.feed("a" as PeerId, own(11));
    cores.pass(2_000);
    assert.deepEqual(runners(cores, 200_000), ["a", "b"]);
  });

  it("is not run by a peer that can't open what is sealed to it", () => {
    const cores = new Cores(["a", "b"]);
    cores.set("secrets", "TOKEN", row(10, "a", "b"));
    cores.feed("a" as PeerId, { kind: "secrets", held: { own: {}, unopened: ["TOKEN"] } });
    cores.put(job);
    assert.deepEqual(runners(cores, 60_000), ["b"]);
  });

  it("counts as one that a peer can't open if that peer can't open too many to list them", () => {
    const cores = new Cores(["a", "b"]);
    const names = Array.from({ length: 200 }, (_, place) => `S${place}`);
    for (const name of names) cores.set("secrets", name, row(10, "a", "b"));
    cores.feed("a" as PeerId, { kind: "secrets", held: { own: {}, unopened: names } });
    cores.pass(2_000);
    const control = {
      settings: () => cores.settings.get("secrets") ?? new Map(),
      heldSecrets: () => ({ own: new Map(), faults: new Map(), unopened: [] }),
    };
    const state = cores.state("b");
    const { members } = viewOf(state, state.now, new Map(), [], {});
    const holders = members.map((member) => holderOf(control, "S199", member));
    assert.deepEqual(holders.map(({ id: peer, has, from }) => `${peer} ${has} ${from}`).toSorted(), [
      "a false sealed",
      "b true sealed",
    ]);
  });

  it("isn't run by a peer of a version without secrets", () => {
    const cores = new Cores(["a", "b"], { capabilities: { b: ["executor:process", "majority"] } });
    cores.set("secrets", "TOKEN", row(10, "a", "b"));
    cores.put(job);
    assert.deepEqual(runners(cores, 60_000), ["a"]);
  });

  it("that no living peer has is blocked and says which secret; it runs as soon as a peer has it", () => {
    const cores = new Cores(["a", "b"]);
    cores.put(job);
    cores.pass(30_000);
    assert.equal(cores.starts.length, 0);
    const plan = cores.state("a").jobs.plans.get(id);
    assert.ok(plan !== undefined);
    const { message } = whyBlocked(cores.state("a"), plan) ?? { message: "" };
    assert.match(
      message,
      /^host-a and host-b don't have the newest value of the secret TOKEN \(cicada secrets set\)$/,
    );
    cores.set("secrets", "TOKEN", row(10, "b"));
    assert.deepEqual(runners(cores, 20_000), ["b"]);
  });

  it("gives its name, and no value, to what starts the run", () => {
    const cores = new Cores(["a"]);
    const named: unknown[] = [];
    cores.onEffect = (_peer, effect) => {
      if (effect.kind === "start") named.push(effect.spec.secrets);
    };
    cores.feed("a" as PeerId, own(5));
    cores.put(job);
    cores.pass(15_000);
    assert.deepEqual(named[0], ["TOKEN"]);
  });
});

test("in a simulated mesh, a job's secret decides who runs it, before and after it is sealed to others", () => {
  const world = new World({ ...calmWorld, seed: "secrets", peers: 3, skewMs: 0, driftPpm: 0 });
  const [first, second, third] = world.peers;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  world.hosts.get(second).storage.secrets.set(worldSecret, { value: "on its disk", version: epoch });
  for (const peer of world.peers) world.hosts.start(peer);
  world.at(epoch + 20_000, () => {
    const rules = { id, schedule: everySeconds(10), overlap: "allow", secret: true } as const;
    const catchUp = { policy: "none", windowMs: 0 } as const;
    world.ask(first, { kind: "put", rules: { ...rules, catchUp, peers: undefined } });
  });
  world.at(epoch + 120_000, () => {
    const value = { version: epoch + 120_000, box: "AA", keys: { [first]: first, [third]: "other" } };
    const command = { kind: "put-setting", setting: "secrets", name: worldSecret, value, by: "ann" } as const;
    world.hosts.get(first).life?.peer.command(command, () => undefined);
  });
  world.runUntil(epoch + 240_000);
  const { runs } = world.evidence(epoch + 240_000, []);
  const early = runs.filter(({ start }) => start > epoch + 30_000 && start < epoch + 119_000);
  assert.ok(early.length >= 8 && early.every(({ peer }) => peer === second));
  // Of the two that it is sealed to, the third one can't open it; and the second one's own value is older.
  const late = runs.filter(({ start }) => start > epoch + 130_000);
  assert.ok(late.length >= 10 && late.every(({ peer }) => peer === first));
});
