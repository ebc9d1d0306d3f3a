/**
 * The table as objects that people keep in files: each with its kind, its name (the id, for a job), and the fields that a person
 * writes. Objects that are sent are checked here one by one, and the table's are shown in the same form.
 */
import { CicadaError } from "../../errors.ts";
import type { Control, View } from "../../ports/control.ts";
import { checkChannel, hidden, isChannelName, withoutSecrets, withSecretsOf } from "../../schema/channel.ts";
import { objectKinds, type ObjectKind } from "../../schema/declared.ts";
import type { JobId } from "../../schema/ids.ts";
import { schemaField } from "../../schema/job-vocabulary.ts";
import type { CheckedSpec, Problem } from "../../schema/job.ts";
import { didYouMean } from "../../schema/nearest.ts";
import type { SettingKind } from "../../schema/setting.ts";
import type { Decisions } from "../options.ts";

export interface Declared {
  readonly kind: ObjectKind;
  readonly name: string;
  /** the fields without kind and name; of a channel, with what is hidden in it */
  readonly value: Readonly<Record<string, unknown>>;
  /** of a job */
  readonly spec?: CheckedSpec;
  /** where it stands in the body */
  readonly at: string;
}

export const settingOf: Readonly<Record<Exclude<ObjectKind, "job" | "channel">, SettingKind>> = {
  group: "groups",
  calendar: "calendars",
  pool: "pools",
  maintenance: "maintenance",
};

/** Fields that only cicada writes, by kind; they may be sent back. */
const readOnly: Readonly<Record<ObjectKind, readonly string[]>> = {
  group: ["jobs"],
  calendar: ["jobs", "expanded"],
  pool: ["jobs", "holders", "waiting"],
  maintenance: [],
  channel: ["usedBy", "lastMessage", "problems"],
  job: [],
};

/** Reads all objects, or throws all that is wrong with them. */
export function readObjects(objects: readonly unknown[], control: Control, decisions: Decisions): Declared[] {
  const problems: Problem[] = [];
  const seen = new Map<string, string>();
  const read = objects.flatMap((object, index) => {
    const at = `/objects/${index}`;
    const one = readObject(object, at, control, decisions);
    if (Array.isArray(one)) {
      problems.push(...one.map(({ pointer, message }) => ({ pointer: `${at}${pointer}`, message })));
      return [];
    }
    const key = `${one.kind} ${one.name}`;
    const first = seen.get(key);
    if (first !== undefined) problems.push({ pointer: at, message: `the ${key} is also given at ${first}` });
    seen.set(key, at);
    return [one];
  });
  if (problems.length > 0) {
    const [first] = problems;
    throw new CicadaError("INVALID_OBJECT", `${first?.pointer}: ${first?.message}`, problems.slice(0, 50));
  }
  return read;
}

function readObject(
  object: unknown,
  at: string,
  control: Control,
  decisions: Decisions,
): Declared | Problem[] {
  if (!isObject(object)) return [{ pointer: "", message: "an object has its kind, its name and its fields" }];
  const { kind: given = "job", ...fields } = object;
  const kind = objectKinds.find((one) => one === given);
  if (kind === undefined) {
    return [{ pointer: "/kind", message: unknownKind(given) }];
  }
  if (kind === "job") {
    const checked = decisions.checkJob(fields);
    if (!checked.ok) return [...checked.problems];
    const { id, ...value } = checked.spec;
    return { kind, name: id, value, spec: checked.spec, at };
  }
  const { name, ...rest } = fields;
  if (typeof name !== "string") return [{ pointer: "/name", message: "the name is missing" }];
  const dropped = [...readOnly[kind], schemaField];
  const value = Object.fromEntries(Object.entries(rest).filter(([field]) => !dropped.includes(field)));
  if (kind !== "channel") return { kind, name, value, at };
  if (!isChannelName(name))
    return [{ pointer: "/name", message: "a name is 1 to 64 characters from a-z, 0-9, '.', '_' and '-'" }];
  const known = checkChannel(control.values("channels").get(name));
  const checked = checkChannel(withSecretsOf(known.ok ? known.channel : undefined, value));
  if (!checked.ok) return [...checked.problems];
  if ("secret" in checked.channel && checked.channel.secret === hidden) {
    return [{ pointer: "/secret", message: "an export doesn't contain the secret: write it here" }];
  }
  return { kind, name, value: { ...checked.channel }, at };
}

function unknownKind(given: unknown): string {
  const known = `the kinds are ${objectKinds.join(", ")}`;
  if (typeof given !== "string") return `a kind is a word: ${known}`;
  if (given === "CronJob")
    return `unknown kind "CronJob": \`cicada import k8s FILE\` reads it, and here ${known}`;
  const meant = didYouMean(given, objectKinds);
  return meant === "" ? `unknown kind ${JSON.stringify(given)}: ${known}` : `unknown kind${meant}`;
}

export interface LeftOut {
  kind: ObjectKind;
  name: string;
  reason: string;
}

/**
 * The table's objects, by kind and name, as they would be declared. It is read once, because a set may have thousands of objects.
 */
export class Present {
  readonly jobs: View["jobs"];
  readonly #quarantined: View["quarantined"];
  readonly #values: Readonly<Record<Exclude<ObjectKind, "job">, ReadonlyMap<string, unknown>>>;

  constructor(control: Control) {
    const { jobs, quarantined } = control.view();
    this.jobs = jobs;
    this.#quarantined = quarantined;
    this.#values = {
      channel: control.values("channels"),
      group: control.settings("groups"),
      calendar: control.settings("calendars"),
      pool: control.settings("pools"),
      maintenance: control.settings("maintenance"),
    };
  }

  /** Undefined = there is no such object. */
  get(kind: ObjectKind, name: string): Readonly<Record<string, unknown>> | undefined {
    if (kind === "job") {
      const job = this.jobs.get(name as JobId);
      if (job === undefined) return undefined;
      const { id: _, ...value } = job.written ?? job.spec;
      return value;
    }
    const value = this.#values[kind].get(name);
    if (!isObject(value)) return undefined;
    if (kind !== "calendar") return value;
    const { at: _, expanded: __, ...written } = value;
    return written;
  }

  /** A job that the table holds and that can't be read. */
  isQuarantined(name: string): boolean {
    return this.#quarantined.some(({ id }) => id === name);
  }

  /** What the table holds and an export leaves out, because it can't be read. */
  leftOut(): LeftOut[] {
    const jobs = this.#quarantined.map(({ id, problems: [first] }) => ({
      kind: "job" as const,
      name: id,
      reason: first === undefined ? "it can't be read" : `${first.pointer} ${first.message}`.trim(),
    }));
    const channels = [...this.#values.channel].flatMap(([name, value]) => {
      const checked = checkChannel(value);
      return checked.ok
        ? []
        : [{ kind: "channel" as const, name, reason: checked.problems[0]?.message ?? "" }];
    });
    return [...jobs, ...channels];
  }

  /** Everything that can be declared, without what is hidden. */
  exported(): Record<string, unknown>[] {
    return objectKinds.flatMap((kind): Record<string, unknown>[] => {
      if (kind === "job") {
        const jobs = [...this.jobs.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
        return jobs.map((job) => ({ kind, ...(job.written ?? job.spec) }));
      }
      return [...this.#values[kind]].flatMap(([name, value]): Record<string, unknown>[] => {
        if (kind !== "channel") return [{ kind, name, ...this.get(kind, name) }];
        const checked = checkChannel(value);
        return checked.ok ? [{ kind, name, ...withoutSecrets(checked.channel) }] : [];
      });
    });
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
