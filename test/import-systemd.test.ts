/** What timers of systemd become. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseTimers, type TimerFiles } from "../src/cli/import/systemd.ts";
import { timersInText } from "../src/cli/import/systemd-files.ts";
import { readOnCalendar } from "../src/cli/import/on-calendar.ts";
import { nextTicks } from "./kit/preview.ts";

const options = { prefix: "", host: "web1", zone: "Europe/Berlin" };

function read(timer: string, service: string, more: Partial<TimerFiles> = {}) {
  return parseTimers(
    [
      {
        name: "backup.timer",
        timer: `[Unit]\nDescription=When\n[Timer]\n${timer}\n[Install]\nWantedBy=timers.target\n`,
        serviceName: "backup.service",
        service: `[Unit]\nDescription=Nightly backup\nAfter=network-online.target\n[Service]\n${service}\n`,
        isUsers: false,
        ...more,
      },
    ],
    options,
  );
}

const runs = "Type=oneshot\nExecStart=/usr/bin/backup --full";

function only(timer: string, service: string, more: Partial<TimerFiles> = {}) {
  const reading = read(timer, service, more);
  assert.deepEqual(reading.refused, []);
  const [job] = reading.jobs;
  assert.ok(job !== undefined);
  return { spec: job.spec, notes: reading.notes };
}

test("a timer and its service are one job, with systemd's surroundings", () => {
  const { spec, notes } = only(
    "OnCalendar=*-*-* 02:30:00\nRandomizedDelaySec=10min\nPersistent=true\nAccuracySec=1us",
    `${runs}\nUser=shop\nWorkingDirectory=/srv/shop\nEnvironment=A=1 "B=two words" 'C=50%%'\nNice=10\nTimeoutStartSec=2h\nUMask=0077\nSuccessExitStatus=3 SIGUSR1`,
  );
  assert.deepEqual(spec, {
    id: "backup",
    schedule: "30 2 * * *",
    timezone: "Europe/Berlin",
    jitter: "10m",
    catchUp: { policy: "latest", window: "30d" },
    argv: ["/usr/bin/backup", "--full"],
    env: {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      A: "1",
      B: "two words",
      C: "50%",
    },
    cwd: "/srv/shop",
    umask: "0077",
    success: { exitCodes: [0, 3] },
    timeout: "2h",
    killGrace: "90s",
    limits: { nice: 10 },
    user: "shop",
    overlap: "skip",
    labels: { "imported-from": "systemd", host: "web1", file: "backup.timer" },
    description: "Nightly backup",
  });
  assert.deepEqual(notes, [
    "backup.timer: SuccessExitStatus=SIGUSR1 is not carried over: only numbers can be",
  ]);
});

describe("OnCalendar", () => {
  const table: [text: string, schedule: string, zone?: string][] = [
    ["daily", "0 0 * * *"],
    ["weekly", "0 0 * * 1"],
    ["quarterly", "0 0 1 1,4,7,10 *"],
    ["semiannually", "0 0 1 1,7 *"],
    ["hourly Europe/Paris", "0 * * * *", "Europe/Paris"],
    ["*-*-* 04:00:00 UTC", "0 4 * * *", "UTC"],
    ["Mon..Fri 08:00", "0 8 * * 1-5"],
    ["Mon-Fri 08:00", "0 8 * * 1-5"],
    ["Sat,Sun 10:15:30", "30 15 10 * * 0,6"],
    ["Sunday", "0 0 * * 0"],
    ["Fri..Sun *-*-* 1:2", "2 1 * * 0,5,6"],
    ["Mon..Sun *-*-1 1:2", "2 1 1 * *"],
    ["*:0/15", "*/15 * * * *"],
    ["*:5/15", "5-59/15 * * * *"],
    ["*-*-1,15 12:00", "0 12 1,15 * *"],
    ["*-1..3-1 0:00", "0 0 1 1-3 *"],
    ["*-*~1 23:00", "0 23 L * *"],
    ["*-02~03 00:00:00", "0 0 L-2 2 *"],
    ["01-01 00:00", "0 0 1 1 *"],
    ["08..18/2:30", "30 8-18/2 * * *"],
    ["*:*:00/20", "*/20 * * * * *"],
  ];
  for (const [text, schedule, zone] of table) {
    test(text, () => {
      assert.deepEqual(readOnCalendar(text), { schedule, ...(zone === undefined ? {} : { zone }) });
    });
  }
  const refused: [text: string, reason: RegExp][] = [
    ["2026-12-24 18:00", /limited to the year/],
    ["*-*-* 25:00", /not within 0 to 23/],
    ["*-*~7/1 0:00", /one by one/],
    ["Mon..Tus 8:00", /is not a weekday/],
    ["Sun..Mon 8:00", /run backwards/],
    ["*/5:00", /not understood/],
    ["08:00 Europe/Berln", /did you mean/],
    ["sometimes", /is not a weekday/],
    ["", /not understood/],
  ];
  for (const [text, reason] of refused) {
    test(`${text} is refused`, () => {
      const times = readOnCalendar(text);
      assert.match("reason" in times ? times.reason : "", reason);
    });
  }
});

