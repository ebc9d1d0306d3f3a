/**
 * Values of a job that have the right shape and still mean nothing: an unknown zone, an end before the start, two
 * actions. A value of the wrong shape is passed over, because it has been reported already (job-shapes.ts).
 */
import type { Problem } from "../../schema/job.ts";
import { pointerTo } from "../../schema/pointer.ts";
import { instantHint, parseInstant } from "../time/calendar.ts";
import { isShorterApart, parseSchedule, type Schedule } from "../time/schedule.ts";
import {
  durationHint,
  formatSize,
  parseDuration,
  parseSize,
  sizeHint,
  whyNoDuration,
} from "../time/units.ts";
import { zoneProblem } from "../time/zone.ts";
import { inside, listOfTexts, text, type Fields } from "./fields.ts";
import { httpProblems } from "./http.ts";
import { durationFields } from "./job-shapes.ts";
import { paramProblems, type Params } from "./params.ts";
import { limitProblems } from "./limits.ts";
import { precheckProblems } from "./precheck.ts";
import { scriptProblems } from "./script.ts";
import { secretProblems, whyOfRun } from "./secrets.ts";
import { longestBackoffMs, longestOfflineMs, votedWithinMs } from "../limits.ts";

/** The fields that each check is about: without all of them there is nothing to check. */
const checks: readonly { fields: readonly string[]; check: (given: Fields) => Problem[] }[] = [
  { fields: ["schedule", "timezone", "except"], check: scheduleProblems },
  { fields: ["startsAt", "endsAt"], check: lifetimeProblems },
  {
    fields: [...durationFields.map((pointer) => pointer.split("/")[1] ?? ""), "keep"],
    check: durationProblems,
  },
  { fields: ["retry"], check: retryProblems },
  { fields: ["env", "labels", "command", "argv", "cwd", "user"], check: processProblems },
  { fields: ["http"], check: httpProblems },
  { fields: ["script"], check: scriptProblems },
  { fields: ["precheck"], check: precheckProblems },
  { fields: ["limits"], check: limitProblems },
  { fields: ["secrets", "http"], check: secretProblems },
  { fields: ["target"], check: targetProblems },
  { fields: ["ping", "longAfter"], check: noticeProblems },
  { fields: ["after"], check: chainProblems },
  {
    fields: ["params"],
    check: (given) => paramProblems(inside(given, "params") as Params, runsByItself(given)),
  },
];

export function meaningProblems(given: Fields): Problem[] {
  const problems: Problem[] = [];
  for (const { fields, check } of checks)
    if (fields.some((name) => given[name] !== undefined)) problems.push(...check(given));
  return problems;
}

/** Whether the job runs by itself, and not only by hand. */
function runsByItself(given: Fields): boolean {
  return given["schedule"] !== undefined || given["after"] !== undefined;
}

/** A cycle of several jobs is found where the other jobs are known (operator/chain-check.ts). */
function chainProblems(given: Fields): Problem[] {
  if (given["after"] === undefined) return [];
  const id = text(given, "id");
  const itself = (listOfTexts(inside(given, "after")["jobs"]) ?? []).flatMap((parent, index) =>
    parent === id
      ? [
          {
            pointer: pointerTo("after", "jobs", String(index)),
            message: `a job can't run after itself: ${id} → ${id}`,
          },
        ]
      : [],
  );
  if (given["schedule"] === undefined) return itself;
  const message =
    "a job has either a schedule or parents: one that runs after others has their ticks. Leave out schedule or after";
  return [...itself, { pointer: "/after", message }];
}

function scheduleProblems(given: Fields): Problem[] {
  const problems: Problem[] = [];
  const timezone = text(given, "timezone");
  const zone = timezone === undefined ? undefined : zoneProblem(timezone);
  if (zone !== undefined) problems.push({ pointer: "/timezone", message: zone });
  const schedule = given["schedule"];
  const expressions = typeof schedule === "string" ? [schedule] : (listOfTexts(schedule) ?? []);
  const except = listOfTexts(given["except"]) ?? [];
  if (expressions.length === 0 && except.length === 0) return problems;
  const read = parseSchedule(expressions, "UTC", text(given, "id") ?? "", except);
  if (read.ok) return [...problems, ...jitterProblems(read.schedule, text(given, "jitter"))];
  for (const { field, index, message } of read.problems) {
    // The list of exclusions is checked even without a schedule, because the job may be run by hand.
    if (field === "schedule" && expressions.length === 0) continue;
    const isList = field === "except" || Array.isArray(schedule);
    problems.push({ pointer: isList ? `/${field}/${index}` : `/${field}`, message });
  }
  return problems;
}

