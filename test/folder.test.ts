/** The data folder: private, one peer at a time, and clear about what is wrong with it. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { Log } from "../src/ports.ts";
import { openFolder, type Folder } from "../src/real/folder.ts";
import { writeWhole } from "../src/real/folder/files.ts";
import { generatePeerKey } from "../src/real/keys.ts";
import { writeOwnValue } from "../src/real/secrets/own-values.ts";
import type { Ready } from "../src/schema/ready.ts";

function notedLog(): { log: Log; warnings: string[] } {
  const warnings: string[] = [];
  return {
    warnings,
    log: { debug() {}, info() {}, warn: (message) => void warnings.push(message), error() {} },
  };
}

function place(context: TestContext): string {
  const parent = mkdtempSync(join(tmpdir(), "cicada-folder-"));
  context.after(() => rmSync(parent, { recursive: true }));
  return join(parent, "peer");
}

function open(context: TestContext, path: string, log: Log = notedLog().log): Folder {
  const folder = openFolder(path, log);
  context.after(() => folder.close());
  return folder;
}

const modeOf = (path: string) => statSync(path).mode & 0o777;

const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/** Root may do everything, so another user opens the folder then. */
function giveTo(path: string): void {
  if (user.uid === undefined) return;
  chmodSync(join(path, ".."), 0o755);
  execFileSync("chown", ["-R", `${user.uid}:${user.gid}`, path]);
}

/** What comes of opening the folder in a process of its own. */
function openedByUser(path: string, prefix: readonly string[] = []): Record<string, unknown> {
  giveTo(path);
  const source = `
    import { openFolder } from ${JSON.stringify(new URL("../src/real/folder.ts", import.meta.url).href)};
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    let said;
    try {
      said = { addresses: openFolder(process.argv[1], log).addresses() };
    } catch ({ code, detail }) {
      said = { code, detail };
    }
    console.log(JSON.stringify(said));
  `;
  const [command, ...args] = [...prefix, process.execPath, "--input-type=module", "-e", source, path];
  return JSON.parse(execFileSync(command, args, { ...user, cwd: "/", encoding: "utf8" }));
}

test("a new folder can be read only by its user", (context) => {
  const path = join(place(context), "deep", "inside");
  const folder = open(context, path);
  assert.equal(modeOf(path), 0o700);
  assert.equal(modeOf(folder.work), 0o700);
  assert.equal(modeOf(folder.logs), 0o700);
});

test("a folder that others may read is made private", (context) => {
  const path = place(context);
  mkdirSync(path);
  chmodSync(path, 0o755);
  open(context, path);
  assert.equal(modeOf(path), 0o700);
});

test("a folder that others may write is refused, with what to do", (context) => {
  const path = place(context);
  mkdirSync(path);
  chmodSync(path, 0o777);
  assert.throws(() => openFolder(path, notedLog().log), {
    code: "DATA_FOLDER_UNUSABLE",
    message: /chmod go-w/,
  });
  assert.equal(modeOf(path), 0o777);
});

test("a folder that holds other things is refused and left as it is", (context) => {
  const path = place(context);
  mkdirSync(path);
  chmodSync(path, 0o755);
  writeFileSync(join(path, "letter.txt"), "dear");
  assert.throws(() => openFolder(path, notedLog().log), {
    code: "DATA_FOLDER_UNUSABLE",
    message: /letter\.txt/,
  });
  assert.equal(modeOf(path), 0o755);
});

test("a path that can't be a folder is refused with the reason", (context) => {
  const path = place(context);
  writeFileSync(path, "a file");
  assert.throws(() => openFolder(path, notedLog().log), { code: "DATA_FOLDER_UNUSABLE", message: /a file/ });
  assert.throws(() => openFolder(join(path, "below"), notedLog().log), { code: "DATA_FOLDER_UNUSABLE" });
  assert.throws(() => openFolder("/proc/cicada", notedLog().log), { code: "DATA_FOLDER_UNUSABLE" });
});

test("a second peer on the same folder is refused with the first one's process id", (context) => {
  const path = place(context);
  const first = open(context, path);
  assert.throws(() => openFolder(path, notedLog().log), {
    code: "DATA_FOLDER_IN_USE",
    message: new RegExp(`process ${process.pid}`),
  });
  first.close();
  open(context, path);
});

