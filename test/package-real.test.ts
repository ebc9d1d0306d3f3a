/** The published package: packed, installed from its tarball into an empty folder, and used as its user would. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { publint } from "publint";
import { formatNotices, packagesOf } from "../src/build/notices.ts";
import { freePort, plainEnv, readReadyFile, root, Started, until } from "./kit/cluster.ts";

const limitMs = 60_000;
const run = promisify(execFile);

/** An environment in which npm runs on the Node of this test. */
function npmEnv(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const env = plainEnv(more);
  return { ...env, PATH: `${path.dirname(process.execPath)}:${env["PATH"] ?? ""}` };
}

const icalendar = [
  "BEGIN:VCALENDAR",
  "VERSION:2.0",
  "BEGIN:VEVENT",
  "UID:1",
  "DTSTART;VALUE=DATE:20260101",
  "RRULE:FREQ=YEARLY",
  "END:VEVENT",
  "END:VCALENDAR",
  "",
].join("\r\n");

function bytesOf(read: ReadonlyMap<string, string>): number {
  return [...read.values()].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

interface Packed {
  filename: string;
  size: number;
  files: { path: string }[];
}

describe("the package", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "cicada-package-"));
  const empty = path.join(folder, "empty");
  const installed = path.join(empty, "node_modules", "cicada-cron");
  const started: Started[] = [];
  let packed: Packed;

  before(async () => {
    const words = ["pack", "--json", "--pack-destination", folder];
    // What the build prints comes before the list.
    const { stdout } = await run("npm", words, { cwd: root, env: npmEnv(), maxBuffer: 1 << 24 });
    [packed] = JSON.parse(stdout.slice(stdout.indexOf("[\n"))) as [Packed];
    mkdirSync(empty);
    writeFileSync(path.join(empty, "package.json"), "{}");
    const tarball = path.join(folder, packed.filename);
    await run("npm", ["install", "--no-audit", "--no-fund", tarball], { cwd: empty, env: npmEnv() });
  });
  after(() => {
    // npx starts the peer as a child of its own, so the whole group is ended.
    for (const { pid, hasEnded } of started) if (!hasEnded) process.kill(-pid, "SIGKILL");
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  });

  async function cicada(data: string, ...words: string[]): Promise<string> {
    const env = npmEnv({ CICADA_DATA: data });
    return (await run("npx", ["--no-install", "cicada-cron", ...words], { cwd: empty, env })).stdout;
  }

  async function start(data: string, ...more: string[]): Promise<Started> {
    const port = await freePort();
    const flags = [`--data=${data}`, "--http=127.0.0.1:0", `--listen=127.0.0.1:${port}`];
    const script = 'cd "$1" && shift && exec npx --no-install cicada-cron start "$@"';
    const peer = new Started("sh", ["-c", script, "sh", empty, ...flags, ...more], npmEnv(), true);
    started.push(peer);
    await until("the peer is ready", limitMs, () => {
      if (peer.hasEnded) throw new Error(peer.said);
      return readReadyFile(data);
    });
    return peer;
  }

  test("holds the program and nothing that a user doesn't need: no sources, no tests, no Node, no packages to install", () => {
    const names = packed.files.map((file) => file.path);
    for (const name of [
      "LICENSE",
      "README.md",
      "src/docs/jobs.md",
      "src/docs/running.md",
      "dist/THIRD-PARTY-NOTICES.txt",
      "src/cicada.mjs",
    ]) {
      assert.ok(names.includes(name), name);
    }
    assert.deepEqual(
      names.filter((name) => /\.ts$|node_modules|^test|^bench(?!\/README\.md$)|bin\/node/.test(name)),
      [],
    );
    const described = JSON.parse(readFileSync(path.join(installed, "package.json"), "utf8")) as object;
    for (const kind of ["dependencies", "optionalDependencies", "peerDependencies"]) {
      assert.ok(!Object.hasOwn(described, kind), kind);
    }
  });

  test("holds what its pages link to; only what is said to developers is about a clone", () => {
    const names = new Set(packed.files.map((file) => file.path));
    for (const page of ["README.md", "bench/README.md", "src/docs/jobs.md", "src/docs/running.md"]) {
      const [text = ""] = readFileSync(path.join(installed, page), "utf8").split("\n## For developers\n");
      const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = ""]) => link);
      if (page === "README.md") assert.ok(links.length > 20, links.join());
      assert.deepEqual(
        links.filter((link) => !names.has(path.join(path.dirname(page), link))),
        [],
        page,
      );
    }
  });

  test("holds each process and thread that the program starts by its file's name", () => {
    const named = globSync("src/**/*.ts", { cwd: root }).flatMap((file) =>
      [...readFileSync(path.join(root, file), "utf8").matchAll(/new URL\(`\.\/([^$`]+)\.\$\{ending\}`/g)].map(
        ([, name]) => `dist/program/${name}.js`,
      ),
    );
    assert.ok(named.length >= 5, named.join());
    const names = new Set(packed.files.map((file) => file.path));
    assert.deepEqual(
      named.filter((name) => !names.has(name)),
      [],
    );
  });

  /** By name: the text of each of these files of the program, and of all that they import. */
  function readWith(...names: string[]): ReadonlyMap<string, string> {
    const read = new Map<string, string>();
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      if (read.has(name)) continue;
      const text = readFileSync(path.join(installed, "dist", "program", name), "utf8");
      read.set(name, text);
      for (const [, other = ""] of text.matchAll(/(?:from|import) ?"(\.[^"]+)"/g))
        names.push(path.join(path.dirname(name), other));
    }
    return read;
  }

  test("a start reads no more code than it needs: the doors that only some peers use are files of their own", () => {
    const folderOf = path.join(installed, "dist", "program");
    const ofStart = ["command-line", "command", "start"].flatMap((name) =>
      globSync(`${name}-????????.js`, { cwd: folderOf }),
    );
    assert.equal(ofStart.length, 3, ofStart.join());
    const read = readWith("main.js", ...ofStart);
    const bytes = bytesOf(read);
    assert.ok(read.size > 2 && bytes > 100_000, `${read.size} files, ${bytes} bytes: are imports found?`);
    assert.ok(bytes < 4_600_000, `${bytes} bytes: is something new read at every start?`);
    const onDemand = [
      "undici",
      "nodemailer",
      "archive",
      "s3",
      "backup",
      "jobs",
      "edit-by-hand",
      "pino-pretty",
    ];
    for (const name of onDemand) {
      const [file] = globSync(`${name}-*.js`, { cwd: folderOf });
      assert.ok(file !== undefined && !read.has(file), `${name} is read only when it is used`);
    }
    // Of the first, an import reads all that it offers.
    const ofNode = ["http", "https", "http2", "tls"].flatMap((name) => [
      `from"node:${name}"`,
      `from"${name}"`,
    ]);
    for (const [name, text] of read)
      for (const words of ofNode) assert.ok(!text.includes(words), `${name} imports ${words}`);
    // Both live as long as the peer does.
    for (const name of ["launcher.js", "disk/writer.js"])
      assert.ok(bytesOf(readWith(name)) < 100_000, `${name} reads no package`);
  });

  /** The files of the program that this command reads, and the parts of Node that it imports. */
  async function readBy(...words: string[]): Promise<{ bytes: number; ofNode: readonly string[] }> {
    const list = path.join(folder, `read-by-${words.length}-${words[0]}`);
    const hook = path.join(folder, "hook.mjs");
    writeFileSync(
      hook,
      `import { appendFileSync } from "node:fs"; import { registerHooks } from "node:module";
       registerHooks({ load(url, context, next) {
         appendFileSync(${JSON.stringify(list)}, url + "\\n"); return next(url, context); } });`,
    );
    const program = path.join(installed, "src", "cicada.mjs");
    const env = plainEnv({ CICADA_DATA: path.join(folder, "nowhere") });
    // A command that asks a peer finds none, which is code 5: it has read all that it needs by then.
    await run(process.execPath, ["--import", hook, program, ...words], { env }).catch(
      (failed: { code?: number }) => assert.equal(failed.code, 5),
    );
    const urls = [...new Set(readFileSync(list, "utf8").trim().split("\n"))];
    const own = urls.filter((url) => url.includes("/dist/program/"));
    assert.ok(own.length > 0, urls.join());
    return {
      bytes: own.reduce((sum, url) => sum + statSync(new URL(url)).size, 0),
      ofNode: urls.filter((url) => url.startsWith("node:")),
    };
  }

  test("a command reads no more code than it needs, and the version next to none", async () => {
    // The compiler of schemas alone has 290 kB, YAML 160 and the schedules' library 150.
    for (const [words, bytesMax] of [
      [["--version"], 30_000],
      [["--help"], 150_000],
      [["jobs", "ls"], 240_000],
      [["runs", "ls"], 240_000],
    ] as const) {
      const { bytes, ofNode } = await readBy(...words);
      assert.ok(bytes < bytesMax, `${words.join(" ")}: ${bytes} bytes`);
      for (const name of ["node:child_process", "node:crypto", "node:process", "node:https"])
        assert.ok(!ofNode.includes(name), `${words.join(" ")} reads ${name}`);
    }
  });

  test("publint has nothing to say about it, and npm ls is clean where it is installed", async () => {
    const { messages } = await publint({ pkgDir: installed, pack: false, level: "suggestion" });
    assert.deepEqual(messages, []);
    await run("npm", ["ls", "--all"], { cwd: empty, env: npmEnv() });
  });

  test("lists the licences of what is in the bundle", () => {
    const text = readFileSync(path.join(installed, "dist", "THIRD-PARTY-NOTICES.txt"), "utf8");
    for (const name of ["libp2p", "fastify", "yjs", "undici", "@libp2p/gossipsub"]) {
      assert.match(text, new RegExp(`^${name}@[\\d.]+ \\(\\S.*\\)`, "m"));
    }
    assert.match(text, /Apache License\s+Version 2\.0/);
  });

  test("its peers start by npx, join each other, run a job, use every thread of theirs, and stop", async () => {
    const [ada, bob] = [path.join(folder, "ada"), path.join(folder, "bob")];
    const first = await start(ada);
    assert.equal((await cicada(ada, "--version")).trim(), readReadyFile(ada)?.version);
    const join = path.join(folder, "join");
    const invitation = await cicada(ada, "peers", "invite");
    assert.match(invitation, /npx cicada-cron start/);
    writeFileSync(join, invitation);
    const second = await start(bob, "--join", join);
    await until("they see each other", limitMs, async () => {
      const peers = await cicada(ada, "peers", "ls", "-o", "json");
      return peers.split('"alive"').length === 3;
    });

    const holidays = path.join(folder, "holidays.ics");
    writeFileSync(holidays, icalendar);
    await cicada(ada, "calendars", "set", "holidays", "--ical", holidays);
    const flags = ["--command", 'echo "it works"', "--must-match", "w.rks"];
    await cicada(ada, "jobs", "create", "hello", ...flags);
    await cicada(ada, "jobs", "run", "hello", "--wait");
    assert.equal(await cicada(ada, "runs", "log", "hello"), "it works\n");
    assert.match(await cicada(bob, "runs", "ls"), /succeeded/);
    await cicada(ada, "jobs", "create", "ping", "--http-url", `${readReadyFile(ada)?.http}/livez`);
    await cicada(ada, "jobs", "run", "ping", "--wait");
    assert.match(await cicada(ada, "runs", "log", "ping"), /^HTTP\/1.1 200 OK\n[^]*\nok\n$/);

    for (const [peer, data] of [
      [second, bob],
      [first, ada],
    ] as const) {
      process.kill(readReadyFile(data)?.pid ?? 0, "SIGTERM");
      assert.deepEqual(await peer.ended, { code: 0, signal: null }, peer.said);
    }
  });
});

test("a bundled package without a licence fails the build", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "cicada-notices-"));
  try {
    const place = path.join(folder, "node_modules", "@a", "b");
    mkdirSync(place, { recursive: true });
    const describeAs = (more: object) =>
      writeFileSync(
        path.join(place, "package.json"),
        JSON.stringify({ name: "@a/b", version: "1.0.0", ...more }),
      );
    const read = () =>
      packagesOf(folder, ["src/x.ts", "node_modules/@a/b/lib/y.js", "node_modules/@a/b/z.js"]);
    describeAs({});
    assert.throws(read, /names no licence/);
    describeAs({ license: "WTFPL" });
    assert.throws(() => formatNotices(read(), ""), /no text of its licence WTFPL/);
    writeFileSync(path.join(place, "LICENCE.md"), "Do it.");
    assert.throws(() => formatNotices(read(), ""), /swagger-ui.*Apache-2\.0/);
    assert.equal(read().length, 1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