/** The schedule is read in UTC. Two ticks that a change of the clocks brings closer may start in the other order, each once. */
function jitterProblems(schedule: Schedule, jitter: string | undefined): Problem[] {
  const jitterMs = jitter === undefined ? undefined : parseDuration(jitter);
  if (jitterMs === undefined || !isShorterApart(schedule, jitterMs)) return [];
  return [
    {
      pointer: "/jitter",
      message: `a jitter of ${jitter} is longer than the time between two ticks: make it shorter`,
    },
  ];
}

function lifetimeProblems(given: Fields): Problem[] {
  const problems: Problem[] = [];
  const instants = ["startsAt", "endsAt"].map((name) => {
    const written = text(given, name);
    const instant = written === undefined ? undefined : parseInstant(written);
    if (written !== undefined && instant === undefined) {
      problems.push({
        pointer: `/${name}`,
        message: `${JSON.stringify(written)} is not an instant: ${instantHint}`,
      });
    }
    return instant;
  });
  const [startsAt, endsAt] = instants;
  if (startsAt !== undefined && endsAt !== undefined && startsAt >= endsAt) {
    problems.push({
      pointer: "/endsAt",
      message: "endsAt must be after startsAt",
    });
  }
  return problems;
}

const largestLogBytes = 1_073_741_824;

/** With the names of the objects that the field is in, and its own. */
const durationPaths = durationFields.map((pointer) => {
  const path = pointer.slice(1).split("/");
  return { pointer, outer: path.slice(0, -1), name: path.at(-1) ?? "" };
});

function durationProblems(given: Fields): Problem[] {
  const problems: Problem[] = [];
  for (const { pointer, outer, name } of durationPaths) {
    const written = text(outer.reduce(inside, given), name);
    if (written === undefined || parseDuration(written) !== undefined) continue;
    problems.push({ pointer, message: `${JSON.stringify(written)} ${whyNoDuration(written)}` });
  }
  const size = text(inside(given, "keep"), "logBytes");
  if (size === undefined) return problems;
  const bytes = parseSize(size);
  const message =
    bytes === undefined
      ? `${JSON.stringify(size)} is not a size: ${sizeHint}`
      : `at most ${formatSize(largestLogBytes)} of a run's output can be kept; ${size} is more`;
  if (bytes === undefined || bytes > largestLogBytes) problems.push({ pointer: "/keep/logBytes", message });
  return problems;
}

function retryProblems(given: Fields): Problem[] {
  const retry = inside(given, "retry");
  return (["backoff", "maxBackoff"] as const).flatMap((name) => {
    const written = text(retry, name);
    const ms = written === undefined ? undefined : parseDuration(written);
    if (ms === undefined || ms <= longestBackoffMs) return [];
    const message = `a retry is due at most 24h after the attempt before it; ${written ?? ""} is longer`;
    return [{ pointer: `/retry/${name}`, message }];
  });
}

