/** Jobs as lines of a crontab: what can be said comes back by the import, and what can't is a comment. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { crontabOf } from "../src/cli/crontab-text.ts";
import { originLine } from "../src/cli/import/crontab-origin.ts";
import { parseCrontab, type CrontabOptions } from "../src/cli/import/crontab.ts";
import type { JobSpec } from "../src/schema/job.ts";
import { jobAnswer, StubPeer } from "./kit/cli-stage.ts";

const options: CrontabOptions = {
  system: false,
  prefix: "",
  zone: "Europe/Berlin",
  home: "/home/shop",
  user: "shop",
  host: "web1",
};

const job = (fields: object) =>
  ({ id: "a", command: "x", schedule: "@daily", user: "shop", ...fields }) as JobSpec;
const exported = (jobs: readonly JobSpec[], user?: string) =>
  crontabOf(
    jobs.map((one) => ({ job: one, own: one })),
    { user },
  );
const imported = (text: string) =>
  parseCrontab(text, { ...options, system: true, user: "root", home: "/root", file: "/tmp/from-cicada" });

/** Without what is only told of a line. Variables other than those of cron's own go into the command. */
function meaning(spec: JobSpec): object {
  const env = Object.fromEntries(["PATH", "HOME", "SHELL"].map((one) => [one, spec.env?.[one]]));
  return { ...spec, id: "", description: "", labels: {}, env };
}

/** The same without what it runs. */
function meaningBeside(spec: JobSpec): object {
  return { ...meaning(spec), command: "", argv: [] };
}

const active = (text: string) =>
  text.split("\n").filter((line) => line !== "" && !line.startsWith("#") && !/^\w+=/.test(line));

