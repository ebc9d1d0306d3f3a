/** What a crontab's lines become, and what is reported about those that can't be imported. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { parseCrontab, type CrontabOptions } from "../src/cli/import/crontab.ts";
import type { JobSpec } from "../src/schema/job.ts";

const options: CrontabOptions = {
  system: false,
  prefix: "",
  zone: "Europe/Berlin",
  home: "/home/shop",
  user: "shop",
  host: "web1",
};
const fixture = readFileSync(new URL("fixtures/crontab-30", import.meta.url), "utf8");

/** The only job of a crontab. */
function only(text: string, changes: Partial<CrontabOptions> = {}): JobSpec {
  const { jobs, refused } = parseCrontab(text, { ...options, ...changes });
  assert.deepEqual(refused, []);
  const [job] = jobs;
  assert.ok(job !== undefined && jobs.length === 1, `${jobs.length} jobs`);
  return job.spec;
}

describe("a real crontab", () => {
  it("of 30 lines is imported whole, and what is not carried over is reported", () => {
    const { jobs, refused, notes } = parseCrontab(fixture, options);
    assert.equal(jobs.length, 30);
    assert.deepEqual(refused, []);
    assert.equal(notes.length, 1);
    assert.match(notes[0] ?? "", /^line 8: MAILTO=ops@shop\.example is not carried over/);
    assert.equal(new Set(jobs.map(({ spec }) => spec.id)).size, 30);
    const zones = new Set(jobs.map(({ spec }) => spec.timezone));
    assert.deepEqual([...zones], ["Europe/Berlin", "America/New_York"]);
  });
  it("gives the same jobs however often it is read", () => {
    assert.deepEqual(parseCrontab(fixture, options), parseCrontab(fixture, options));
  });
});