function processProblems(given: Fields): Problem[] {
  const problems: Problem[] = [];
  const refuse = (pointer: string, message: string) => problems.push({ pointer, message });
  const env = inside(given, "env");
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name === "__proto__") {
      refuse(
        pointerTo("env", name),
        "a variable's name is made of letters, digits and _, and doesn't begin with a digit",
      );
    }
    const taken = whyOfRun(name);
    if (taken !== undefined) refuse(pointerTo("env", name), taken);
    if (typeof value === "string" && value.includes("\0")) refuse(pointerTo("env", name), nulMessage);
  }
  // The schema's patterns for names only help the form: a record type lets other names pass.
  for (const name of Object.keys(inside(given, "labels"))) {
    if (labelName.test(name) && name !== "__proto__") continue;
    refuse(pointerTo("labels", name), "a label's name is made of letters, digits, '.', '_', '/' and '-'");
  }
  for (const name of ["command", "cwd", "user"]) {
    if (text(given, name)?.includes("\0") === true) refuse(`/${name}`, nulMessage);
  }
  const argv = listOfTexts(given["argv"]) ?? [];
  for (const [index, argument] of argv.entries())
    if (argument.includes("\0")) refuse(`/argv/${index}`, nulMessage);
  const cwd = text(given, "cwd");
  if (cwd !== undefined && cwd !== "" && !cwd.startsWith("/")) {
    refuse(
      "/cwd",
      `${JSON.stringify(cwd)} is not an absolute path: a job may run on any peer, so begin with /`,
    );
  }
  const user = text(given, "user");
  if (user !== undefined && user !== "" && !/^[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?$/.test(user)) {
    refuse("/user", `${JSON.stringify(user)} can't be a user name`);
  }
  return problems;
}

const labelName = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/;
const nulMessage = "a NUL byte can't be passed to a program: take it out";

function targetProblems(given: Fields): Problem[] {
  const target = inside(given, "target");
  const peers = listOfTexts(target["peers"]) ?? [];
  return [
    ...allPeersProblems(given, target),
    ...peers.flatMap((peer, index) =>
      peer.trim() === "" ? [{ pointer: `/target/peers/${index}`, message: "the peer's name is empty" }] : [],
    ),
    ...tagProblems(inside(target, "tags"), "target", "tags"),
    ...tagProblems(inside(inside(target, "prefer"), "tags"), "target", "prefer", "tags"),
  ];
}

/** Problems of what only a job that runs on each of its peers may say. */
function allPeersProblems(given: Fields, target: Fields): Problem[] {
  const problems = (["offline", "rolling"] as const).flatMap((name) => {
    if (target[name] === undefined || target["count"] === "all") return [];
    const message = `${name} is for a job that runs on each of its peers: write "count": "all" too, or leave it out`;
    return [{ pointer: `/target/${name}`, message }];
  });
  const offline = text(target, "offline");
  const offlineMs = offline === undefined || offline === "skip" ? 0 : parseDuration(offline);
  const refuse = (message: string) => problems.push({ pointer: "/target/offline", message });
  if (offlineMs === undefined)
    refuse(`${JSON.stringify(offline)} is neither skip nor a duration: ${durationHint}`);
  else if (offlineMs > longestOfflineMs)
    refuse(`a peer that is away is waited for at most 30d; ${offline ?? ""} is longer`);
  else if (given["partition"] === "majority" && offlineMs > votedWithinMs)
    refuse(
      `the voters of a majority job remember their votes for a day, so a peer that is away is waited for at most 22h; ${offline ?? ""} is longer`,
    );
  return problems;
}

function noticeProblems(given: Fields): Problem[] {
  const problems = Object.entries(inside(given, "ping")).flatMap(([name, url]) => {
    const problem = typeof url === "string" ? urlProblem(url) : undefined;
    return problem === undefined ? [] : [{ pointer: `/ping/${name}`, message: problem }];
  });
  const longAfter = text(given, "longAfter");
  if (longAfter !== undefined && longAfter !== "auto" && parseDuration(longAfter) === undefined) {
    const message = `${JSON.stringify(longAfter)} is neither auto nor a duration: ${durationHint}`;
    problems.push({ pointer: "/longAfter", message });
  }
  return problems;
}

/** What is wrong with an address that is to be called; undefined = nothing. */
export function urlProblem(written: string): string | undefined {
  const url = URL.parse(written);
  if (url === null) return `${JSON.stringify(written)} is not an address such as https://example.org/hook`;
  if (url.protocol === "https:" || url.protocol === "http:") return undefined;
  return `an address begins with https:// or http://, not with ${url.protocol}`;
}

/** A tag that no peer can have: `--tag` takes NAME=VALUE. */
function tagProblems(tags: Fields, ...path: string[]): Problem[] {
  return Object.keys(tags).flatMap((name) => {
    const isName = name !== "" && name.length <= 128 && !name.includes("=") && name !== "__proto__";
    return isName
      ? []
      : [{ pointer: pointerTo(...path, name), message: "a tag's name is 1 to 128 characters without =" }];
  });
}
