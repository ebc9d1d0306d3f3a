/** Who imported jobs run as, and in which zone: it is never guessed. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { cicada } from "./kit/cli-stage.ts";

const folder = mkdtempSync(path.join(tmpdir(), "cicada-owner-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const nobodyHere = { CICADA_DATA: path.join(folder, "none") };

function put(place: string, text = "0 3 * * * backup\n"): string {
  const file = path.join(folder, place);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

const cannotGiveAway = process.getuid?.() === 0 ? false : "only root can give a file to another user";

const dryRun = (file: string, ...flags: string[]) =>
  cicada(["import", "crontab", file, "--dry-run", ...flags], nobodyHere);

describe("a crontab in cron's spool", () => {
  for (const place of [
    "var/spool/cron/crontabs",
    "var/spool/cron",
    "var/spool/cron/tabs",
    "etc/crontabs",
    "var/cron/tabs",
  ]) {
    test(`of a user who isn't found is refused, and --user says whose it is: ${place}`, async () => {
      const file = put(`${place}/no-such-user-here`);
      const refused = await dryRun(file);
      assert.equal(refused.code, 2);
      assert.match(refused.stderr, /is named after "no-such-user-here".* --user NAME/);
      const said = await dryRun(file, "--user", "daemon");
      assert.equal(said.code, 0, said.stderr);
    });
  }

  test("is its user's, also through a link and by a relative path", async () => {
    const file = put(`var/spool/cron/crontabs/${userInfo().username}`);
    assert.equal((await dryRun(file)).code, 0);
    symlinkSync(path.join(folder, "var/spool/cron/crontabs"), path.join(folder, "link"));
    put("var/spool/cron/crontabs/not-a-user");
    assert.equal((await dryRun(path.join(folder, "link", "not-a-user"))).code, 2);
    const relative = path.relative(process.cwd(), put("etc/crontabs/not-a-user"));
    assert.equal((await dryRun(relative)).code, 2);
  });

  test("is refused with --system", async () => {
    const refused = await dryRun(put("var/spool/cron/daemon"), "--system");
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /without --system/);
  });

  test("that belongs to somebody else is refused", { skip: cannotGiveAway }, async () => {
    const file = put("var/spool/cron/crontabs/root");
    chownSync(file, 1, 1);
    const refused = await dryRun(file);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /named after "root", but belongs to /);
  });
});

test(
  "any other crontab is the importer's only if it belongs to the importer",
  { skip: cannotGiveAway },
  async () => {
    const file = put("home/somebody/my-crontab");
    assert.equal((await dryRun(file)).code, 0);
    chownSync(file, 1, 1);
    const refused = await dryRun(file);
    assert.equal(refused.code, 2);
    assert.match(
      refused.stderr,
      /belongs to .* and not to root: name the user that its jobs run as with --user/,
    );
  },
);

test("a file of /etc/cron.d needs --system, also when only some of its lines begin with a known user", async () => {
  const file = put("etc/cron.d/php", "0 3 * * * nobody-here x\n");
  const refused = await dryRun(file);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /use --system/);
  assert.equal((await dryRun(file, "--system")).code, 0);
});

describe("the host's zone", () => {
  const program = path.join(import.meta.dirname, "..", "src", "cicada.mjs");
  const importIn = (TZ: string, ...flags: string[]) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const args = [program, "import", "crontab", put("tab"), "--dry-run", ...flags];
      execFile(
        process.execPath,
        args,
        { env: { ...process.env, ...nobodyHere, TZ } },
        (error, stdout, stderr) => {
          resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
        },
      );
    });

  test("that isn't understood is refused, and not taken for UTC", async () => {
    const refused = await importIn("CET-1CEST,M3.5.0,M10.5.0/3");
    assert.equal(refused.code, 2, refused.stdout);
    assert.match(refused.stderr, /is not understood: .* --tz/);
    const said = await importIn("CET-1CEST,M3.5.0,M10.5.0/3", "--tz", "Europe/Berlin");
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stdout, /Europe\/Berlin/);
  });

  test("that is understood is taken, and --tz must be one", async () => {
    const file = "/usr/share/zoneinfo/Asia/Tokyo";
    for (const TZ of ["UTC", "Asia/Tokyo", ...(existsSync(file) ? [file, `:${file}`] : [])]) {
      const said = await importIn(TZ);
      assert.equal(said.code, 0, said.stderr);
      assert.ok(said.stdout.includes(TZ === "UTC" ? TZ : "Asia/Tokyo"));
    }
    const wrong = await importIn("UTC", "--tz", "Europe/Berln");
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /--tz: .*Europe\/Berlin/);
  });
});