describe("a weekday AND a date", () => {
  for (const [text, days] of [
    ["Mon *-*-1..7 03:00", ["2026-12-07", "2027-01-04", "2027-02-01"]],
    ["Fri *-*-13 03:00", ["2027-08-13", "2028-10-13", "2029-04-13"]],
    ["Mon..Fri *-*-1,15 03:00", ["2026-12-01", "2026-12-15", "2027-01-01"]],
  ] as const) {
    test(`${text} is no OR of both, and is made disabled`, () => {
      const { spec, notes } = only(`OnCalendar=${text} UTC`, runs);
      assert.equal(spec.enabled, false);
      assert.match(notes[0] ?? "", /made DISABLED: it asks for a day AND a weekday/);
      assert.deepEqual(
        nextTicks(spec, 3).map((tick) => tick.slice(0, 10)),
        days,
      );
    });
  }
});

describe("a span", () => {
  test("OnUnitActiveSec is @every, and says what it counts from", () => {
    const { spec, notes } = only("OnBootSec=5min\nOnUnitActiveSec=1h 30min", runs);
    assert.equal(spec.schedule, "@every 1h30m");
    assert.match(notes.join("\n"), /OnBootSec=5min is not carried over/);
    assert.match(notes.join("\n"), /counts from the last start/);
  });
  test("OnUnitInactiveSec counts from the end, and is made disabled", () => {
    const { spec, notes } = only("OnUnitInactiveSec=90", runs);
    assert.deepEqual([spec.schedule, spec.enabled], ["@every 1m30s", false]);
    assert.match(notes[0] ?? "", /counts from the end of a run/);
  });
});

describe("ExecStart", () => {
  const table: [service: string, action: object][] = [
    [`ExecStart="/bin/my prog" 'a b' c\\x20d "e\\"f"`, { argv: ["/bin/my prog", "a b", "c d", 'e"f'] }],
    ["ExecStart=/bin/echo %n %p 100%%", { argv: ["/bin/echo", "backup.service", "backup", "100%"] }],
    ["ExecStart=-/bin/false", { command: "{ /bin/false || true; }" }],
    ["ExecStart=/bin/a\nExecStart=/bin/b 'x y'", { command: "/bin/a && /bin/b 'x y'" }],
    ["ExecStart=/bin/old\nExecStart=\nExecStart=/bin/new", { argv: ["/bin/new"] }],
    ["ExecStart=/bin/a ; /bin/b \\;", { command: "/bin/a && /bin/b ';'" }],
    ["ExecStart=/bin/a \\\n  --more \\\n  x", { argv: ["/bin/a", "--more", "x"] }],
    ["ExecStart=/bin/a ${HOME}/x $OPTS $$5", { command: `set -f; /bin/a "\${HOME}"/x $OPTS '$'5` }],
    ["ExecStart=:/bin/a $OPTS", { argv: ["/bin/a", "$OPTS"] }],
    [
      "ExecStartPre=/bin/pre\nExecStart=/bin/a\nExecStartPost=/bin/post",
      { command: "/bin/pre && /bin/a && /bin/post" },
    ],
  ];
  for (const [service, action] of table) {
    test(service.replaceAll("\n", " | "), () => {
      const { command, argv } = only("OnCalendar=daily", `Type=oneshot\n${service}`).spec;
      assert.deepEqual(
        { ...(command === undefined ? {} : { command }), ...(argv === undefined ? {} : { argv }) },
        action,
      );
    });
  }
  test("an ExecCondition is a precheck", () => {
    const { spec } = only("OnCalendar=daily", `${runs}\nExecCondition=/bin/test -e /x`);
    assert.deepEqual(spec.precheck, { argv: ["/bin/test", "-e", "/x"] });
  });
});

