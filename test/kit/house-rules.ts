/**
 * The rules of the house: what each room may import, and which names it may not even mention.
 *
 * Facts go in (house-reader.ts), and complaints come out, each with file and line. The rules are data where possible:
 * to allow something new, one adds a visible line here.
 */
import type { Import, SourceFacts } from "./house-reader.ts";

interface Room {
  /** other rooms and single files of src whose values and types may be imported */
  rooms: readonly string[];
  /** those of which only types may be imported */
  types?: readonly string[];
  /** packages from the registry; a trailing `/*` allows a whole scope */
  packages?: readonly string[];
  /** Node's modules: all of them, or some with the names that may be imported */
  node?: "all" | Readonly<Record<string, readonly string[]>>;
}

const hashing = { "node:crypto": ["createHash", "createHmac", "hash"] } as const;
const contract = ["schema", "errors", "ports"] as const;

/** A room is a folder of src, or a single file of src, named without its ending. */
const rooms: Readonly<Record<string, Room>> = {
  schema: {
    rooms: ["schema"],
    types: contract,
    packages: ["typebox", "fastest-levenshtein", "canonicalize"],
  },
  errors: { rooms: ["errors"], types: contract },
  ports: { rooms: [], types: contract },
  identity: { rooms: ["identity", "schema", "errors"], node: hashing },
  core: { rooms: ["core", "schema", "errors"], types: ["ports"], node: hashing },
  table: {
    rooms: ["table", "core", ...contract],
    packages: ["yjs"],
    node: { ...hashing, "node:buffer": ["Buffer", "isUtf8"] },
  },
  wire: { rooms: ["wire", "core", ...contract], packages: ["typebox"], node: hashing },
  peer: { rooms: ["peer", "core", "table", "wire", ...contract] },
  // A mixed world's later version writes what the table's own editor can't.
  sim: { rooms: ["sim", "peer", "core", "table", "wire", ...contract], packages: ["yjs"], node: hashing },
  real: {
    rooms: ["real", "identity", "core", ...contract],
    packages: [
      "libp2p",
      "@libp2p/*",
      "@chainsafe/*",
      "@multiformats/*",
      "@noble/curves",
      "pino",
      "pino-pretty",
      "typebox",
      "re2js",
      "ical.js",
      "windows-iana",
      "undici",
      "nodemailer",
      "aws4fetch",
    ],
    node: "all",
  },
  api: {
    rooms: ["api", ...contract],
    packages: ["fastify", "@fastify/*", "typebox", "@prometheus-io/client"],
    node: "all",
  },
  config: { rooms: ["config", "core", "schema", "errors"], packages: ["yaml"], node: "all" },
  cli: {
    rooms: ["cli", "config", "identity", "core", "schema", "errors"],
    types: ["ports"],
    packages: ["commander", "yaml"],
    node: "all",
  },
  main: { rooms: ["cli"], node: "all" },
  // Makes the published package, and is no part of it.
  build: { rooms: ["build"], packages: ["esbuild", "vite"], node: "all" },
  // What runs in a browser: of the API it knows the types of its answers.
  ui: {
    rooms: ["ui"],
    types: ["api", "schema"],
    packages: ["preact", "@preact/signals", "js-yaml"],
  },
};

/** What single files may import beyond their room's rules. */
const exceptions: Readonly<Record<string, Room>> = {
  "src/core/time/rules.ts": { rooms: [], packages: ["cron-parser"] },
  "src/cli/start/start.ts": { rooms: ["real", "peer", "api", "ports"] },
  "src/cli/start/open-doors.ts": { rooms: ["real"] },
  "src/cli/start/destinations.ts": { rooms: ["real"] },
  // They work on a data folder whose peer need not run. Loaded when the command runs.
  "src/cli/backup/commands.ts": { rooms: ["real"] },
  "src/cli/backup/contents.ts": { rooms: ["real", "table"] },
};

/** Compilers of which only one file of src knows: a check that typebox itself compiles keeps ten times the memory. */
const reserved: Readonly<Record<string, string>> = {
  "typebox/compile": "src/schema/check.ts",
  "typebox/schema": "src/schema/check.ts",
};