describe("a line means what it means to cron", () => {
  it("time zone, home, user, shell, path and umask are cron's, and runs may overlap", () => {
    const spec = only("*/5 * * * * /usr/local/bin/check --all");
    assert.match(spec.id, /^check-all-[0-9a-f]{6}$/);
    assert.deepEqual(spec, {
      id: spec.id,
      schedule: "*/5 * * * *",
      timezone: "Europe/Berlin",
      command: "/usr/local/bin/check --all",
      env: { PATH: "/usr/bin:/bin", SHELL: "/bin/sh", HOME: "/home/shop", LOGNAME: "shop" },
      cwd: "/home/shop",
      user: "shop",
      umask: "022",
      overlap: "allow",
      labels: { "imported-from": "crontab", host: "web1" },
      description: "*/5 * * * * /usr/local/bin/check --all",
    });
  });
  it("what a line leaves running when it ends goes on, and nothing else does", () => {
    const leaves = [
      "server >/dev/null 2>&1 &",
      "nohup a & b",
      "(a &)",
      "a & wait",
      "setsid -f a",
      "setsid --fork a",
      "start-stop-daemon --start --background --exec /bin/a",
      "screen -dmS x a",
      "tmux new-session -s x -d a",
    ];
    const ends = [
      "a && b",
      "a >x 2>&1",
      "a &>x",
      "a >&2",
      "echo 'a & b'",
      String.raw`curl "http://x/?a=1&b=2" \& x`,
      "a |& b",
      "setsid a",
      "echo daemonized",
    ];
    for (const command of [...leaves, ...ends]) {
      const expected = leaves.includes(command) ? "leave" : undefined;
      assert.equal(only(`@daily ${command}`).background, expected, command);
    }
  });
  it("a variable applies to the lines below it, with or without blanks and quotes", () => {
    const text = `A=1\n@daily one\n B = "two words" \n'C'='x'\nD=a "b"\nE=\nA=2\n@daily two`;
    const { jobs } = parseCrontab(text, options);
    const [one, two] = jobs.map(({ spec }) => spec.env ?? {});
    assert.deepEqual([one?.["A"], one?.["B"]], ["1", undefined]);
    assert.deepEqual(
      [two?.["A"], two?.["B"], two?.["C"], two?.["D"], two?.["E"]],
      ["2", "two words", "x", 'a "b"', ""],
    );
  });
  it("PATH and HOME of the crontab win, and the command starts in HOME", () => {
    const spec = only("PATH=/opt/bin\nHOME=/srv/shop\n@daily x");
    assert.equal(spec.env?.["PATH"], "/opt/bin");
    assert.equal(spec.env?.["HOME"], "/srv/shop");
    assert.equal(spec.cwd, "/srv/shop");
  });
  it("another SHELL runs the command", () => {
    const spec = only("SHELL=/bin/bash\n@daily echo ${A[0]}");
    assert.deepEqual(spec.argv, ["/bin/bash", "-c", "echo ${A[0]}"]);
    assert.equal(spec.command, undefined);
    assert.equal(spec.env?.["SHELL"], "/bin/bash");
  });
  it("CRON_TZ applies until it is changed or emptied", () => {
    const text = "@daily a\nCRON_TZ=Asia/Tokyo\n@daily b\nCRON_TZ=\n@daily c";
    const zones = parseCrontab(text, options).jobs.map(({ spec }) => spec.timezone);
    assert.deepEqual(zones, ["Europe/Berlin", "Asia/Tokyo", "Europe/Berlin"]);
  });
  it("comments, blank lines, tabs and Windows line ends are accepted", () => {
    const { jobs, refused, doubts } = parseCrontab(
      "\r\n  # x\r\n\t@daily\tone\r\n5  4\t* * *   two  three\r\n",
      options,
    );
    assert.deepEqual(refused, []);
    assert.deepEqual(doubts, [
      "line 3 and 1 more end in carriage returns, which cron passes to the command: left out here",
    ]);
    assert.deepEqual(
      jobs.map(({ line, spec }) => [line, spec.schedule, spec.command]),
      [
        [3, "@daily", "one"],
        [4, "5 4 * * *", "two  three"],
      ],
    );
  });
  it("a command that many crons would cut or refuse runs whole, which is said", () => {
    const most = `echo ${"é".repeat(497)}`;
    assert.deepEqual(parseCrontab(`@daily ${most}`, options).doubts, []);
    const { jobs, doubts } = parseCrontab(`@daily ${most}é`, options);
    assert.equal(jobs[0]?.spec.command, `${most}é`);
    assert.match(
      doubts.join(),
      /^line 1: the command has 1,001 bytes, and many crons run only the first 999/,
    );
  });
  it("a minus before the minutes, which keeps cronie from logging, is ignored", () => {
    assert.equal(only("-*/15 * * * * x").schedule, "*/15 * * * *");
  });
  const percents: [line: string, command: string, stdin: string | undefined][] = [
    ["date +\\%F", "date +%F", undefined],
    ["cat%one%two", "cat", "one\ntwo\n"],
    ["cat%one%two%", "cat", "one\ntwo\n"],
    ["cat%50\\% off", "cat", "50% off\n"],
    ["cat%", "cat", ""],
    ["printf 'a\\\\nb'", "printf 'a\\\\nb'", undefined],
    ["echo \\\\%in", "echo \\\\", "in\n"],
    ["echo 1 = 1", "echo 1 = 1", undefined],
  ];
  for (const [line, command, stdin] of percents) {
    it(`${line} runs ${JSON.stringify(command)} with ${JSON.stringify(stdin)}`, () => {
      const spec = only(`@daily ${line}`);
      assert.equal(spec.command, command);
      assert.equal(spec.stdin, stdin);
    });
  }
  it("--pin keeps the job on one peer", () => {
    assert.deepEqual(only("@daily x", { pinTo: "web1" }).target, { peers: ["web1"] });
  });
});

