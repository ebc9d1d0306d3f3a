/** The house keeps its rooms apart (DESIGN, The house; src/README.md), and these checks can fail. */
import assert from "node:assert/strict";
import { existsSync, globSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { readHouse, type SourceFacts } from "./kit/house-reader.ts";
import {
  banComplaints,
  cycles,
  exportComplaints,
  importComplaints,
  kitComplaints,
  placesToLookAt,
  roomOf,
} from "./kit/house-rules.ts";

const root = path.join(import.meta.dirname, "..");

describe("the house", () => {
  let files: SourceFacts[] = [];
  before(() => {
    files = readHouse(root);
  });
  const src = () => files.filter((file) => file.path.startsWith("src/"));

  test("is read whole: every room, and more than a handful of files", () => {
    const rooms = new Set(src().map((file) => roomOf(file.path)));
    for (const room of [
      "schema",
      "errors",
      "ports",
      "identity",
      "core",
      "table",
      "wire",
      "peer",
      "real",
      "sim",
      "api",
      "cli",
    ]) {
      assert.ok(rooms.has(room), `nothing of ${room} was read`);
    }
    assert.ok(src().length > 40, `only ${src().length} files of src were read`);
    assert.ok(files.length > src().length, "no test was read");
    assert.ok(files.some((file) => file.mentions.length > 50));
  });

  test("each room imports only what the table allows, and nothing in src imports test or bench", () => {
    assert.deepEqual(importComplaints(files), []);
  });

  test("bench and test share only what lies in test/kit", () => {
    assert.deepEqual(kitComplaints(files), []);
  });

  test("clock, chance, timers and promises stay outside the rooms that the simulator decides", () => {
    assert.deepEqual(banComplaints(files), []);
  });

  test("no default exports and no barrel files", () => {
    assert.deepEqual(exportComplaints(files), []);
  });

  test("no file imports itself by way of others", () => {
    assert.deepEqual(cycles(files), []);
  });

  test("files over 400 and functions over 70 lines are named as places to look at", (context) => {
    const places = placesToLookAt(src());
    for (const place of places) context.diagnostic(`a place to look at: ${place}`);
    assert.ok(places.length < src().length, "the exception has become the rule");
  });
});

test("every npm script that a README names exists", async () => {
  const described = await readFile(path.join(root, "package.json"), "utf8");
  for (const file of ["README.md", "src/README.md", "bench/README.md"]) {
    const text = await readFile(path.join(root, file), "utf8");
    const named = [...text.matchAll(/npm run (?:--silent )?([a-z:]+)/g)].map(([, script]) => script);
    const missing = named.filter((script) => !described.includes(`"${script}":`));
    assert.deepEqual(missing, [], file);
  }
});

test("every npm script starts a file that exists", async () => {
  const described = await readFile(path.join(root, "package.json"), "utf8");
  const started = [...described.matchAll(/exec node (\S+\.m?[jt]s)/g)].map(([, file]) => file ?? "");
  assert.ok(started.length > 5);
  assert.deepEqual(
    started.filter((file) => !existsSync(path.join(root, file))),
    [],
  );
});

test("every test file is part of npm test, and npm run test:fast leaves out only what needs processes or many worlds", async () => {
  const { scripts } = JSON.parse(await readFile(path.join(root, "package.json"), "utf8")) as {
    scripts: Readonly<Record<string, string>>;
  };
  const filesOf = (script: string): string[] => {
    const pattern = /'([^']+)'/.exec(scripts[script] ?? "")?.[1] ?? "";
    return globSync(pattern, { cwd: root }).toSorted();
  };
  const all = globSync("test/**/*.test.ts", { cwd: root }).toSorted();
  assert.deepEqual(filesOf("test"), all);
  const fast = new Set(filesOf("test:fast"));
  const left = all.filter((file) => !fast.has(file)).map((file) => path.basename(file, ".test.ts"));
  // Files that do so are named for it; these four are the only ones that are not.
  const slow = /^cluster|^faults-|-real$|-seeds$/;
  assert.deepEqual(
    left.filter((name) => !slow.test(name)),
    ["mesh-bytes", "mesh-keys", "planted", "trust"],
  );
});

