/** The shape of a job by its schema, with messages that say what to write. */
import { checkOf } from "../../schema/check.ts";
import { chainConditions, largestCapacity, retryOutcomes } from "../../schema/job-vocabulary.ts";
import {
  JobSpecSchema,
  countMax,
  parentsMax,
  pauseAfterFailuresMax,
  retryAttemptsMax,
  type JobSpec,
  type Problem,
} from "../../schema/job.ts";
import { describeFault } from "../../schema/fault-words.ts";
import { afterFailuresMax, noticeEvents } from "../../schema/notice.ts";
import { pointerTo } from "../../schema/pointer.ts";
import { durationHint, sizeHint } from "../time/units.ts";
import { secretsOfJobMax } from "../../schema/secret.ts";
import { secretNameHint } from "./secrets.ts";
import type { Fields } from "./fields.ts";

const jobValidator = checkOf(JobSpecSchema);

export function isJob(given: Fields): given is JobSpec {
  return jobValidator.accepts(given);
}

/** One validator per field, because a validator stops after its first few errors. */
const fieldValidators = Object.entries(JobSpecSchema.properties).map(
  ([name, schema]) => [name, checkOf(schema)] as const,
);

const tagsHint =
  'tags map at most 32 names to texts, such as {"disk": "ssd"} for peers started with --tag disk=ssd';

const patternsHint = "a pattern (RE2) of at most 1024 characters, or a list of at most 16";

/** Messages for single fields; all others get the schema's. */
const fieldHints: Readonly<Record<string, string>> = {
  "/id": "an id is 1 to 128 characters from a-z, 0-9, '.', '_' and '-', and begins with a letter or digit",
  "/group":
    "a group is 1 to 64 characters from a-z, 0-9, '.', '_' and '-', and begins with a letter or digit",
  "/schedule": "a schedule is a text, or a list of 1 to 32 texts, of at most 256 characters each",
  "/executor": 'the executor is "shell" (with command), "exec" (with argv), "http" (with http) or "script"',
  "/http": 'http is an object such as {"url": "https://example.org/ping"}',
  "/script":
    'script is an object such as {"interpreter": "python3", "sha256": …}, with the sha256 that PUT /v1/scripts answers',
  "/script/interpreter":
    "interpreter is the name of a program on the PATH, such as python3, or its absolute path",
  "/script/sha256": "sha256 is the 64 hex digits that PUT /v1/scripts answers",
  "/script/args": "args is a list of texts",
  "/http/url": "url is the address, such as https://example.org/ping",
  "/http/headers": 'headers map at most 64 names to texts, such as {"Accept": "application/json"}',
  "/http/body": "body is a text of at most 64 KiB",
  "/http/expectStatus": "expectStatus is a list of 1 to 100 status codes, such as [200, 204]",
  "/except":
    "except is a list of at most 366 texts: dates, ranges of dates and cron expressions whose ticks are left out",
  "/argv": "argv is a list of 1 to 1024 texts: the program and its arguments",
  "/params": 'params maps names to objects such as {"type": "number", "default": 3}',
  "/success": 'success is an object such as {"exitCodes": [0, 3], "skipCodes": [75]}',
  "/limits":
    'limits is an object such as {"nice": 10, "memory": "512MiB", "openFiles": 256, "processes": 100}',
  "/limits/nice": "nice is a whole number from -20 (first) to 19 (last)",
  "/limits/memory": `a size has a unit: ${sizeHint}`,
  "/secrets": `secrets is a list of at most ${secretsOfJobMax} names: ${secretNameHint}`,
  "/precheck": 'precheck is an object such as {"command": "test -e /data/ready", "timeout": "30s"}',
  "/success/mustMatch": patternsHint,
  "/success/mustNotMatch": patternsHint,
  "/http/expectBody":
    "expectBody is a pattern (RE2) of at most 1024 characters that the answer's body must contain",
  "/success/exitCodes": "exitCodes is a list of 1 to 256 exit codes",
  "/success/skipCodes": "skipCodes is a list of exit codes",
  "/weight": `weight is a whole number from 1 to ${largestCapacity}: how much of a peer's --capacity a run takes`,
  "/pool":
    "pool is a name: 1 to 64 characters from a-z, 0-9, '.', '_' and '-', and begins with a letter or digit",
  "/pauseAfterFailures": `pauseAfterFailures is a whole number from 0 (never) to ${pauseAfterFailuresMax}: how many ticks have to fail in a row`,
  "/umask": "a umask is three octal digits as a text, such as 077",
  "/retry/attempts": `attempts says how often a failed run is repeated: 0 to ${retryAttemptsMax}`,
  "/retry/factor": "factor says how many times as long each pause is as the one before: 1 to 100",
  "/retry/on": `on is a list of the outcomes that are repeated: ${retryOutcomes.join(", ")}`,
  "/notify": 'notify is a list of rules such as {"on": ["failed", "recovered"], "to": ["ops"]}, at most 16',
  "/longAfter": `longAfter is a duration (${durationHint}), or auto: twice as long as the job usually takes`,
  "/ping":
    'ping is an object of addresses, such as {"start": "https://…", "success": "https://…", "failure": "https://…"}',
  "/after": 'after is an object such as {"jobs": ["load"], "on": "success"}',
  "/after/jobs": `jobs is a list of 1 to ${parentsMax} ids of jobs`,
  "/after/on": `on is one of ${chainConditions.join(", ")}`,
  "/target/peers": "peers is a list of 1 to 128 names or ids of peers",
  "/target/count": `count says how many runs a tick has, each on another peer: 1 to ${countMax}, or "all"`,
  "/target/offline": `offline is "skip", or a duration: how much later a peer that is away may still run the tick`,
  "/target/rolling": 'rolling is an object such as {"max": 2, "pause": "30s", "stopAfter": 1}',
  "/target/rolling/max": `max is how many peers run the tick at once: 1 to ${countMax}, or a share of them such as "20%"`,
  "/target/rolling/stopAfter": `stopAfter says after how many failed runs the rest is skipped: 1 to ${countMax}, or 0 = never`,
  "/target/tags": tagsHint,
  "/target/prefer/tags": tagsHint,
  "/target/prefer": 'prefer is an object with tags, such as {"tags": {"disk": "ssd"}}',
};

