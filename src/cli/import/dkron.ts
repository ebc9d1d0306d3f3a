/**
 * Turns dkron's jobs (`GET /v1/jobs`, or one job) into jobs. Pure: text in, jobs and reports out.
 *
 * In dkron a job without tags runs on every node, and one with tags on every node that has them, unless a tag's value ends with
 * `:N`. Jobs keep that (`target.count`), so a tag becomes one that the peers must have (`cicada start --tag NAME=VALUE`).
 */
import { CicadaError } from "../../errors.ts";
import { parseDuration } from "../../core/time/units.ts";
import { readJsonText } from "../../schema/json.ts";
import { Drafts, idFrom, isObject, unread, wordOf, type Draft, type ForeignOptions } from "./drafts.ts";
import type { Reading } from "./reading.ts";
import { readRobfig } from "./robfig.ts";

type Fields = Record<string, unknown>;

/** `source` names the file. Throws BAD_FILE for a text that is no JSON. */
export function parseDkron(text: string, source: string, options: ForeignOptions): Reading {
  const drafts = new Drafts(options);
  const jobs = jobsIn(text, source);
  const names = new Set(jobs.map(({ name }) => name));
  for (const [index, job] of jobs.entries()) {
    const at = typeof job["name"] === "string" ? job["name"] : `job ${index + 1}`;
    drafts.add(at, textOf(job, "schedule") || textOf(job, "parent_job"), (draft) =>
      jobOf(job, names, source, draft, options),
    );
  }
  return drafts.reading;
}

function jobsIn(text: string, source: string): Fields[] {
  const read = readJsonText(text);
  if (!read.ok) throw new CicadaError("BAD_FILE", `${source}: ${read.detail}`);
  const list: unknown[] = Array.isArray(read.value) ? read.value : [read.value];
  if (!list.every((one): one is Fields => isObject(one))) {
    throw new CicadaError("BAD_FILE", `${source}: expected a job of dkron, or a list of jobs`);
  }
  return list;
}

function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === "string" ? value : "";
}

/** Fields that are carried over, or that dkron writes itself. */
const known = (
  "id name displayname timezone schedule owner owner_email disabled tags metadata retries parent_job concurrency executor " +
  "executor_config starts_at expires_at success_count error_count last_success last_error status next dependent_jobs"
).split(" ");

function jobOf(
  job: Fields,
  names: ReadonlySet<unknown>,
  source: string,
  draft: Draft,
  options: ForeignOptions,
): Fields {
  const name = textOf(job, "name");
  if (name === "") draft.addRefusal("it has no name");
  noteOthers(job, draft);
  const { starts_at: startsAt, expires_at: endsAt, retries, concurrency } = job;
  const metadata = isObject(job["metadata"]) ? job["metadata"] : {};
  return {
    id: idFrom(name, options.prefix),
    ...draft.part(() => timesOf(job, names, draft, options)),
    startsAt: typeof startsAt === "string" ? startsAt : undefined,
    endsAt: typeof endsAt === "string" ? endsAt : undefined,
    enabled: job["disabled"] === true ? false : undefined,
    ...draft.part(() => actionOf(job, draft, options)),
    target: targetOf(job, draft),
    overlap: concurrency === "forbid" ? "skip" : "allow",
    catchUp: { policy: "none" },
    retry:
      typeof retries === "number" && retries > 0
        ? { attempts: retries, backoff: "1s", factor: 1 }
        : undefined,
    owner: textOf(job, "owner") || undefined,
    labels: {
      ...Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, wordOf(value)])),
      "imported-from": "dkron",
      file: source.slice(0, 256),
    },
    description: textOf(job, "displayname") || undefined,
  };
}