/** One fault a file; what the check must say of it. */
const planted: Readonly<Record<string, string>> = {
  "src/core/clock.ts": "export const now = (): number => Date.now();",
  "src/core/bare-date.ts": "export const today = (): Date => new Date();",
  "src/core/fine-date.ts":
    "/* Date.now() */ export const text = (ms: number) => new Date(ms).toISOString() + 'Date.now()';",
  "src/core/later.ts": "export async function later(): Promise<void> { await null; }",
  "src/core/disk.ts": 'import { readFileSync } from "node:fs";\nexport const read = readFileSync;',
  "src/core/random.ts": 'import { randomBytes } from "node:crypto";\nexport const bytes = randomBytes;',
  "src/core/hash.ts": 'import { createHash } from "node:crypto";\nexport const hash = createHash;',
  "src/core/cron.ts": 'export const load = () => import("cron-parser");',
  "src/core/door.ts": 'import { open } from "../real/door.ts";\nexport const door = open;',
  "src/core/one.ts": 'import { two } from "./two.ts";\nexport const one: number = two;',
  "src/core/two.ts": 'import type { Three } from "./three.ts";\nexport const two: Three = 2;',
  "src/core/three.ts": 'import { one } from "./one.ts";\nexport type Three = typeof one;',
  "src/identity/key.ts": 'import { step } from "../core/fine-date.ts";\nexport const key = step;',
  "src/peer/timer.ts": "export const wait = (ring: () => void) => setTimeout(ring, 1);",
  "src/sim/dice.ts": "export const throwIt = (): number => Math.random();",
  "src/sim/real.ts": 'export type { Door } from "../real/door.ts";',
  "src/real/door.ts": "export interface Door { open: true }\nexport const open: Door = { open: true };",
  "src/real/default.ts": "export default 1;",
  "src/cli/test.ts": 'import { x } from "../../test/x.ts";\nexport const y = x;',
  "src/attic/new.ts": "export const room = true;",
  "test/x.ts": "export const x = 1;",
  "test/kit/shared.ts": "export const shared = 1;",
  "test/takes.ts": 'import { figure } from "../bench/figure.ts";\nexport const taken = figure;',
  "bench/figure.ts": 'import { shared } from "../test/kit/shared.ts";\nexport const figure = shared;',
  "bench/reads.ts": 'import { x } from "../test/x.ts";\nexport const read = x;',
};

describe("a planted fault is found", () => {
  let folder = "";
  let files: SourceFacts[] = [];
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "cicada-house-"));
    await writeFile(
      path.join(folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions: { types: [], noLib: true }, include: ["src", "test", "bench"] }),
    );
    for (const [name, text] of Object.entries(planted)) {
      await mkdir(path.join(folder, path.dirname(name)), { recursive: true });
      await writeFile(path.join(folder, name), `${text}\n`);
    }
    files = readHouse(folder);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test("every file is read", () => {
    assert.deepEqual(files.map((file) => file.path).toSorted(), Object.keys(planted).toSorted());
  });

  test("imports that the table doesn't allow, and a room that isn't in it", () => {
    assert.deepEqual(importComplaints(files).toSorted(), [
      'src/attic/new.ts: there is no room "attic" in the table',
      "src/cli/test.ts:1 cli may not import ../../test/x.ts",
      "src/core/cron.ts:1 core may not import cron-parser",
      "src/core/disk.ts:1 core may not import node:fs",
      "src/core/door.ts:1 core may not import ../real/door.ts",
      "src/core/random.ts:1 core may not import node:crypto",
      "src/identity/key.ts:1 identity may not import ../core/fine-date.ts",
      "src/sim/real.ts:1 sim may not import ../real/door.ts",
    ]);
  });

  test("a test that imports a bench, and a bench that imports more of test than the kit", () => {
    assert.deepEqual(kitComplaints(files).toSorted(), [
      "bench/reads.ts:1 may not import ../test/x.ts: share it in test/kit",
      "test/takes.ts:1 may not import ../bench/figure.ts: share it in test/kit",
    ]);
  });

  test("names that a room may not use, but not in comments, strings or pure conversions", () => {
    assert.deepEqual(banComplaints(files).toSorted(), [
      "src/core/bare-date.ts:1 core may not use new Date()",
      "src/core/clock.ts:1 core may not use Date.now",
      "src/core/later.ts:1 core may not use async",
      "src/core/later.ts:1 core may not use await",
      "src/core/later.ts:1 core may not use type Promise",
      "src/peer/timer.ts:1 peer may not use setTimeout",
      "src/sim/dice.ts:1 sim may not use Math.random",
    ]);
  });

  test("a default export and a re-export", () => {
    assert.deepEqual(exportComplaints(files).toSorted(), [
      "src/real/default.ts:1 has export default",
      "src/sim/real.ts:1 has export … from",
    ]);
  });

  test("a cycle, even one that only types close", () => {
    assert.deepEqual(cycles(files), [
      "src/core/one.ts → src/core/two.ts → src/core/three.ts → src/core/one.ts",
    ]);
  });
});

test("a long file and a long function are named", () => {
  const facts: SourceFacts = {
    path: "src/core/long.ts",
    lines: 401,
    imports: [],
    mentions: [],
    defaultExports: [],
    reExports: [],
    functions: [
      { what: "short", line: 1, lines: 70 },
      { what: "long", line: 90, lines: 71 },
    ],
  };
  assert.deepEqual(placesToLookAt([facts]), [
    "src/core/long.ts: 401 lines",
    "src/core/long.ts:90 long: 71 lines",
  ]);
});