export const durationFields = [
  "/jitter",
  "/timeout",
  "/killGrace",
  "/http/timeout",
  "/precheck/timeout",
  "/catchUp/window",
  "/retry/backoff",
  "/retry/maxBackoff",
  "/keep/age",
  "/target/rolling/pause",
] as const;

export function shapeProblems(given: Fields): Problem[] {
  const found = new Map<string, string>();
  for (const [name, validator] of fieldValidators) {
    const value = given[name];
    if (!Object.hasOwn(given, name)) {
      if (name === "id") found.set("/id", `the id is missing: ${fieldHints["/id"] ?? ""}`);
      continue;
    }
    if (validator.accepts(value)) continue;
    for (const error of validator.errors(value)) {
      // Unknown names are reported by unknownFields.
      if (error.keyword === "additionalProperties" || error.keyword === "boolean") continue;
      const pointer = pointerTo(name) + error.instancePath + missingIn(error);
      if (!found.has(pointer)) found.set(pointer, hintFor(pointer, error));
    }
  }
  return [...found].map(([pointer, message]) => ({ pointer, message }));
}

/** A missing field is reported at its own place. */
function missingIn({ keyword, params }: { keyword: string; params: object }): string {
  if (keyword !== "required" || !("requiredProperties" in params)) return "";
  const [first] = Array.isArray(params.requiredProperties) ? params.requiredProperties : [];
  return pointerTo(String(first));
}

function hintFor(pointer: string, error: { keyword: string; message: string; params: object }): string {
  const own = fieldHints[pointer];
  if (own !== undefined) return own;
  if (durationFields.some((field) => field === pointer)) return `a duration has a unit: ${durationHint}`;
  if (pointer === "/keep/logBytes") return `a size has a unit: ${sizeHint}`;
  if (/^\/notify\/\d+$/.test(pointer))
    return 'a rule is an object such as {"on": ["failed", "recovered"], "to": ["ops"]}';
  if (/^\/notify\/\d+\/on(\/\d+)?$/.test(pointer)) return `on is a list of: ${noticeEvents.join(", ")}`;
  if (/^\/notify\/\d+\/to(\/\d+)?$/.test(pointer)) return "to is a list of 1 to 16 names of channels";
  if (/^\/notify\/\d+\/afterFailures$/.test(pointer))
    return `afterFailures says after how many failed ticks in a row to begin: 1 to ${afterFailuresMax}`;
  if (/^\/params\/[^/]+$/.test(pointer))
    return 'a parameter is an object such as {"type": "number", "default": 3}';
  if (/^\/params\/[^/]+\/type$/.test(pointer)) return "must be one of string, number, boolean, choice";
  if (/^\/http\/expectStatus\/\d+$/.test(pointer)) return "a status code is a whole number from 200 to 599";
  if (/^\/success\/(exit|skip)Codes\/\d+$/.test(pointer))
    return "an exit code is a whole number from 0 to 255";
  if (/^\/secrets\/\d+$/.test(pointer)) return secretNameHint;
  if (/^\/after\/jobs\/\d+$/.test(pointer)) return fieldHints["/id"] ?? "";
  if (pointer.startsWith("/env/") && error.keyword === "type")
    return "a variable's value is a text: put it in quotes";
  if (pointer === "/env")
    return "env maps names (letters, digits and _, not beginning with a digit) to texts";
  if (pointer === "/labels") return "labels map names (letters, digits, '.', '_', '/' and '-') to texts";
  return describeFault(error);
}
