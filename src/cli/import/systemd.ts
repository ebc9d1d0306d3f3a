/**
 * Turns a systemd timer and its service into a job that behaves as they do. Pure: texts in, jobs and reports out.
 *
 * A timer that elapses while its service is still active starts nothing, so the jobs have `overlap: skip`. What a service says
 * about its sandbox is noted; a setting without a counterpart that decides whether or as whom it runs makes the job disabled.
 */
import { formatDuration } from "../../core/time/units.ts";
import { Drafts, idFrom, type Draft, type ForeignOptions } from "./drafts.ts";
import { dayAndWeekday } from "./days.ts";
import { actionOf, readExecLine } from "./exec-lines.ts";
import { readOnCalendar } from "./on-calendar.ts";
import type { Reading } from "./reading.ts";
import { isTrue, readSpan, readUnit, valueOf, valuesOf, type Unit } from "./unit-files.ts";

/** A timer and the service that it starts. */
export interface TimerFiles {
  /** `backup.timer` */
  name: string;
  timer: string;
  /** `backup.service` */
  serviceName: string;
  /** undefined: the file was not found */
  service: string | undefined;
  /** a unit of a user's own systemd, which runs as that user */
  isUsers: boolean;
  /** a folder whose files change it, and that was not read */
  dropIns?: string;
}

/** The unit that a timer starts. */
export function serviceOf(name: string, timer: string): string {
  return valueOf(readUnit(timer), "Timer", "Unit") ?? name.replace(/\.timer$/, ".service");
}

export function parseTimers(files: readonly TimerFiles[], options: ForeignOptions): Reading {
  const drafts = new Drafts(options);
  for (const file of files) {
    drafts.add(file.name, file.serviceName, (draft) => jobOf(file, draft, options));
  }
  return drafts.reading;
}

function jobOf(file: TimerFiles, draft: Draft, options: ForeignOptions): Record<string, unknown> {
  const timer = readUnit(file.timer);
  const service = readUnit(file.service ?? "");
  noteOthers(timer, service, draft);
  const description = valueOf(service, "Unit", "Description") ?? valueOf(timer, "Unit", "Description");
  return {
    id: idFrom(file.name.replace(/\.timer$/, ""), options.prefix),
    ...draft.part(() => timesOfTimer(timer, draft, options)),
    ...draft.part(() => actionOfService(service, file, draft)),
    ...limitsOf(service, draft),
    user: userOf(service, file, draft, options),
    overlap: "skip",
    labels: { "imported-from": "systemd", host: options.host, file: file.name.slice(0, 256) },
    description: description?.slice(0, 4_096),
  };
}

// ---------------------------------------------------------------------------------------------------------
// When

function timesOfTimer(timer: Unit, draft: Draft, options: ForeignOptions): Record<string, unknown> {
  if (!timer.has("Timer")) draft.refuse("it has no [Timer] section");
  const written = valuesOf(timer, "Timer", "OnCalendar");
  const calendars = written.flatMap((text) => {
    const read = readOnCalendar(text);
    if (!("reason" in read)) return [read];
    draft.addRefusal(`OnCalendar=${text}: ${read.reason}`);
    return [];
  });
  const every = periodOf(timer, written.length > 0, draft);
  const zones = new Set(calendars.map(({ zone = options.zone }) => zone));
  if (zones.size > 1) draft.addRefusal("its OnCalendar= are in different zones: make a job of each");
  const except = calendars.flatMap(({ except: left = [] }) => left);
  if (except.length > 0) {
    if (calendars.length > 1)
      draft.addRefusal("of several OnCalendar=, one asks for a day AND a weekday: make a job of each");
    draft.disable(dayAndWeekday);
  }
  const schedules = [...calendars.map(({ schedule }) => schedule), ...every];
  if (!["OnCalendar", ...repeating].some((name) => valueOf(timer, "Timer", name) !== undefined))
    draft.addRefusal(
      "it has no OnCalendar= and no OnUnitActiveSec=: what else starts a timer has no counterpart",
    );
  const persistent = isTrue(valueOf(timer, "Timer", "Persistent"));
  return {
    schedule: schedules.length > 1 ? schedules : schedules[0],
    timezone: [...zones][0] ?? "UTC",
    except: except.length === 0 ? undefined : except,
    jitter: jitterOf(timer, draft),
    catchUp: persistent ? { policy: "latest", window: "30d" } : { policy: "none" },
  };
}

