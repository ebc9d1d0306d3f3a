/** Fields made from the job's schema: each holds a part of the job, and what its check says about that part. */
import type { JSX } from "preact";
import { isObject, kindOf, valueOf, withField, type Schema } from "./schema.ts";

export interface Problem {
  /** JSON pointer into the job */
  pointer: string;
  message: string;
}

interface Props {
  name: string;
  pointer: string;
  schema: Schema;
  value: unknown;
  problems: readonly Problem[];
  onChange: (value: unknown) => void;
  isRequired?: boolean;
}

/** What the schema doesn't say, for the fields that people ask about first. */
const helps: Readonly<Record<string, string>> = {
  id: "lower-case letters, digits and . _ -",
  schedule:
    "such as 30 2 * * *, @every 5m or @daily; one per line. Leave it empty for a job that runs by hand or after others",
  timezone: "such as Europe/Berlin; UTC if it is empty",
  command: "runs in /bin/sh -c",
  argv: "the program and its arguments, one per line, without a shell",
  except: "days such as 2026-12-24, ranges, cron expressions or calendar:NAME, one per line",
  overlap: "what happens to a tick while an earlier run is on, on any peer",
  partition: "majority: in a split, it runs only on the side with a majority of the voters",
  pool: "limits how many runs of the jobs that name it are on at once",
};

/** Texts that need more than a line. */
const tall: ReadonlySet<string> = new Set(["command", "stdin", "description", "body"]);

export function Field(props: Props): JSX.Element | null {
  const { name, pointer, schema, value, problems, isRequired = false } = props;
  const kind = kindOf(schema);
  if (kind === "written") return null;
  if (kind === "parts") return <Parts {...props} />;
  const id = `field${pointer}`;
  const own = problems.filter(
    (one) => one.pointer === pointer || (kind !== "text" && one.pointer.startsWith(`${pointer}/`)),
  );
  const help = helps[name] ?? schema.description;
  const described = own.length > 0 || help !== undefined ? { "aria-describedby": `${id} about` } : {};
  return (
    <div class={kind === "switch" ? "field is-switch" : "field"}>
      <label for={id}>
        {name}
        {isRequired && <span class="quiet"> (required)</span>}
      </label>
      <Input {...props} id={id} described={described} isWrong={own.length > 0} value={value} />
      {(own.length > 0 || help !== undefined) && (
        <span id={`${id} about`} class={own.length > 0 ? "problem" : "field-help"}>
          {own.length > 0 ? own.map(({ message }) => message).join("; ") : help}
        </span>
      )}
    </div>
  );
}

interface InputProps extends Props {
  id: string;
  described: { "aria-describedby"?: string };
  isWrong: boolean;
}

function Input({
  id,
  name,
  schema,
  value,
  onChange,
  described,
  isWrong,
  isRequired = false,
}: InputProps): JSX.Element {
  const shared = { id, ...described, "aria-invalid": isWrong, "aria-required": isRequired };
  const kind = kindOf(schema);
  switch (kind) {
    case "choice":
      return (
        <select
          {...shared}
          value={textOf(value)}
          onChange={({ currentTarget }) => onChange(currentTarget.value || undefined)}
        >
          <option value="">default</option>
          {schema.enum?.map((choice) => (
            <option key={choice} value={choice}>
              {choice}
            </option>
          ))}
        </select>
      );
    case "switch":
      return (
        <select
          {...shared}
          value={textOf(value)}
          onChange={({ currentTarget }) =>
            onChange(currentTarget.value === "" ? undefined : currentTarget.value === "true")
          }
        >
          <option value="">default</option>
          <option value="true">yes</option>
          <option value="false">no</option>
        </select>
      );
    case "number":
      return (
        <input
          {...shared}
          inputMode="numeric"
          value={textOf(value)}
          onInput={({ currentTarget }) =>
            onChange(currentTarget.value === "" ? undefined : valueOf(currentTarget.value, schema))
          }
        />
      );
    case "lines":
      return (
        <textarea
          {...shared}
          rows={Math.min(6, Math.max(1, linesOf(value).length))}
          value={linesOf(value).join("\n")}
          onChange={({ currentTarget }) => onChange(fromLines(currentTarget.value, schema))}
        />
      );
    case "pairs":
      return (
        <textarea
          {...shared}
          rows={Math.min(6, Math.max(1, Object.keys(isObject(value) ? value : {}).length))}
          placeholder="NAME=value"
          value={Object.entries(isObject(value) ? value : {})
            .map(([key, one]) => `${key}=${textOf(one)}`)
            .join("\n")}
          onChange={({ currentTarget }) => onChange(fromPairs(currentTarget.value))}
        />
      );
    case "text":
    case "parts":
    case "written": {
      const change = (text: string): void => onChange(text === "" ? undefined : valueOf(text, schema));
      return tall.has(name) ? (
        <textarea
          {...shared}
          rows={3}
          class="mono"
          value={textOf(value)}
          onInput={({ currentTarget }) => change(currentTarget.value)}
        />
      ) : (
        <input
          {...shared}
          value={textOf(value)}
          autoComplete="off"
          spellcheck={false}
          onInput={({ currentTarget }) => change(currentTarget.value)}
        />
      );
    }
  }
}

/** An object with fields of its own. */
function Parts({ name, pointer, schema, value, problems, onChange }: Props): JSX.Element {
  const fields = Object.entries(schema.properties ?? {});
  const isGiven = isObject(value) || problems.some((one) => one.pointer.startsWith(pointer));
  return (
    <details class="parts" open={isGiven}>
      <summary>{name}</summary>
      <div class="fields">
        {fields.map(([field, part]) => (
          <Field
            key={field}
            name={field}
            pointer={`${pointer}/${field}`}
            schema={part}
            value={isObject(value) ? value[field] : undefined}
            problems={problems}
            isRequired={schema.required?.includes(field) ?? false}
            onChange={(changed) => onChange(withField(value, field, changed))}
          />
        ))}
      </div>
    </details>
  );
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

function linesOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(textOf);
  return value === undefined ? [] : [textOf(value)];
}

/** Where the schema takes a single text as well, one line is written as such. */
function fromLines(text: string, schema: Schema): unknown {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  if (lines.length === 0) return undefined;
  if (schema.anyOf !== undefined && lines.length === 1) return lines[0];
  const { items = {} } = schema;
  return lines.map((line) => valueOf(line, items));
}

function fromPairs(text: string): Record<string, string> | undefined {
  const pairs = text.split("\n").flatMap((line) => {
    const [, name, value] = /^\s*([^=\s]+)\s*=(.*)$/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [[name, value] as const];
  });
  return pairs.length === 0 ? undefined : Object.fromEntries(pairs);
}