const timers = [
  "setTimeout",
  "setInterval",
  "setImmediate",
  "clearTimeout",
  "clearInterval",
  "clearImmediate",
  "queueMicrotask",
  "process.nextTick",
];
/** Time and randomness come through the doors; otherwise the simulator could not control them. */
const undecided = [
  "Date",
  "Date.now",
  "new Date()",
  "Math.random",
  "performance",
  "performance.now",
  "process.hrtime",
];
/** The outside world, and everything that happens later than the call, which core may not use. */
const later = [
  "async",
  "await",
  "Promise",
  "type Promise",
  "new Promise(…)",
  "process",
  "console",
  "fetch",
  "globalThis",
];

const bans: Readonly<Record<string, readonly string[]>> = {
  schema: [...timers, ...undecided, ...later],
  core: [...timers, ...undecided, ...later],
  table: [...timers, ...undecided],
  wire: [...timers, ...undecided],
  peer: [...timers, ...undecided],
  sim: [...timers, ...undecided],
};
/** Names that are banned with all their members. */
const bannedRoots: ReadonlySet<string> = new Set([
  "performance",
  "process",
  "console",
  "globalThis",
  "Promise",
]);

/** `src/core/job/plan.ts` → `core`, `src/ports.ts` → `ports`; undefined outside src. */
export function roomOf(path: string): string | undefined {
  const match = /^src\/([^/]+?)(?:\.[a-z]+$|\/)/.exec(path);
  return match?.[1];
}

/** Every breach of the import table, as `file:line says`. */
export function importComplaints(files: readonly SourceFacts[]): string[] {
  const complaints: string[] = [];
  for (const file of files) {
    const name = roomOf(file.path);
    if (name === undefined) continue;
    const room = rooms[name];
    if (room === undefined) {
      complaints.push(`${file.path}: there is no room "${name}" in the table`);
      continue;
    }
    const extra = exceptions[file.path];
    for (const taken of file.imports) {
      const isAllowed = mayImport(room, taken) || (extra !== undefined && mayImport(extra, taken));
      if (isAllowed && (reserved[taken.specifier] ?? file.path) === file.path) continue;
      complaints.push(`${file.path}:${taken.line} ${name} may not import ${taken.specifier}`);
    }
  }
  return complaints;
}

/**
 * The folders of core, from the lowest to the highest: each imports itself and those before it. All of them may import
 * the files of `sharedByCore`. The other files at core's top import the folders, and never the other way round.
 */
const coreFolders: readonly string[] = [
  "probes",
  "time",
  "checks",
  "job",
  "records",
  "members",
  "claims",
  "voting",
  "orders",
  "operator",
];
const sharedByCore: readonly string[] = ["state", "events", "limits"];

/** The folder of core that a file lies in, "" for core's top, and its name without ending; undefined outside core. */
function placeInCore(path: string | undefined): { folder: string; name: string } | undefined {
  const [, folder = "", name] = /^src\/core\/(?:([^/]+)\/)?([^/]+)\.ts$/.exec(path ?? "") ?? [];
  return name === undefined ? undefined : { folder, name };
}

/**
 * The folders of peer, in the same way: each imports itself and those before it, and none of the files at peer's top, which put
 * the folders together.
 */
const peerFolders: readonly string[] = ["messages", "history", "sync", "outputs", "host", "notices"];

/** Imports from a lower folder of peer to a higher one or to its top, and unknown folders of peer. */
export function peerComplaints(files: readonly SourceFacts[]): string[] {
  return files.flatMap((file) => {
    const folder = folderOfPeer(file.path);
    if (folder === undefined || folder === "") return [];
    if (!peerFolders.includes(folder)) return [`${file.path}: peer has no folder "${folder}"`];
    return file.imports
      .filter((taken) => {
        const there = folderOfPeer(taken.file);
        if (there === undefined) return false;
        return there === "" || peerFolders.indexOf(there) > peerFolders.indexOf(folder);
      })
      .map(({ line, specifier }) => `${file.path}:${line} may not import ${specifier}`);
  });
}

/** "" for peer's top; undefined outside peer. */
function folderOfPeer(path: string | undefined): string | undefined {
  const found = /^src\/peer\/(?:([^/]+)\/)?[^/]+\.ts$/.exec(path ?? "");
  return found === null ? undefined : (found[1] ?? "");
}