test("the lock on a folder ends with its process, even by kill -9", async (context) => {
  const path = place(context);
  const source = `
    import { openFolder } from ${JSON.stringify(new URL("../src/real/folder.ts", import.meta.url).href)};
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    openFolder(process.argv[1], log);
    console.log("held");
    setInterval(() => globalThis.gc(), 10);
  `;
  const holder = spawn(process.execPath, ["--expose-gc", "--input-type=module", "-e", source, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(holder.stdout, "data");
  assert.throws(() => openFolder(path, notedLog().log), {
    code: "DATA_FOLDER_IN_USE",
    message: new RegExp(`process ${holder.pid}`),
  });
  holder.kill("SIGKILL");
  await once(holder, "exit");
  open(context, path);
});

test("keys and token are made once, stay the same, and can be read only by the user", (context) => {
  const path = place(context);
  const first = open(context, path);
  const key = generatePeerKey();
  assert.deepEqual(
    first.peerKey(() => key),
    key,
  );
  assert.equal(first.clusterKey(), undefined);
  first.keepClusterKey("cicada-key-of-some-form");
  const token = first.adminToken();
  assert.equal(Buffer.from(token, "base64url").length, 32 + 3);
  first.close();

  const again = open(context, path);
  assert.deepEqual(
    again.peerKey(() => assert.fail("made twice")),
    key,
  );
  assert.equal(again.clusterKey(), "cicada-key-of-some-form\n");
  assert.equal(again.adminToken(), token);
  for (const name of ["peer.key", "cluster.key", "admin.token"])
    assert.equal(modeOf(join(path, name)), 0o600);
});

test("a file in the place of one of its folders is refused by name", (context) => {
  const path = place(context);
  open(context, path).close();
  for (const name of ["logs", "scripts", "secrets", "work"]) {
    rmSync(join(path, name), { recursive: true, force: true });
    writeFileSync(join(path, name), "");
    assert.throws(() => openFolder(path, notedLog().log), {
      code: "DATA_FOLDER_UNUSABLE",
      message: new RegExp(`/${name}: it is not a folder`),
    });
    rmSync(join(path, name));
  }
});

test("a file or a folder in it that the peer's user may not use is refused by name, unless a new one takes its place", (context) => {
  const path = place(context);
  const first = open(context, path);
  first.peerKey(generatePeerKey);
  first.keepClusterKey("cicada-key-of-some-form");
  first.adminToken();
  first.close();
  const folders = ["logs", "scripts", "secrets", "work", "logs/running", "scripts/running"];
  for (const name of folders) mkdirSync(join(path, name), { recursive: true, mode: 0o700 });
  const needed = [
    "peer.key",
    "cluster.key",
    "admin.token",
    "format",
    "cicada.db",
    "cicada.db-shm",
    "cicada.mark",
  ];
  for (const name of [...needed, "lock.db"]) writeFileSync(join(path, name), "", { flag: "a", mode: 0o600 });
  giveTo(path);
  for (const name of [...needed, "lock.db", ...folders]) {
    const mode = modeOf(join(path, name));
    chmodSync(join(path, name), 0);
    assert.deepEqual(openedByUser(path), {
      code: "DATA_FOLDER_UNUSABLE",
      detail: `${join(path, name)}: this user may not read and write it`,
    });
    chmodSync(join(path, name), mode);
  }
  for (const name of ["addresses.json", "broken-exits.json"])
    writeFileSync(join(path, name), "[]", { mode: 0 });
  assert.deepEqual(openedByUser(path), { addresses: [] });
});

test("a folder on a full disk is said to be so, at its lock and at each of its files, with a hint that helps", (context) => {
  const path = place(context);
  open(context, path).close();
  rmSync(join(path, "lock.db"));
  const full = openedByUser(path, ["prlimit", "--fsize=0"]);
  assert.equal(full.code, "DISK_FAILED");
  assert.match(String(full.detail), /lock\.db can't be locked/);
});

test("a file that could not be written leaves no draft, which would take the last room of a full disk", (context) => {
  const path = place(context);
  mkdirSync(join(path, "taken"), { recursive: true });
  assert.throws(() => writeWhole(join(path, "taken"), "text"));
  mkdirSync(join(path, "SECRET"));
  assert.throws(() => writeOwnValue(path, "SECRET", "value-of-it", 1_000));
  assert.deepEqual(readdirSync(path).toSorted(), ["SECRET", "taken"]);
});

test("a pipe, a device or a folder in the place of one of its files is refused by name, and not waited for", (context) => {
  const path = place(context);
  const first = open(context, path);
  first.peerKey(generatePeerKey);
  first.keepClusterKey("cicada-key-of-some-form");
  first.adminToken();
  first.close();
  const names = [
    "peer.key",
    "cluster.key",
    "cluster.key.old",
    "admin.token",
    "format",
    "addresses.json",
    "lock.db",
  ];
  for (const name of [...names, "lock.pid", "ready.json", "cicada.db", "cicada.db-wal", "cicada.mark"]) {
    const file = join(path, name);
    const whole = existsSync(file) ? readFileSync(file) : undefined;
    const putInPlace = [
      () => symlinkSync("/dev/full", file),
      () => mkdirSync(file),
      () => execFileSync("mkfifo", [file]),
    ];
    for (const put of putInPlace) {
      rmSync(file, { recursive: true, force: true });
      put();
      assert.throws(() => openFolder(path, notedLog().log), {
        code: "DATA_FOLDER_UNUSABLE",
        message: new RegExp(`${name}: it is not a plain file`),
      });
    }
    rmSync(file, { recursive: true, force: true });
    if (whole !== undefined) writeFileSync(file, whole, { mode: 0o600 });
  }
  open(context, path).close();
});

test("a cluster key that was put into an empty folder beforehand is used, and made private", (context) => {
  const path = place(context);
  mkdirSync(path);
  chmodSync(path, 0o700);
  writeFileSync(join(path, "cluster.key"), "prepared\n", { mode: 0o644 });
  const { log, warnings } = notedLog();
  assert.equal(open(context, path, log).clusterKey(), "prepared\n");
  assert.equal(modeOf(join(path, "cluster.key")), 0o600);
  assert.equal(warnings.length, 1);
});

test("an admin token with a changed character is replaced; one from before there was a checksum stays", (context) => {
  const path = place(context);
  const { log, warnings } = notedLog();
  const first = openFolder(path, log);
  const token = first.adminToken();
  first.close();
  const file = join(path, "admin.token");
  writeFileSync(file, `${token.startsWith("A") ? "B" : "A"}${token.slice(1)}\n`);
  const folder = openFolder(path, log);
  const replaced = folder.adminToken();
  assert.notEqual(replaced.slice(1), token.slice(1));
  assert.match(warnings.join(), /admin token/);
  assert.notEqual(readFileSync(`${file}.damaged`, "utf8"), `${token}\n`, "the damaged one is kept");
  assert.equal(folder.adminToken(), replaced);
  writeFileSync(file, `${token.slice(0, 43)}\n`);
  assert.equal(folder.adminToken(), token.slice(0, 43));
  folder.close();
});

test("a torn peer key, or one with a flipped bit, is reported as damage by name, and the file is left as it is", (context) => {
  const path = place(context);
  open(context, path).close();
  const flipped = Buffer.from(generatePeerKey());
  flipped[40] = (flipped[40] ?? 0) ^ 4;
  for (const torn of ["", "AAAA", "\0\0\0\0\n", "AAAA\n", `${flipped.toString("base64url")}\n`]) {
    writeFileSync(join(path, "peer.key"), torn);
    const folder = openFolder(path, notedLog().log);
    assert.throws(() => folder.peerKey(() => new Uint8Array(64)), {
      code: "DATA_FOLDER_DAMAGED",
      message: /peer\.key/,
    });
    folder.close();
    assert.equal(readFileSync(join(path, "peer.key"), "utf8"), torn);
  }
});

test("a format that is torn or from a newer version is refused by name", (context) => {
  const path = place(context);
  open(context, path).close();
  writeFileSync(join(path, "format"), "");
  assert.throws(() => openFolder(path, notedLog().log), { code: "DATA_FOLDER_DAMAGED", message: /format/ });
  writeFileSync(join(path, "format"), "7\n");
  assert.throws(() => openFolder(path, notedLog().log), { code: "DATA_FOLDER_NEWER" });
});

test("a folder of an older version is opened, and carries this version's format, which the older one refuses, once it is migrated", (context) => {
  const path = place(context);
  open(context, path).close();
  const current = readFileSync(join(path, "format"), "utf8");
  writeFileSync(join(path, "format"), "1\n");
  const folder = open(context, path);
  assert.equal(readFileSync(join(path, "format"), "utf8"), "1\n", "the migration may still fail");
  folder.raiseFormat();
  assert.equal(readFileSync(join(path, "format"), "utf8"), current);
  assert.ok(Number(current) > 1);
});

test("addresses are remembered; a torn file of them is set aside with a warning, and the peer still starts", (context) => {
  const path = place(context);
  const { log, warnings } = notedLog();
  const folder = open(context, path, log);
  assert.deepEqual(folder.addresses(), []);
  folder.rememberAddresses(["/ip4/127.0.0.1/tcp/7401"]);
  assert.deepEqual(folder.addresses(), ["/ip4/127.0.0.1/tcp/7401"]);
  for (const torn of ['["/ip4/127.0', '{"a":1}', ""]) {
    writeFileSync(join(path, "addresses.json"), torn);
    assert.deepEqual(folder.addresses(), []);
    assert.equal(readFileSync(join(path, "addresses.json.damaged"), "utf8"), torn);
  }
  assert.equal(warnings.length, 3);
});

test("ready.json exists only while the peer is ready", (context) => {
  const path = place(context);
  const folder = open(context, path);
  const ready: Ready = {
    pid: process.pid,
    peerId: "12D3KooWalpha",
    name: "alpha",
    http: "http://127.0.0.1:7400",
    listen: ["/ip4/127.0.0.1/tcp/7401"],
    tokenFile: folder.tokenFile,
    version: "0.1.0",
  };
  const file = join(path, "ready.json");
  folder.writeReady(ready);
  assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), ready);
  folder.removeReady();
  assert.equal(existsSync(file), false);

  folder.writeReady(ready);
  folder.close();
  open(context, path);
  assert.equal(existsSync(file), false, "one that a killed peer left behind is removed");
});
