/**
 * Secrets as a job names them: which names it may have, where a request has them filled in, and what a value and a sealed value
 * must be like. The values themselves never come here.
 */
import type { JobSpec, Problem } from "../../schema/job.ts";
import { pointerTo } from "../../schema/pointer.ts";
import {
  SealedSecretSchema,
  secretLeastCharacters,
  secretMaxBytes,
  secretNamePattern,
  type SealedSecret,
} from "../../schema/secret.ts";
import { shapeOf } from "../../schema/shape.ts";
import { inside, listOfTexts, type Fields } from "./fields.ts";

const nameForm = new RegExp(secretNamePattern);
const shape = shapeOf(SealedSecretSchema, "as cicada secrets set seals it");

/** What is wrong with a name; undefined = nothing. */
export function secretNameProblem(name: string): string | undefined {
  return nameForm.test(name) ? whyTaken(name) : secretNameHint;
}

export const secretNameHint =
  "a secret's name is that of an environment variable: 1 to 64 letters, digits and _, not beginning with a digit";

/** Variables that a run has from its peer's host unless the job's `env` gives them. */
const hostVariables: ReadonlySet<string> = new Set([
  "PATH",
  "HOME",
  "LANG",
  "TZ",
  "USER",
  "LOGNAME",
  "SHELL",
  "TMPDIR",
]);

/** Variables that tell a run about itself, so nothing that the job says can replace them. */
const runVariables: ReadonlySet<string> = new Set([
  "CICADA_JOB",
  "CICADA_RUN",
  "CICADA_TICK",
  "CICADA_ATTEMPT",
  "CICADA_TRIGGER",
  "CICADA_PEER",
  "CICADA_PEER_NAME",
  "CICADA_SLOT",
  "CICADA_IDEMPOTENCY_KEY",
  "CICADA_OUTPUT",
  "CICADA_PARENTS",
  "TRACEPARENT",
]);

function whyTaken(name: string): string | undefined {
  return hostVariables.has(name) || name.startsWith("CICADA_PARAM_") ? taken(name) : whyOfRun(name);
}

/** Why a job or a person can't give a run this variable; undefined = they can. */
export function whyOfRun(name: string): string | undefined {
  return runVariables.has(name) ? taken(name) : undefined;
}

function taken(name: string): string {
  return `cicada sets ${name} for each run itself: choose another name`;
}

/** What is wrong with a value, without showing it; undefined = nothing. */
export function secretValueProblem(value: string): string | undefined {
  if (value.includes("\0")) return "a value that contains a NUL byte can't be passed to a program";
  if ([...value].length < secretLeastCharacters) {
    return `a value has at least ${secretLeastCharacters} characters: a shorter one can't be masked in outputs`;
  }
  const bytes = Buffer.byteLength(value);
  return bytes <= secretMaxBytes
    ? undefined
    : `a value has at most ${secretMaxBytes} bytes, this one has ${bytes}`;
}

/** A sealed value of the table; undefined if it can't be read. */
export function readSealed(entry: unknown): SealedSecret | undefined {
  const checked = shape.checkKnown(entry);
  return checked.ok ? checked.value : undefined;
}

export function sealedProblems(name: string, entry: unknown): readonly Problem[] {
  const message = secretNameProblem(name);
  if (message !== undefined) return [{ pointer: "", message }];
  const checked = shape.check(entry);
  return checked.ok ? [] : checked.problems;
}

const placeholder = /\$\{secrets\.([^}]*)\}/g;

/** The names for which a text has a place, `${secrets.NAME}`. */
function namesIn(text: string): string[] {
  return [...text.matchAll(placeholder)].map(([, name = ""]) => name);
}

/** Where a request may have places for secrets. */
function placesOf(given: Fields): [pointer: string, text: string][] {
  const http = inside(given, "http");
  const headers = Object.entries(inside(http, "headers")).map(
    ([name, value]) => [pointerTo("http", "headers", name), value] as const,
  );
  const places = [["/http/url", http["url"]], ["/http/body", http["body"]], ...headers] as const;
  return places.flatMap(([pointer, value]) => (typeof value === "string" ? [[pointer, value]] : []));
}

export function secretProblems(given: Fields): Problem[] {
  const names = listOfTexts(given["secrets"]) ?? [];
  const env = inside(given, "env");
  const problems = names.flatMap((name, place) => {
    const pointer = pointerTo("secrets", String(place));
    const message =
      secretNameProblem(name) ??
      (Object.hasOwn(env, name) ? `env has a variable ${name} as well: give it only once` : undefined) ??
      (names.indexOf(name) < place ? `${name} is listed twice` : undefined);
    return message === undefined ? [] : [{ pointer, message }];
  });
  const used = placesOf(given).flatMap(([pointer, text]) => namesIn(text).map((name) => ({ pointer, name })));
  for (const { pointer, name } of used) {
    if (names.includes(name)) continue;
    problems.push({ pointer, message: `\${secrets.${name}}: list ${name} in secrets as well` });
  }
  if (given["http"] === undefined) return problems;
  for (const [place, name] of names.entries()) {
    if (used.some((one) => one.name === name)) continue;
    const message = `a request has no environment: write \${secrets.${name}} into http.url, a header or http.body`;
    problems.push({ pointer: pointerTo("secrets", String(place)), message });
  }
  const url = inside(given, "http")["url"];
  if (typeof url === "string" && namesIn(url.split(/[/?#]/).slice(0, 3).join("/")).length > 0) {
    const message = "a secret can stand in the address's path and query, not in its host";
    problems.push({ pointer: "/http/url", message });
  } else if (typeof url === "string" && namesIn(url).length > 0 && /^\w+:\/\/[^/?#]*@/.test(url)) {
    const message = "an address with a user can't have a secret: write the header Authorization instead";
    problems.push({ pointer: "/http/url", message });
  }
  return problems;
}

/** A request's text with the values in their places. */
export function fillIn(text: string, valueOf: (name: string) => string | undefined): string {
  return text.replaceAll(placeholder, (whole, name: string) => valueOf(name) ?? whole);
}

/** What a host must have to run the job (members/equipment.ts). */
export function secretsEquipment({ secrets = [] }: JobSpec): string[] {
  return secrets.map((name) => `secret:${name}`);
}