/** Only these files hold core's state and pass it to core, without looking into it. No other file of src imports it. */
const stateHolders: readonly string[] = [
  "src/peer/peer.ts",
  "src/peer/assembly.ts",
  "src/peer/status.ts",
  "src/peer/settings.ts",
];

/**
 * Imports from a lower folder of core to a higher one, imports of state.ts other than types and factories, and imports
 * of the state by files of src other than its holders.
 */
export function coreComplaints(files: readonly SourceFacts[]): string[] {
  return files.flatMap((file) => {
    const here = placeInCore(file.path);
    if (here === undefined) return stateComplaints(file);
    if (here.folder !== "" && !coreFolders.includes(here.folder)) {
      return [`${file.path}: core has no folder "${here.folder}"`];
    }
    return file.imports
      .filter((taken) => {
        const there = placeInCore(taken.file);
        if (there === undefined) return false;
        if (here.folder === "") return here.name === "state" && !isTypeOrFactory(taken);
        if (there.folder === "") return !sharedByCore.includes(there.name);
        return coreFolders.indexOf(there.folder) > coreFolders.indexOf(here.folder);
      })
      .map(({ line, specifier }) => `${file.path}:${line} may not import ${specifier}`);
  });
}

export interface ImportCounts {
  places: number;
  /** pairs of places of which one imports the other, or each the other */
  pairs: number;
  /** those of which each imports the other */
  mutual: number;
}

/** How many of the rooms of src import one another. */
export function roomCounts(files: readonly SourceFacts[]): ImportCounts {
  return countImports(files, (path) => roomOf(path) ?? "");
}

/** How many of the folders of core import one another; the files at core's top are left out. */
export function coreCounts(files: readonly SourceFacts[]): ImportCounts {
  return countImports(files, (path) => placeInCore(path)?.folder ?? "");
}

function countImports(files: readonly SourceFacts[], placeOf: (path: string) => string): ImportCounts {
  const places = new Set(files.map(({ path }) => placeOf(path)).filter((place) => place !== ""));
  const arrows = new Set<string>();
  for (const { path, imports } of files) {
    for (const { file = "" } of imports) {
      const [from, to] = [placeOf(path), placeOf(file)];
      if (from !== to && places.has(from) && places.has(to)) arrows.add(`${from} ${to}`);
    }
  }
  const pairs = new Set([...arrows].map((arrow) => arrow.split(" ").toSorted().join(" ")));
  return { places: places.size, pairs: pairs.size, mutual: arrows.size - pairs.size };
}

function stateComplaints({ path, imports }: SourceFacts): string[] {
  if (!path.startsWith("src/") || stateHolders.includes(path)) return [];
  return imports
    .filter(({ file }) => file === "src/core/state.ts")
    .map(({ line, specifier }) => `${path}:${line} may not import ${specifier}`);
}

function isTypeOrFactory({ typeOnly, names }: Import): boolean {
  return typeOnly || names.every((name) => /^(?:create)?[A-Z]/.test(name));
}

/**
 * The slices of core's state, and parts of them that have a type of their own, each with the only folder that may
 * change it. Everything else is changed at core's top.
 */
const slices: Readonly<Record<string, string>> = {
  jobs: "job",
  ledger: "records",
  history: "records",
  announcements: "records",
  members: "members",
  book: "claims",
  voting: "voting",
  roster: "voting",
  voter: "voting",
  proposer: "voting",
  upkeep: "orders",
  operator: "operator",
};

/** Every change of a part of the state outside its owner's folder. */
export function sliceComplaints(files: readonly SourceFacts[]): string[] {
  return files.flatMap((file) =>
    file.stateChanges
      .filter(({ what }) => placeInCore(file.path)?.folder !== (slices[what.split(".")[1] ?? ""] ?? ""))
      .map(({ what, line }) => `${file.path}:${line} may not change ${what}`),
  );
}

/** Marks that no branch can reach, because only their list in core names them. */
export function unreachedMarks(files: readonly SourceFacts[], marks: readonly string[]): string[] {
  const texts = files
    .filter(({ path }) => placeInCore(path) !== undefined && path !== "src/core/probes/marks.ts")
    .flatMap((file) => file.texts);
  const known = new Set(texts);
  const beginnings = texts.filter((text) => /^.+\*$/.test(text)).map((text) => text.slice(0, -1));
  return marks.filter((mark) => !known.has(mark) && !beginnings.some((start) => mark.startsWith(start)));
}