const repeating = ["OnUnitActiveSec", "OnUnitInactiveSec"] as const;

function periodOf(timer: Unit, hasCalendar: boolean, draft: Draft): string[] {
  for (const name of ["OnActiveSec", "OnBootSec", "OnStartupSec"]) {
    const value = valueOf(timer, "Timer", name);
    if (value !== undefined)
      draft.note(`${name}=${value} is not carried over: a job belongs to no host's start`);
  }
  for (const name of ["OnClockChange", "OnTimezoneChange"]) {
    if (isTrue(valueOf(timer, "Timer", name))) draft.note(`${name} is not carried over`);
  }
  return repeating.flatMap((name) => {
    const value = valueOf(timer, "Timer", name);
    if (value === undefined) return [];
    if (hasCalendar) draft.addRefusal(`${name}= beside OnCalendar= can't be expressed in one job: make two`);
    const ms = readSpan(value);
    if (ms === undefined || ms < 1_000 || !Number.isFinite(ms) || ms % 1_000 !== 0) {
      draft.addRefusal(`${name}=${value} is not a time span of whole seconds`);
      return [];
    }
    if (name === "OnUnitInactiveSec") {
      draft.disable(
        `${name}=${value} counts from the end of a run, @every from fixed instants: check it, then enable it`,
      );
    } else
      draft.note(
        `${name}=${value} counts from the last start, @every from fixed instants that no restart shifts`,
      );
    return [`@every ${formatDuration(ms)}`];
  });
}

function jitterOf(timer: Unit, draft: Draft): string | undefined {
  const value = valueOf(timer, "Timer", "RandomizedDelaySec");
  if (value === undefined) return undefined;
  const ms = readSpan(value);
  if (ms === undefined || !Number.isFinite(ms)) {
    draft.addRefusal(`RandomizedDelaySec=${value} is not a time span`);
    return undefined;
  }
  return ms === 0 ? undefined : formatDuration(ms);
}

// ---------------------------------------------------------------------------------------------------------
// What

function actionOfService(service: Unit, file: TimerFiles, draft: Draft): Record<string, unknown> {
  if (file.service === undefined) {
    draft.refuse(
      `${file.serviceName}, which it starts, was not found: give that file, too, or put it beside the timer`,
    );
  }
  if (!service.has("Service")) draft.refuse(`${file.serviceName} has no [Service] section`);
  const type = valueOf(service, "Service", "Type") ?? "simple";
  const isOneshot = type === "oneshot";
  const specifier = specifiersOf(file.serviceName);
  const read = (name: string) =>
    valuesOf(service, "Service", name).flatMap((line) => {
      const commands = readExecLine(line, specifier);
      if (!("reasons" in commands)) return commands;
      for (const reason of commands.reasons) draft.addRefusal(`${name}=: ${reason}`);
      return [];
    });
  const before = read("ExecStartPre");
  const main = read("ExecStart");
  const written = valuesOf(service, "Service", "ExecStart").length;
  if (written === 0) draft.addRefusal(`${file.serviceName} has no ExecStart=`);
  if (written > 1 && !isOneshot) draft.addRefusal("several ExecStart= are for Type=oneshot");
  const after = read("ExecStartPost");
  if (after.length > 0 && !isOneshot)
    draft.addRefusal(`ExecStartPost= of a service of Type=${type} runs beside it, and not after it`);
  if (type === "forking")
    draft.note("Type=forking: the run ends with its first process, and what that leaves running continues");
  if (["dbus", "notify", "notify-reload", "idle"].includes(type))
    draft.note(`Type=${type}: the run lasts until its process ends`);
  if (isTrue(valueOf(service, "Service", "RemainAfterExit"))) {
    draft.disable("RemainAfterExit=yes: its timer starts it only once, but a job runs at each tick");
  }
  const conditions = read("ExecCondition");
  const leaves = type === "forking" || /^(process|none)$/.test(valueOf(service, "Service", "KillMode") ?? "");
  return {
    ...(main.length === 0 ? {} : actionOf([...before, ...main, ...after])),
    ...(conditions.length === 0 ? {} : { precheck: actionOf(conditions) }),
    background: leaves ? "leave" : undefined,
    env: environmentOf(service, draft, specifier),
    cwd: folderOf(service, draft, specifier),
    umask: umaskOf(service),
    success: successOf(service, draft),
  };
}