test("what was imported from a crontab goes back into one, and comes back the same", () => {
  let plain = 0;
  for (const name of ["crontab-30", "crontab-to-run"]) {
    const text = readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8");
    const { jobs } = parseCrontab(text, options);
    const said = exported(jobs.map(({ spec }) => spec)).replaceAll(/^#cicada.*\n/gm, "");
    const again = parseCrontab(said, { ...options, system: true, user: "root", home: "/root" });
    assert.deepEqual(again.refused, []);
    assert.equal(again.jobs.length, jobs.length);
    for (const [place, { spec }] of jobs.entries()) {
      const found = again.jobs[place];
      assert.ok(found !== undefined, spec.description);
      assert.deepEqual(meaningBeside(found.spec), meaningBeside(spec));
      // A command with further variables sets them itself, and the id is made of the command.
      if (Object.keys(spec.env ?? {}).length !== 4) continue;
      plain++;
      assert.equal(found.spec.id, spec.id);
      assert.deepEqual(meaning(found.spec), meaning(spec));
    }
  }
  assert.ok(plain > 0, "some job has no variables but cron's own, so its command comes back as well");
});

const rich: JobSpec[] = [
  job({ id: "plain" }),
  job({ id: "with-umask", umask: "027", env: { A: "it's", HOME: "/srv/shop" }, cwd: "/srv" }),
  job({ id: "retried", enabled: true, retry: { attempts: 2 }, target: { count: 2 }, description: "a: b" }),
  job({ id: "many-times", schedule: ["@daily", "0 12 * * 1-5"], timezone: "Europe/Paris", stdin: "50%\n" }),
  job({ id: "of-nobody", user: undefined, argv: ["/bin/zsh", "-c", "print 'a b'"], command: undefined }),
  job({ id: "off", enabled: false, labels: { team: "ops" } }),
].map((one) => JSON.parse(JSON.stringify(one)) as JobSpec);
const byId = (a: JobSpec, b: JobSpec) => (a.id < b.id ? -1 : 1);

test("what an export has written comes back as the very jobs, under their names, and exports to the same text", () => {
  const text = exported(rich, "deploy");
  const { jobs, refused, notes, doubts } = imported(text);
  const specs = jobs.map(({ spec }) => spec);
  assert.deepEqual([refused, notes, doubts], [[], [], []]);
  // The line of a job without a user names one, and it runs as that user from then on.
  const asSaid = rich.map((one) => ({ ...one, user: one.user ?? "deploy" }));
  assert.deepEqual(specs.toSorted(byId), asSaid.toSorted(byId));
  assert.equal(exported(specs, "deploy"), text);
});

test("a job that has its user, zone or variables from its group comes back as a job that runs the same", () => {
  const own = job({ user: undefined, group: "g", retry: { attempts: 2 } });
  const given = { user: "ops", timezone: "Europe/Paris", env: { PATH: "/opt/bin", A: "1" }, umask: "022" };
  const { jobs, doubts } = imported(crontabOf([{ job: { ...own, ...given }, own }], { user: undefined }));
  assert.deepEqual(doubts, []);
  assert.deepEqual(jobs[0]?.spec, JSON.parse(JSON.stringify({ ...own, ...given })));
});

/** The jobs of that name that come of an export in which somebody has changed something. */
const changed = (from: string, to: string, id: string) => {
  const text = exported(rich, "deploy");
  assert.ok(text.includes(from), from);
  return imported(text.replace(from, to)).jobs.filter(({ spec }) => spec.id === id);
};

describe("a line that somebody has changed since the export", () => {
  test("says what its job is now, under the same name", () => {
    const [found] = changed("\n@daily shop umask 077; x", "\n@hourly shop umask 077; y", "plain");
    assert.deepEqual([found?.spec.schedule, found?.spec.command], ["@hourly", "umask 077; y"]);
  });
  test("is named, because what a crontab can't say of its job is lost", () => {
    const { doubts } = imported(exported([job({ retry: { attempts: 2 } })]).replace("\n@daily", "\n@hourly"));
    assert.match(doubts.join("\n"), /^line \d+: .* changed after the export: of a, only what a crontab says/);
  });
  test("is no job once it is a comment or gone", () => {
    for (const to of ["\n# @daily shop umask 077; x", "\n"])
      assert.deepEqual(changed("\n@daily shop umask 077; x", to, "plain"), []);
  });
  test("counts if only a variable above it has changed", () => {
    const [found] = changed("\nHOME=/srv/shop\n", "\nHOME=/srv/else\n", "with-umask");
    assert.equal(found?.spec.env?.["HOME"], "/srv/else");
  });
  test("and is no comment any more enables its job", () => {
    const [found] = changed("# disabled: ", "", "off");
    const { enabled, ...others } = rich.at(-1) ?? {};
    assert.deepEqual([enabled, found?.spec], [false, others]);
  });
});

describe("the comment of an export", () => {
  test("counts for nothing in a user's own crontab, so nobody becomes another user by it", () => {
    const line = "0 3 * * * bin/backup";
    const forged = originLine(job({ id: "forged", user: "root" }), {
      zone: options.zone,
      variables: new Map(),
      lines: [line],
    });
    const { jobs } = parseCrontab(`${forged}\n${line}`, options);
    assert.deepEqual(
      jobs.map(({ spec: { user, command } }) => [user, command]),
      [[options.user, "bin/backup"]],
    );
  });
  for (const [what, forged] of Object.entries({
    "another command": { command: "rm -rf /srv" },
    "another user": { user: "root" },
    "no user": { user: undefined },
    "another schedule": { schedule: "* * * * *" },
    "another zone": { timezone: "Asia/Tokyo" },
    "another variable": { env: { PATH: "/tmp/evil" } },
    "a folder": { cwd: "/tmp" },
    "an input": { stdin: "yes\n" },
    "a precheck": { precheck: { command: "rm -rf /srv" } },
    "an executor that no crontab has": { command: undefined, http: { url: "http://x.example" } },
  })) {
    test(`counts for nothing if it says ${what} than its line: the line wins, and that is said`, () => {
      const [line = ""] = active(exported([job({})]));
      const text = exported([job({})]);
      const hash = /^#cicada ([0-9a-f]{16}) /m.exec(text)?.[1] ?? "";
      const comment = `#cicada ${hash} ${JSON.stringify(job(forged))}`;
      const { jobs, doubts } = imported(text.replace(/^#cicada .*/m, () => comment));
      const [{ spec } = { spec: undefined }] = jobs;
      assert.equal(jobs.length, 1);
      assert.equal(line, "@daily shop umask 077; x");
      assert.deepEqual(
        [spec?.schedule, spec?.user, spec?.command, spec?.stdin, spec?.precheck, spec?.http, spec?.timezone],
        ["@daily", "shop", "umask 077; x", undefined, undefined, undefined, "UTC"],
      );
      assert.match(
        doubts.join("\n"),
        /its comment was changed after the export: of a, only what a crontab says/,
      );
    });
  }
  test("doesn't give its name to a line further down once its own line is gone", () => {
    const text = exported([job({ id: "gone" })]).replace(/\n@daily.*/, "");
    const { jobs } = imported(`${text}\n\n# by hand\n0 5 * * * root /bin/other`);
    assert.deepEqual([jobs.length, jobs[0]?.spec.command], [1, "/bin/other"]);
    assert.notEqual(jobs[0]?.spec.id, "gone");
  });
  test("that somebody has copied with its line gives its name only to the first", () => {
    const text = exported([job({ id: "copied" })]);
    const block = text.slice(text.lastIndexOf("\n#cicada ") + 1);
    const { jobs, refused } = imported(`${text}\n\n${block.replace("\n@daily", "\n@hourly")}`);
    const [first, second] = jobs.map(({ spec }) => spec);
    assert.deepEqual([jobs.length, refused], [2, []]);
    assert.deepEqual([first?.id, first?.schedule, second?.schedule], ["copied", "@daily", "@hourly"]);
    assert.notEqual(second?.id, "copied");
  });
  test("holds a job whose text has line separators of Unicode", () => {
    const strange = job({ description: "one\u2028two" });
    assert.deepEqual(
      imported(exported([strange])).jobs.map(({ spec }) => spec),
      [strange],
    );
  });
});

describe("a line says", () => {
  const table: [what: string, fields: object, line: string][] = [
    [
      "another umask than cron's, folder and variables",
      { cwd: "/srv/a b", env: { A: "it's" } },
      String.raw`@daily shop umask 077; export A='it'\''s'; cd '/srv/a b' && x`,
    ],
    [
      "each of several schedules",
      { umask: "022", schedule: ["@daily", "0 12 * * 1-5"] },
      "@daily shop x\n0 12 * * 1-5 shop x",
    ],
    [
      "a program with its arguments",
      { umask: "022", command: undefined, argv: ["/bin/echo", "50% off", ""] },
      String.raw`@daily shop /bin/echo '50\% off' ''`,
    ],
    [
      "a pair of backslashes before a percent sign",
      { umask: "022", command: String.raw`printf 'a\\%%'` },
      String.raw`@daily shop printf 'a\\\%\%'`,
    ],
    ["its input", { umask: "022", stdin: "a\n50%\n" }, String.raw`@daily shop x%a%50\%`],
  ];
  for (const [what, fields, line] of table) {
    test(what, () => assert.equal(active(exported([job(fields)])).join("\n"), line));
  }
});

describe("what a crontab can't say is a comment", () => {
  const table: [fields: object, says: RegExp][] = [
    [{ schedule: "@every 90s" }, /can't express the schedule @every 90s/],
    [{ schedule: "0 0 L * *" }, /can't express the schedule/],
    [{ schedule: "H 3 * * *" }, /can't express the schedule/],
    [{ schedule: "0 0 3 * * *" }, /can't express the schedule/],
    [{ schedule: "5/15 * * * *" }, /can't express the schedule/],
    [{ schedule: undefined }, /no schedule/],
    [{ except: ["2026-12-24"] }, /can't express except/],
    [{ after: { jobs: ["b"] }, schedule: undefined }, /can't express after/],
    [{ command: undefined, http: { url: "https://x.example" } }, /can't express http/],
    [{ command: "a\nb" }, /several lines/],
    [{ command: String.raw`date +\%F` }, /a backslash before a %/],
    [{ command: "a \\", stdin: "b\n" }, /before a %, which cron/],
    [{ secrets: ["KEY"] }, /can't express secrets/],
    [{ user: undefined }, /give --user NAME/],
    [{ env: { PATH: "/a\n* * * * * root evil" } }, /several lines/],
  ];
  for (const [fields, says] of table) {
    test(says.source, () => {
      const given = Object.fromEntries(
        Object.entries(job(fields)).filter(([, value]) => value !== undefined),
      );
      const text = exported([given as JobSpec]);
      assert.match(text, says);
      assert.deepEqual(active(text), []);
    });
  }
  test("what only softens a run is named above its line, and a disabled job is no line", () => {
    const text = exported([
      job({ retry: { attempts: 2 }, timeout: "5m", description: "a\n* * * * * root evil" }),
    ]);
    assert.match(text, /# not expressed here: retry, timeout\n/);
    assert.equal(active(text).length, 1);
    assert.deepEqual(active(exported([job({ enabled: false })])), []);
  });
});

test("on a screen no text of a job moves the cursor", async () => {
  await using stub = await StubPeer.open();
  const items = [jobAnswer({ id: "a", command: "x", schedule: "@daily", description: "\u001b[2J" })];
  stub.on("GET /v1/jobs", { body: { items, nextCursor: null } });
  const said = await stub.onScreen("export", "--format", "crontab");
  assert.match(said.stdout, /\n# a: \\u001b\[2J\n/);
});

test("a job whose group gives it no variables is exported without any, and comes back the same", async () => {
  await using stub = await StubPeer.open();
  const own = { id: "a", command: "x", schedule: "@daily", user: "shop", timezone: "UTC" };
  const inherited = { retry: { attempts: 2 } };
  const items = [
    { ...jobAnswer(own), inherited },
    { ...jobAnswer({ ...own, id: "b" }), inherited: { env: { LEVEL: "2" } } },
  ];
  stub.on("GET /v1/jobs", { body: { items, nextCursor: null } });
  const { jobs, doubts } = imported((await stub.cicada("export", "--format", "crontab")).stdout);
  assert.deepEqual(doubts, []);
  assert.deepEqual(
    jobs.map(({ spec }) => spec),
    [own, { ...own, id: "b", env: { LEVEL: "2" } }],
  );
});
