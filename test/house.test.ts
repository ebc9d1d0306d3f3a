/** The house keeps its rooms apart (DESIGN, The house; src/README.md), and these checks can fail. */
import assert from "node:assert/strict";
import { existsSync, globSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import * as limits from "../src/core/limits.ts";
import { marks } from "../src/core/probes/marks.ts";
import { readHouse, type SourceFacts } from "./kit/house-reader.ts";
import {
  banComplaints,
  coreComplaints,
  coreCounts,
  cycles,
  exportComplaints,
  importComplaints,
  kitComplaints,
  peerComplaints,
  placesToReview,
  roomCounts,
  roomOf,
  sliceComplaints,
  unreachedMarks,
  unusedNames,
} from "./kit/house-rules.ts";

const root = path.join(import.meta.dirname, "..");

describe("the house", () => {
  let files: SourceFacts[] = [];
  before(() => {
    files = readHouse(root);
  });
  const src = () => files.filter((file) => file.path.startsWith("src/"));

  test("is read completely: every room, and more than a handful of files", () => {
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
      "ui",
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

  test("within core, imports go from the higher folder to the lower one, state.ts imports only slices, and only its holders import it", () => {
    assert.deepEqual(coreComplaints(files), []);
  });

  test("within peer, too, imports go from the higher folder to the lower one", () => {
    assert.deepEqual(peerComplaints(files), []);
  });

  test("each slice of core's state is changed only in the folder that owns it", () => {
    assert.deepEqual(sliceComplaints(files), []);
    const changed = new Set(files.flatMap((file) => file.stateChanges.map(({ what }) => what.split(".")[1])));
    for (const slice of ["jobs", "ledger", "history", "members", "book", "voting", "upkeep", "operator"]) {
      assert.ok(changed.has(slice), `no change of ${slice} was read`);
    }
  });

  test("every coverage mark is used by a branch", () => {
    assert.deepEqual(unreachedMarks(files, marks), []);
  });

  test("every limit is used", () => {
    assert.deepEqual(unusedNames(files, "src/core/limits.ts", Object.keys(limits)), []);
  });

  test("bench and test share only files of test/kit", () => {
    assert.deepEqual(kitComplaints(files), []);
  });

  test("clocks, randomness, timers and promises stay out of the rooms that the simulator controls", () => {
    assert.deepEqual(banComplaints(files), []);
  });

  test("no default exports and no barrel files", () => {
    assert.deepEqual(exportComplaints(files), []);
  });

  test("no file imports itself by way of others", () => {
    assert.deepEqual(cycles(files), []);
  });

  test("no two rooms, and no two folders of core, import each other, and the tour counts the pairs as they are", async () => {
    const rooms = roomCounts(src());
    const folders = coreCounts(src());
    assert.deepEqual([rooms.mutual, folders.mutual], [0, 0]);
    const tour = await readFile(path.join(root, "src/README.md"), "utf8");
    for (const text of [
      `In ${folders.pairs} of the ${pairsOf(folders.places)} pairs of folders`,
      `in ${rooms.pairs} of the ${pairsOf(rooms.places)} pairs of rooms`,
    ]) {
      assert.ok(tour.includes(text), `src/README.md does not say: ${text}`);
    }
  });

  test("files over 400 and functions over 70 lines are named as places to look at", (context) => {
    const places = placesToReview(src());
    for (const place of places) context.diagnostic(`a place to look at: ${place}`);
    assert.ok(places.length < src().length, "most files are named");
  });
});

function pairsOf(places: number): number {
  return (places * (places - 1)) / 2;
}

const documents = [
  "README.md",
  "src/docs/jobs.md",
  "src/docs/running.md",
  "src/README.md",
  "src/core/README.md",
  "bench/README.md",
];

test("every npm script that a document names exists", async () => {
  const described = await readFile(path.join(root, "package.json"), "utf8");
  for (const file of documents) {
    const text = await readFile(path.join(root, file), "utf8");
    const named = [...text.matchAll(/npm run (?:--silent )?([a-z:]+)/g)].map(([, script]) => script);
    const missing = named.filter((script) => !described.includes(`"${script}":`));
    assert.deepEqual(missing, [], file);
  }
});

/** A heading's name in an address, as GitHub makes it. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");
}

test("every file and section that a document links to exists", async () => {
  for (const file of documents) {
    const text = await readFile(path.join(root, file), "utf8");
    const broken: string[] = [];
    for (const [, link = "", anchor] of text.matchAll(/\]\(([^)#:]*)(?:#([^)]*))?\)/g)) {
      const target = link === "" ? path.join(root, file) : path.join(root, path.dirname(file), link);
      if (!existsSync(target)) broken.push(link);
      else if (anchor !== undefined) {
        const headings = [...(await readFile(target, "utf8")).matchAll(/^#+ (.+)$/gm)];
        if (!headings.some(([, heading = ""]) => anchorOf(heading) === anchor))
          broken.push(`${link}#${anchor}`);
      }
    }
    assert.deepEqual(broken, [], file);
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
  // Such files have names that say so; only these four don't.
  const slow = /^cluster|^faults-|-real$|-seeds$/;
  assert.deepEqual(
    left.filter((name) => !slow.test(name)),
    ["mesh-bytes", "mesh-keys", "planted", "trust"],
  );
});

/** Files with one fault each. */
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
  "src/core/state.ts": [
    'import { enter } from "./claims/book.ts";',
    'import { createBook } from "./claims/book-state.ts";',
    "export interface State { book: { byKey: Map<string, number>; count: number }; now: number }",
    "export const state: State = { book: createBook(), now: enter() };",
  ].join("\n"),
  "src/core/limits.ts": "export const usedMs = 1;\nexport const unusedMs = 2;",
  "src/core/step.ts": [
    'import type { State } from "./state.ts";',
    'import { enter } from "./claims/book.ts";',
    "export const step = (state: State) => { state.now = enter(); state.book.count++; };",
  ].join("\n"),
  "src/core/claims/book-state.ts": "export const createBook = () => ({ byKey: new Map(), count: 0 });",
  "src/core/claims/book.ts": [
    'import { usedMs } from "../limits.ts";',
    'import type { Sweep } from "../orders/runs.ts";',
    "interface State { book: { byKey: Map<string, number>; count: number }; now: number }",
    "export const enter = (sweep?: Sweep) => (sweep === undefined ? usedMs : 0);",
    'export const put = ({ book }: State) => { const { byKey } = book; byKey.set("a", 1); book.count += 1; };',
    "export const turn = (clock: State) => { clock.now = 1; };",
  ].join("\n"),
  "src/core/orders/sweep.ts": [
    'import { step } from "../step.ts";',
    'import { put } from "../claims/book.ts";',
    "interface State { book: { byKey: Map<string, number>; count: number } }",
    "export const sweep = (state: State, word: (text: string) => void) => {",
    "  const { byKey } = state.book;",
    '  if (byKey.size > 0 && byKey.get("a") === 1) byKey.delete("a");',
    "  delete state.book.byKey; word(`told-${byKey.size}`); word('swept');",
    "  return [step, put];",
    "};",
  ].join("\n"),
  "src/core/orders/runs.ts": "export type Sweep = () => void;",
  "src/core/records/ledger-state.ts": "export interface LedgerState { open: Map<string, number> }",
  "src/core/records/ledger.ts": [
    'import type { LedgerState } from "./ledger-state.ts";',
    "export const close = (ledger: LedgerState) => ledger.open.clear();",
  ].join("\n"),
  "src/core/orders/facts.ts": [
    'import type { LedgerState } from "../records/ledger-state.ts";',
    "interface State { jobs: { plans: Map<string, number> } }",
    "export const forget = ({ open }: LedgerState) => open.clear();",
    'export const remove = ({ jobs }: State) => jobs.plans.delete("a");',
  ].join("\n"),
  "src/core/attic/old.ts": "export const old = true;",
  "src/peer/reader.ts": 'import type { State } from "../core/state.ts";\nexport type Whole = State;',
  "src/peer/history/old.ts": 'import { wait } from "../timer.ts";\nexport const old = wait;',
  "src/peer/sync/ask.ts": 'import { old } from "../history/old.ts";\nexport const ask = old;',
  "src/peer/messages/sender.ts": 'import { ask } from "../sync/ask.ts";\nexport const send = ask;',
  "src/peer/attic/new.ts": "export const fresh = 1;",
  "src/peer/timer.ts": "export const wait = (ring: () => void) => setTimeout(ring, 1);",
  "src/sim/dice.ts": "export const throwIt = (): number => Math.random();",
  "src/schema/row.ts": 'import { Compile } from "typebox/compile";\nexport const check = Compile;\n',
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

  test("an import that the table doesn't allow, and a room that isn't in it", () => {
    assert.deepEqual(importComplaints(files).toSorted(), [
      'src/attic/new.ts: there is no room "attic" in the table',
      "src/cli/test.ts:1 cli may not import ../../test/x.ts",
      "src/core/cron.ts:1 core may not import cron-parser",
      "src/core/disk.ts:1 core may not import node:fs",
      "src/core/door.ts:1 core may not import ../real/door.ts",
      "src/core/random.ts:1 core may not import node:crypto",
      "src/identity/key.ts:1 identity may not import ../core/fine-date.ts",
      "src/schema/row.ts:1 schema may not import typebox/compile",
      "src/sim/real.ts:1 sim may not import ../real/door.ts",
    ]);
  });

  test("an import within core against the order, an unknown folder of core, and a file outside core that imports its state", () => {
    assert.deepEqual(coreComplaints(files).toSorted(), [
      'src/core/attic/old.ts: core has no folder "attic"',
      "src/core/claims/book.ts:2 may not import ../orders/runs.ts",
      "src/core/orders/sweep.ts:1 may not import ../step.ts",
      "src/core/state.ts:1 may not import ./claims/book.ts",
      "src/peer/reader.ts:1 may not import ../core/state.ts",
    ]);
  });

  test("an import within peer against the order, one of a file at its top, and an unknown folder", () => {
    assert.deepEqual(peerComplaints(files).toSorted(), [
      'src/peer/attic/new.ts: peer has no folder "attic"',
      "src/peer/history/old.ts:1 may not import ../timer.ts",
      "src/peer/messages/sender.ts:1 may not import ../sync/ask.ts",
    ]);
  });

  test("two rooms, and two folders of core, that import each other", () => {
    assert.equal(coreCounts(files).mutual, 1, "claims and orders");
    assert.equal(roomCounts(files).mutual, 0);
    const roundTrip = files.map((file) =>
      file.path === "src/real/door.ts"
        ? { ...file, imports: files.find(({ path: other }) => other === "src/peer/reader.ts")?.imports ?? [] }
        : file,
    );
    assert.equal(roomCounts(roundTrip).mutual, 1, "core and real");
  });

  test("a slice that another folder changes under any name, but not one that it only reads", () => {
    assert.deepEqual(sliceComplaints(files).toSorted(), [
      "src/core/claims/book.ts:6 may not change state.now",
      "src/core/orders/facts.ts:3 may not change state.ledger.open.clear",
      "src/core/orders/facts.ts:4 may not change state.jobs.plans.delete",
      "src/core/orders/sweep.ts:6 may not change state.book.byKey.delete",
      "src/core/orders/sweep.ts:7 may not change state.book.byKey",
      "src/core/step.ts:3 may not change state.book.count",
    ]);
  });

  test("a mark and a limit that nothing uses", () => {
    assert.deepEqual(unreachedMarks(files, ["swept", "told-late", "never-reached"]), ["never-reached"]);
    assert.deepEqual(unusedNames(files, "src/core/limits.ts", ["usedMs", "unusedMs"]), ["unusedMs"]);
  });

  test("a test that imports a bench, and a bench that imports more of test than the kit", () => {
    assert.deepEqual(kitComplaints(files).toSorted(), [
      "bench/reads.ts:1 may not import ../test/x.ts: share it in test/kit",
      "test/takes.ts:1 may not import ../bench/figure.ts: share it in test/kit",
    ]);
  });

  test("a name that the room may not use, except in comments, strings or pure conversions", () => {
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

  test("a cycle, even one that is closed only by types", () => {
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
    stateChanges: [],
    texts: [],
    functions: [
      { what: "short", line: 1, lines: 70 },
      { what: "long", line: 90, lines: 71 },
    ],
  };
  assert.deepEqual(placesToReview([facts]), [
    "src/core/long.ts: 401 lines",
    "src/core/long.ts:90 long: 71 lines",
  ]);
});