/** The exported names of a file that no file of src imports. */
export function unusedNames(
  files: readonly SourceFacts[],
  path: string,
  exported: readonly string[],
): string[] {
  const taken = files
    .filter((file) => file.path.startsWith("src/"))
    .flatMap((file) => file.imports)
    .filter(({ file }) => file === path)
    .flatMap(({ names }) => names);
  return exported.filter((name) => !taken.includes(name));
}

/** Files that bench and test share are in test/kit: bench imports nothing else of test, and test nothing of bench. */
export function kitComplaints(files: readonly SourceFacts[]): string[] {
  return files.flatMap(({ path, imports }) =>
    imports
      .filter(({ file = "" }) => {
        if (path.startsWith("test/")) return file.startsWith("bench/");
        return path.startsWith("bench/") && file.startsWith("test/") && !file.startsWith("test/kit/");
      })
      .map(({ line, specifier }) => `${path}:${line} may not import ${specifier}: share it in test/kit`),
  );
}

function mayImport(room: Room, taken: Import): boolean {
  if (taken.file !== undefined) {
    const target = roomOf(taken.file);
    if (target === undefined) return false;
    return room.rooms.includes(target) || (taken.typeOnly && (room.types ?? []).includes(target));
  }
  if (taken.specifier.startsWith("node:")) {
    if (room.node === "all") return true;
    const names = room.node?.[taken.specifier];
    return names !== undefined && taken.names.length > 0 && taken.names.every((name) => names.includes(name));
  }
  return (room.packages ?? []).some((allowed) =>
    allowed.endsWith("/*")
      ? taken.specifier.startsWith(allowed.slice(0, -1))
      : taken.specifier === allowed || taken.specifier.startsWith(`${allowed}/`),
  );
}

/** Every name that its room may not mention, as `file:line says`. */
export function banComplaints(files: readonly SourceFacts[]): string[] {
  return files.flatMap((file) => {
    const room = roomOf(file.path);
    const banned = new Set(room === undefined ? [] : bans[room]);
    return file.mentions
      .filter(({ what }) => {
        const [root = ""] = what.split(".");
        return banned.has(what) || (bannedRoots.has(root) && banned.has(root));
      })
      .map(({ what, line }) => `${file.path}:${line} ${room} may not use ${what}`);
  });
}

/** Default exports and barrels, anywhere: each thing has one name and one source file. */
export function exportComplaints(files: readonly SourceFacts[]): string[] {
  return files.flatMap((file) =>
    [...file.defaultExports, ...file.reExports].map(({ what, line }) => `${file.path}:${line} has ${what}`),
  );
}

/** Each cycle of imports once, types included, as `a → b → a`. */
export function cycles(files: readonly SourceFacts[]): string[] {
  const importsOf = new Map(
    files.map((file) => [file.path, [...new Set(file.imports.flatMap((taken) => taken.file ?? []))]]),
  );
  const found = new Set<string>();
  const finished = new Set<string>();
  const walk = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      found.add(fromItsFirst(trail.slice(start)));
      return;
    }
    if (finished.has(path)) return;
    for (const next of importsOf.get(path) ?? []) walk(next, [...trail, path]);
    finished.add(path);
  };
  for (const file of files) walk(file.path, []);
  return [...found];
}

/** Writes a cycle in the same way, wherever it was entered. */
function fromItsFirst(cycle: readonly string[]): string {
  const start = cycle.indexOf(cycle.toSorted()[0] ?? "");
  const turned = [...cycle.slice(start), ...cycle.slice(0, start)];
  return [...turned, turned[0]].join(" → ");
}

/** Above this many lines a file or function is a place to look at, but not a fault. */
const fileLinesAim = 400;
const functionLinesAim = 70;

export function placesToReview(files: readonly SourceFacts[]): string[] {
  return files.flatMap((file) => [
    ...(file.lines > fileLinesAim ? [`${file.path}: ${file.lines} lines`] : []),
    ...file.functions
      .filter(({ lines }) => lines > functionLinesAim)
      .map(({ what, line, lines }) => `${file.path}:${line} ${what}: ${lines} lines`),
  ]);
}