/** What `%x` stands for in a unit of the system, as far as it is the same on every host. */
function specifiersOf(serviceName: string): (letter: string) => string | undefined {
  const plainName = serviceName.replace(/\.service$/, "");
  const [prefix = plainName, instance = ""] = plainName.split(/@(.*)/s, 2);
  const known: Readonly<Record<string, string>> = {
    n: serviceName,
    N: plainName,
    p: prefix,
    P: prefix,
    i: instance,
    I: instance.replaceAll("-", "/"),
    t: "/run",
    S: "/var/lib",
    C: "/var/cache",
    L: "/var/log",
    E: "/etc",
    T: "/tmp",
    V: "/var/tmp",
    h: "/root",
  };
  return (letter) => known[letter];
}

type Specifier = (letter: string) => string | undefined;

function environmentOf(service: Unit, draft: Draft, specifier: Specifier): Record<string, string> {
  const env: Record<string, string> = {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  };
  for (const line of valuesOf(service, "Service", "Environment")) {
    const words = readExecLine(`- ${line}`, specifier);
    if ("reasons" in words) {
      for (const reason of words.reasons) draft.addRefusal(`Environment=${line}: ${reason}`);
      continue;
    }
    for (const word of words.flatMap((one) => one.words.slice(1))) {
      const at = word.indexOf("=");
      if (at < 1) draft.addRefusal(`Environment=${line}: ${JSON.stringify(word)} is not NAME=VALUE`);
      else env[word.slice(0, at)] = word.slice(at + 1);
    }
  }
  return env;
}

function folderOf(service: Unit, draft: Draft, specifier: Specifier): string | undefined {
  const written = valueOf(service, "Service", "WorkingDirectory");
  if (written === undefined) return "/";
  const folder = written
    .replace(/^-/, "")
    .replaceAll(/%(.)/g, (whole, letter: string) => specifier(letter) ?? whole);
  if (folder !== "~") return folder;
  draft.disable(
    "WorkingDirectory=~ is a home that is not known here: give the job its `cwd`, then enable it",
  );
  return undefined;
}

function umaskOf(service: Unit): string {
  const written = valueOf(service, "Service", "UMask") ?? "0022";
  return /^[0-7]{1,4}$/.test(written) ? written.padStart(4, "0") : written;
}

function successOf(service: Unit, draft: Draft): { exitCodes: number[] } | undefined {
  const words = valuesOf(service, "Service", "SuccessExitStatus").flatMap((line) => line.split(/\s+/));
  const codes = words.filter((word) => /^\d{1,3}$/.test(word)).map(Number);
  const others = words.filter((word) => !/^\d{1,3}$/.test(word));
  if (others.length > 0)
    draft.note(`SuccessExitStatus=${others.join(" ")} is not carried over: only numbers can be`);
  return codes.length === 0 ? undefined : { exitCodes: [...new Set([0, ...codes])] };
}