function noteOthers(job: Fields, draft: Draft): void {
  if (job["ephemeral"] === true)
    draft.disable(
      "ephemeral: dkron deletes it after its first success, but here it stays: enable it by hand",
    );
  const processors = isObject(job["processors"]) ? Object.keys(job["processors"]) : [];
  if (processors.length > 0)
    draft.note(
      `in dkron its output goes to ${processors.join(", ")}; here it is kept with each run (see start --syslog, --archive)`,
    );
  if (textOf(job, "owner_email") !== "")
    draft.note(`owner_email ${textOf(job, "owner_email")} is not carried over: use a channel and \`notify\``);
  const others = unread(job, [...known, "ephemeral", "processors"]);
  if (others.length > 0) draft.note(`not carried over: ${others.join(", ")}`);
}

function timesOf(job: Fields, names: ReadonlySet<unknown>, draft: Draft, options: ForeignOptions): Fields {
  const [parent, schedule] = [textOf(job, "parent_job"), textOf(job, "schedule")];
  if (parent !== "") {
    if (!names.has(parent))
      draft.note(`its parent_job ${parent} is not in this file: it must be there before`);
    if (schedule !== "" && schedule !== "@manually") {
      draft.addRefusal(`it has a schedule (${schedule}) and a parent_job (${parent}): make two jobs of it`);
    }
    return { after: { jobs: [idFrom(parent, options.prefix)], on: "success" } };
  }
  if (schedule === "") return draft.refuse("it has neither a schedule nor a parent_job");
  const read = readRobfig(schedule, "dkron");
  if ("reason" in read) return draft.refuse(read.reason);
  for (const note of read.notes) draft.note(note);
  if (read.schedule === undefined) return {};
  const named = read.zone ?? (textOf(job, "timezone") || undefined);
  const isClock = !/^@(every|at)/.test(read.schedule);
  if (named === undefined && isClock) {
    draft.note(
      `it names no timezone, so its times are those of the dkron servers' hosts, taken to be ${options.zone}; --tz names another`,
    );
  }
  return { schedule: read.schedule, timezone: named ?? options.zone };
}

function targetOf(job: Fields, draft: Draft): Fields {
  const written = isObject(job["tags"]) ? job["tags"] : {};
  const tags: Record<string, string> = {};
  let count: number | "all" = "all";
  for (const [name, value] of Object.entries(written)) {
    const [wanted = "", number, ...more] = wordOf(value).split(":");
    if (more.length > 0 || (number !== undefined && !/^[1-9]\d*$/.test(number))) {
      draft.addRefusal(`the tag ${name}: ${wordOf(value)} is not understood`);
      continue;
    }
    tags[name] = wanted;
    if (number !== undefined) count = count === "all" ? Number(number) : Math.min(count, Number(number));
  }
  const asked = Object.entries(tags).map(([name, value]) => `--tag ${name}=${value}`);
  if (asked.length > 0) draft.note(`only peers that were started with ${asked.join(" ")} run it`);
  else
    draft.note(
      "it has no tags, so it runs on every peer, as it does on every node of dkron; --target-count 1 would make it run on one of them",
    );
  return { ...(asked.length === 0 ? {} : { tags }), count };
}

// ---------------------------------------------------------------------------------------------------------
// What it runs

function actionOf(job: Fields, draft: Draft, options: ForeignOptions): Fields {
  const config = isObject(job["executor_config"]) ? job["executor_config"] : {};
  const executor = textOf(job, "executor");
  if (executor === "shell") return shellOf(job, config, draft, options);
  if (executor === "http") return { http: httpOf(config, draft) };
  return draft.refuse(
    `the executor ${JSON.stringify(executor)} has no counterpart: shell and http are known`,
  );
}

const shellFields = "command shell env cwd timeout su".split(" ");