describe("what can't be said is refused, or made disabled", () => {
  const refused: [timer: string, service: string, reason: RegExp, more?: Partial<TimerFiles>][] = [
    ["OnBootSec=5min", runs, /no OnCalendar= and no OnUnitActiveSec=/],
    ["OnCalendar=daily", "Type=oneshot", /has no ExecStart=/],
    ["OnCalendar=daily", "ExecStart=/a\nExecStart=/b", /Type=oneshot/],
    ["OnCalendar=daily", "ExecStart=+/bin/a", /the prefix \+/],
    ["OnCalendar=daily", "ExecStart=/bin/a %m", /%m depends on the host/],
    ["OnCalendar=daily", 'ExecStart=/bin/a "b', /never closed/],
    ["OnCalendar=daily", runs, /was not found/, { service: undefined }],
    ["OnCalendar=daily", runs, /name that user with --user/, { isUsers: true }],
    ["OnCalendar=daily\nOnCalendar=Mon *-*-1 0:00", runs, /a day AND a weekday: make a job of each/],
    ["OnCalendar=daily UTC\nOnCalendar=daily", runs, /different zones/],
    ["OnCalendar=hourly\nRandomizedDelaySec=2h", runs, /^jitter: /],
  ];
  for (const [timer, service, reason, more] of refused) {
    test(reason.source, () => {
      const reading = read(timer, service, more);
      assert.deepEqual(reading.jobs, []);
      assert.match(reading.refused[0]?.reasons.join("\n") ?? "", reason);
    });
  }
  for (const line of [
    "EnvironmentFile=/etc/default/backup",
    "Group=backup",
    "DynamicUser=yes",
    "Restart=on-failure",
    "ExecStopPost=/bin/x",
    "RemainAfterExit=yes",
    "WorkingDirectory=~",
  ]) {
    test(`${line} disables`, () => {
      const { spec, notes } = only("OnCalendar=daily", `${runs}\n${line}`);
      assert.equal(spec.enabled, false);
      assert.ok(notes.some((note) => note.includes("DISABLED") && note.includes(line.split("=")[0] ?? "")));
    });
  }
  test("what else the units say is noted, and the job runs", () => {
    const { spec, notes } = only(
      "OnCalendar=daily\nWakeSystem=true",
      `${runs}\nProtectSystem=strict\nStandardOutput=journal`,
    );
    assert.equal(spec.enabled, undefined);
    assert.deepEqual(notes, ["backup.timer: not carried over: WakeSystem=true, ProtectSystem=strict"]);
  });
});

test("a timer that is refused says everything that keeps it from becoming a job, and what would make it disabled", () => {
  const { jobs, refused } = read(
    "OnCalendar=Foo 1:00\nOnCalendar=*-*-* 99:00\nOnUnitActiveSec=90ms\nRandomizedDelaySec=soon",
    'ExecStart=+/bin/a\nExecStart=@/bin/a %m %H "b\nExecStartPost=/bin/c\nEnvironment="A\nTimeoutStopSec=long\nGroup=backup',
    { isUsers: true },
  );
  assert.deepEqual(jobs, []);
  const said = refused[0]?.reasons ?? [];
  const expected = [
    /^OnCalendar=Foo 1:00: /,
    /^OnCalendar=\*-\*-\* 99:00: /,
    /^OnUnitActiveSec= beside OnCalendar=/,
    /^OnUnitActiveSec=90ms is not a time span/,
    /^RandomizedDelaySec=soon/,
    /^ExecStart=: the prefix \+/,
    /^ExecStart=: .*never closed/,
    /^ExecStart=: the prefix @/,
    /^ExecStart=: %m depends/,
    /^ExecStart=: %H depends/,
    /^several ExecStart=/,
    /^ExecStartPost= of a service of Type=simple/,
    /^Environment="A: /,
    /^TimeoutStopSec=long/,
    /name that user with --user$/,
    /^it would be made DISABLED: Group=backup/,
  ];
  assert.equal(said.length, expected.length, said.join("\n"));
  for (const [index, pattern] of expected.entries()) assert.match(said[index] ?? "", pattern);
});

test("a timer whose service is missing says what its own file has wrong, too", () => {
  const { refused } = read("OnCalendar=Foo 1:00", "", { service: undefined });
  assert.match(refused[0]?.reasons.join("\n") ?? "", /^OnCalendar=Foo.*\nbackup\.service, .* not found/);
});

test("what `systemctl cat` prints has the drop-ins, each after the unit that it changes", () => {
  const text = `# /usr/lib/systemd/system/a@x.timer
[Timer]
OnCalendar=daily

# /etc/systemd/system/a@x.timer.d/often.conf
[Timer]
OnCalendar=
OnCalendar=hourly

# /usr/lib/systemd/system/a@.service
[Service]
ExecStart=/bin/true %i

# /etc/systemd/system/a@.service.d/override.conf
[Service]
User=shop
`;
  const { jobs, refused } = parseTimers(timersInText(text), options);
  assert.deepEqual(refused, []);
  assert.deepEqual(
    jobs.map(({ spec }) => [spec.id, spec.schedule, spec.argv, spec.user]),
    [["a-x", "0 * * * *", ["/bin/true", "x"], "shop"]],
  );
  const ofUser = timersInText(text.replaceAll("/system/", "/user/"));
  assert.match(
    parseTimers(ofUser, options).refused[0]?.reasons.join("\n") ?? "",
    /name that user with --user/,
  );
  assert.throws(() => timersInText("[Timer]\nOnCalendar=daily"), /systemctl cat/);
});

test("a service without a user runs as root, as under systemd; one of a user's own runs as --user says", () => {
  assert.equal(only("OnCalendar=daily", runs).spec.user, "root");
  const file: TimerFiles = {
    name: "x@home.timer",
    timer: "[Timer]\nOnCalendar=daily",
    serviceName: "x@home.service",
    service: "[Service]\nExecStart=/bin/a %i",
    isUsers: true,
  };
  const { jobs } = parseTimers([file], { ...options, user: "ada" });
  assert.deepEqual([jobs[0]?.spec.user, jobs[0]?.spec.argv], ["ada", ["/bin/a", "home"]]);
});