function limitsOf(service: Unit, draft: Draft): Record<string, unknown> {
  const number = (name: string) => {
    const text = valueOf(service, "Service", name)?.split(":").at(-1);
    return text === undefined || !/^-?\d+$/.test(text) ? undefined : Number(text);
  };
  const limits = { nice: number("Nice"), openFiles: number("LimitNOFILE"), processes: number("LimitNPROC") };
  const known = Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
  const duration = (name: string) => {
    const text = valueOf(service, "Service", name);
    const ms = text === undefined ? undefined : readSpan(text);
    if (text !== undefined && ms === undefined) draft.addRefusal(`${name}=${text} is not a time span`);
    return ms === undefined || ms === 0 || !Number.isFinite(ms) ? undefined : formatDuration(ms);
  };
  const isOneshot = valueOf(service, "Service", "Type") === "oneshot";
  const start = isOneshot ? (duration("TimeoutStartSec") ?? duration("TimeoutSec")) : undefined;
  return {
    timeout: duration("RuntimeMaxSec") ?? start,
    killGrace: duration("TimeoutStopSec") ?? duration("TimeoutSec") ?? "90s",
    limits: Object.keys(known).length === 0 ? undefined : known,
  };
}

function userOf(
  service: Unit,
  { isUsers, serviceName }: TimerFiles,
  draft: Draft,
  options: ForeignOptions,
): string {
  const written = valueOf(service, "Service", "User");
  if (isUsers && options.user === undefined)
    draft.addRefusal("it is a unit of a user's own systemd: name that user with --user");
  const filled = written?.replaceAll("%i", specifiersOf(serviceName)("i") ?? "");
  return filled ?? options.user ?? "root";
}

// ---------------------------------------------------------------------------------------------------------
// What else the units say

/** Settings that are carried over, or that say nothing about the runs of a job. */
const known = new Set(
  (
    "Type ExecStart ExecStartPre ExecStartPost ExecCondition Environment WorkingDirectory UMask User Nice LimitNOFILE " +
    "LimitNPROC TimeoutStartSec TimeoutStopSec TimeoutSec RuntimeMaxSec SuccessExitStatus KillMode RemainAfterExit " +
    "SyslogIdentifier SyslogLevel SyslogFacility Description Documentation After Before DefaultDependencies SourcePath " +
    "OnCalendar OnActiveSec OnBootSec OnStartupSec OnUnitActiveSec OnUnitInactiveSec RandomizedDelaySec " +
    "FixedRandomDelay Persistent Unit AccuracySec RemainAfterElapse OnClockChange OnTimezoneChange"
  ).split(" "),
);

/** Settings that decide whether, as whom or with what a service runs. Without them the job would do something else. */
const decisive =
  /^(EnvironmentFile|ExecStop|ExecStopPost|ExecReload|Group|SupplementaryGroups|DynamicUser|Root\w+|Load\w+|SetCredential\w*|StandardInput\w*|Bind\w+|Condition(?!ACPower)\w+|Assert\w+|Restart|PAMName)$/;

function noteOthers(timer: Unit, service: Unit, draft: Draft): void {
  const others: string[] = [];
  for (const [unit, section] of [
    [timer, "Unit"],
    [timer, "Timer"],
    [service, "Unit"],
    [service, "Service"],
  ] as const) {
    for (const { name, value } of unit.get(section) ?? []) {
      if (known.has(name) || name.startsWith("X-") || value === "" || isHarmless(name, value)) continue;
      if (decisive.test(name))
        draft.disable(`${name}=${value} is not carried over: express it in another way, then enable it`);
      else others.push(`${name}=${value}`);
    }
  }
  if (others.length > 0) draft.note(`not carried over: ${others.join(", ")}`);
}

function isHarmless(name: string, value: string): boolean {
  if (/^Standard(Output|Error)$/.test(name)) return /^(journal|inherit|syslog|kmsg)(\+console)?$/.test(value);
  if (name === "StandardInput") return value === "null";
  if (name === "Restart") return value === "no";
  return name === "DynamicUser" && !isTrue(value);
}