function shellOf(job: Fields, config: Fields, draft: Draft, options: ForeignOptions): Fields {
  const command = textOf(config, "command");
  if (command === "") draft.addRefusal("its executor_config has no command");
  if (textOf(config, "payload") !== "")
    draft.addRefusal("its payload (standard input, in base64) is not carried over");
  noteConfig(config, [...shellFields, "payload"], draft);
  const env: Record<string, string> = { ENV_JOB_NAME: textOf(job, "name") };
  for (const pair of textOf(config, "env")
    .split(",")
    .filter((one) => one !== "")) {
    const at = pair.indexOf("=");
    if (at < 1)
      draft.addRefusal(`env: ${JSON.stringify(pair)} is not NAME=VALUE (dkron splits at each comma)`);
    else env[pair.slice(0, at).trim()] = pair.slice(at + 1);
  }
  const timeout = textOf(config, "timeout");
  if (timeout !== "" && parseDuration(timeout) === undefined)
    draft.addRefusal(`the timeout ${timeout} is not a duration`);
  const [user, group] = textOf(config, "su").split(":");
  if (group !== undefined)
    draft.disable(`su: the group ${group} is not carried over: check what the job may do, then enable it`);
  return {
    ...(isTrue(config["shell"]) ? { command } : { argv: wordsOf(command, draft) }),
    env,
    cwd: textOf(config, "cwd") || undefined,
    timeout: timeout || undefined,
    user: user || options.user,
  };
}

function wordsOf(command: string, draft: Draft): string[] {
  const words = splitWords(command);
  if (words === undefined || words.length === 0) return draft.refuse("its command has an open quote");
  if (/[$`|;<>&]/.test(command))
    draft.note("without shell: true, its $ ` | ; < > & reach the program unchanged, as in dkron");
  return words;
}

function isTrue(value: unknown): boolean {
  return value === true || /^(1|t|true)$/i.test(wordOf(value));
}

const httpFields = "method url headers body timeout expectCode expectBody tlsNoVerifyPeer debug".split(" ");

function httpOf(config: Fields, draft: Draft): Fields {
  for (const name of ["tlsCertificateFile", "tlsCertificateKeyFile", "tlsRootCAsFile"]) {
    if (textOf(config, name) !== "")
      draft.addRefusal(`${name} has no counterpart: a request has no certificate of its own`);
  }
  noteConfig(config, httpFields, draft);
  const codes = textOf(config, "expectCode").match(/\d{3}/g)?.map(Number);
  if (codes === undefined)
    draft.note(
      "without expectCode dkron takes any answer for a success; here only 200 is one (http.expectStatus)",
    );
  const timeout = wordOf(config["timeout"]);
  return {
    method: textOf(config, "method").toUpperCase() || undefined,
    url: textOf(config, "url"),
    ...headersOf(config, draft),
    ...(textOf(config, "body") === "" ? {} : { body: textOf(config, "body") }),
    timeout: /^\d+$/.test(timeout) ? `${timeout}s` : "30s",
    ...(codes === undefined ? {} : { expectStatus: [...new Set(codes)] }),
    ...(textOf(config, "expectBody") === "" ? {} : { expectBody: textOf(config, "expectBody") }),
    followRedirects: true,
    ...(isTrue(config["tlsNoVerifyPeer"]) ? { insecureTls: true } : {}),
  };
}

function headersOf(config: Fields, draft: Draft): { headers?: Record<string, string> } {
  const written = textOf(config, "headers");
  if (written === "") return {};
  let lines: unknown;
  try {
    lines = JSON.parse(written);
  } catch {
    lines = undefined;
  }
  if (!Array.isArray(lines)) return draft.refuse(`headers are not a list in JSON: ${written}`);
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const [, name, value = ""] = /^([^:]+):\s*(.*)$/s.exec(wordOf(line)) ?? [];
    if (name === undefined) return draft.refuse(`the header ${wordOf(line)} is not NAME: VALUE`);
    headers[name.trim()] = value.trim();
  }
  return { headers };
}

function noteConfig(config: Fields, fields: readonly string[], draft: Draft): void {
  const others = unread(config, fields);
  if (others.length > 0) draft.note(`not carried over of executor_config: ${others.join(", ")}`);
}

/** Splits a command into words as a shell does, without filling anything in; undefined if a quote is never closed. */
function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  const pattern = /\s*((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])+)/gsy;
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    end = match.index + match[0].length;
    words.push(
      (match[1] ?? "").replaceAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/gs, (_, double, single, escaped) =>
        double === undefined ? String(single ?? escaped) : String(double).replaceAll(/\\(["\\$`])/g, "$1"),
      ),
    );
  }
  return text.slice(end).trim() === "" ? words : undefined;
}