describe("what was perhaps not meant is asked", () => {
  const table: [line: string, doubt: RegExp | undefined][] = [
    ["@daily date +%F", /ends at its first %/],
    ['@daily echo "$(date +%F)" >> /x', /a quote in the command is never closed/],
    ["@daily a \\", /ends with a backslash/],
    ["0 3 * * * mon x", /begins with mon: is that another field/],
    ["PATH=$PATH:/opt/bin\n@daily x", /doesn't expand \$/],
    ["@daily echo it\\'s", undefined],
    ["@daily a # don't", undefined],
    [String.raw`@daily date +\%F`, undefined],
  ];
  for (const [line, doubt] of table) {
    it(JSON.stringify(line), () => {
      const { jobs, doubts, refused } = parseCrontab(line, options);
      assert.deepEqual([jobs.length, refused], [1, []]);
      const all = doubts.join("\n");
      if (doubt === undefined) assert.equal(all, "");
      else assert.match(all, doubt);
    });
  }
});

describe("options of other crons before the command", () => {
  it("-n and -q are noted, and are no command", () => {
    for (const [text, notes] of [
      ["@daily -n check", 1],
      ["5 4 * * * -q -n check", 2],
      ["-*/5 * * * * check", 0],
      ["-@daily check", 0],
    ] as const) {
      const reading = parseCrontab(text, options);
      assert.equal(reading.jobs[0]?.spec.command, "check");
      assert.equal(reading.notes.length, notes);
    }
    const system = parseCrontab("@daily root -n check", { ...options, system: true });
    assert.deepEqual([system.jobs[0]?.spec.user, system.jobs[0]?.spec.command], ["root", "check"]);
  });
});

it("a line that is longer than a description is imported whole", () => {
  const command = `echo ${"x".repeat(6_000)}`;
  const spec = only(`@daily ${command}`);
  assert.equal(spec.command, command);
  assert.equal(spec.description?.length, 4_096);
});

describe("the system form", () => {
  const homes = new Map([["www-data", "/var/www"]]);
  it("names the user before the command", () => {
    const text = "17 *\t* * *\troot    cd / && run-parts /etc/cron.hourly\n@daily www-data php /srv/cron.php";
    const { jobs, refused, notes } = parseCrontab(text, { ...options, system: true, homes });
    assert.deepEqual(refused, []);
    assert.deepEqual(notes, []);
    assert.deepEqual(
      jobs.map(({ spec }) => [spec.user, spec.cwd, spec.env?.["LOGNAME"], spec.command]),
      [
        ["root", "/root", "root", "cd / && run-parts /etc/cron.hourly"],
        ["www-data", "/var/www", "www-data", "php /srv/cron.php"],
      ],
    );
  });
  it("says when it doesn't know a user's home", () => {
    const { jobs, notes } = parseCrontab("@daily nobody-here x", { ...options, system: true });
    assert.equal(jobs[0]?.spec.cwd, "/");
    assert.match(notes[0] ?? "", /^line 1: the home of nobody-here is not known/);
  });
  it("is suggested when a user's crontab looks like it", () => {
    const { doubts } = parseCrontab("@daily www-data php /srv/cron.php", { ...options, homes });
    assert.match(doubts[0] ?? "", /--system/);
  });
  it("is not suggested for a command that is called like a user", () => {
    const users = new Map(["backup", "sync", "mail", "man"].map((name) => [name, "/x"]));
    const text = "@daily backup --full\n@daily sync\n@daily mail -s x y </z\n@daily sync && poweroff";
    const { doubts, userLike } = parseCrontab(text, { ...options, homes: users });
    assert.deepEqual([doubts, userLike], [[], 0]);
  });
});

describe("an id", () => {
  it("stays the same when the line's times, zone or place change, so that its job is updated and not doubled", () => {
    const before = only("0 3 * * * backup /srv");
    const after = only("# moved\n\nCRON_TZ=UTC\n30 4 * * 1 backup /srv");
    assert.equal(after.id, before.id);
    assert.notEqual(only("0 3 * * * backup /home").id, before.id);
  });
  it("differs between hosts and users, and begins with the prefix", () => {
    const ids = [only("@daily x"), only("@daily x", { host: "web2" }), only("@daily x", { user: "root" })];
    assert.equal(new Set(ids.map(({ id }) => id)).size, 3);
    assert.match(only("@daily x", { prefix: "web1-" }).id, /^web1-x-[0-9a-f]{6}$/);
  });
  it("differs between lines with the same command, by their order", () => {
    const { jobs } = parseCrontab("@daily x\n@weekly x\n@monthly x", options);
    const [first = "", second, third] = jobs.map(({ spec }) => String(spec.id));
    assert.deepEqual([second, third], [`${first}-2`, `${first}-3`]);
  });
  it("can be made of any command", () => {
    for (const command of [
      "./ÄÖ",
      "[ -x /usr/bin/y ] && /usr/bin/y",
      "A=1 B=2 z >/dev/null 2>&1",
      "'a b'",
      `x${"y".repeat(400)}`,
      "%",
    ]) {
      const { jobs, refused } = parseCrontab(`@daily ${command}`, options);
      assert.equal(jobs.length + refused.length, 1, command);
      if (command !== "%") assert.equal(jobs.length, 1, `${command}: ${refused[0]?.reason}`);
    }
    assert.match(only("@daily [ -x /usr/bin/y ] && /usr/bin/y").id, /^x-y-y-/);
  });
});

describe("a line that can't be imported is named with its number and reason, and the others are imported", () => {
  const table: [line: string, reason: RegExp, system?: boolean][] = [
    ["@reboot /usr/local/bin/warm-up", /systemd unit/],
    ["61 * * * * x", /^schedule: "61" in the minute field/],
    ["* * * * *", /no command/],
    ["@daily", /no command/],
    ["* * * x", /no schedule/],
    ["0~30 * * * * x", /use H instead/],
    ["45 23 L * * x", /cron doesn't know "L"/],
    ["0 0 H * * x", /cron doesn't know "H"/],
    ["0 6 * * FRI#1 x", /cron doesn't know "#"/],
    ["0 6 15W * * x", /cron doesn't know "W"/],
    ["5/15 * * * * x", /N-LAST\/STEP/],
    ["0 0 30 2 * x", /never/],
    ["@dayly x", /did you mean "@daily"/],
    ["A-B=1", /can't be a variable's name/],
    ["CRON_TZ=Europe/Berln", /did you mean "Europe\/Berlin"/],
    ["*/10 * * * * * cmd", /looks like another field/],
    ["0 */10 * * * * * cmd", /looks like another field/],
    ["@monthly 45 cron.monthly cmd", /looks like another field/],
    ["0 3 * * * 1-5 cmd", /looks like another field/],
    ["0 3 * * * 2026 root cmd", /looks like another field/, true],
    ["0 3 * * * * root cmd", /looks like another field/, true],
    ["0 3 * * * -x cmd", /cron refuses a command that begins with -x/],
    ["0 3 * * * -n", /no command/],
    ["@daily root", /no command after the user/, true],
    ["@daily ro;ot x", /^user: /, true],
  ];
  for (const [line, reason, system = false] of table) {
    it(`${line}: ${reason.source}`, () => {
      const other = system ? "root y" : "y";
      const { jobs, refused } = parseCrontab(
        `# one\n@daily ${other}\n${line}\nCRON_TZ=UTC\n@weekly ${other}`,
        { ...options, system },
      );
      assert.equal(jobs.length, 2);
      assert.equal(refused.length, 1);
      assert.deepEqual([refused[0]?.line, refused[0]?.text], [3, line]);
      assert.match(refused[0]?.reason ?? "", reason);
    });
  }
  it("lines below a variable that can't be read are not imported without it", () => {
    assert.match(
      parseCrontab('X="in" out\n', options).refused[0]?.reason ?? "",
      /something follows the value's closing "/,
    );
    const text = "PATH='/opt/bin\n@daily x\nPATH=/bin\n@daily y";
    const { jobs, refused } = parseCrontab(text, options);
    assert.deepEqual(
      refused.map(({ line, reason }) => [line, reason]),
      [
        [1, "the value begins with ' and never ends"],
        [2, "it is below PATH (line 1), whose value can't be read"],
      ],
    );
    assert.deepEqual(
      jobs.map(({ line }) => line),
      [4],
    );
  });
  it("lines below an invalid CRON_TZ are not imported into another zone", () => {
    const { jobs, refused } = parseCrontab("CRON_TZ=Mars\n@daily x\nCRON_TZ=UTC\n@daily y", options);
    assert.equal(jobs.length, 1);
    assert.deepEqual(
      refused.map(({ line }) => line),
      [1, 2],
    );
    assert.match(refused[1]?.reason ?? "", /CRON_TZ \(line 1\)/);
  });
  it("mail, random delays and the like are reported", () => {
    const { notes } = parseCrontab(
      'MAILTO=""\nMAILTO=me\nRANDOM_DELAY=5\nMAILFROM=x\nLOGNAME=y\n@daily x',
      options,
    );
    assert.deepEqual(
      notes.map((note) => note.split(" is ")[0]),
      ["line 2: MAILTO=me", "line 3: RANDOM_DELAY", "line 4: MAILFROM"],
    );
  });
});
