/** The controls that hold one value of a job: a text, a number, a choice, some of several, lines, or names with values. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { isObject, valueOf, type Kind, type Schema } from "./schema.ts";

/** Texts that need more than a line. */
const tall: ReadonlySet<string> = new Set(["command", "stdin", "description", "body"]);

/** Kinds with one control, which has a label; those with more have a legend. */
type InputKind = Extract<Kind, "text" | "number" | "switch" | "choice" | "lines">;

export function isInput(kind: Kind): kind is InputKind {
  return ["text", "number", "switch", "choice", "lines"].includes(kind);
}

export interface InputProps {
  id: string;
  name: string;
  schema: Schema;
  value: unknown;
  onChange: (value: unknown) => void;
  isRequired?: boolean;
  described: { "aria-describedby"?: string };
  isWrong: boolean;
}

interface ControlProps extends Pick<InputProps, "name" | "schema" | "value" | "onChange"> {
  /** what all controls have */
  shared: {
    id: string;
    "aria-describedby"?: string;
    "aria-invalid": boolean;
    "aria-required": boolean;
  };
}

export function Input(props: InputProps & { kind: InputKind }): JSX.Element {
  const { kind, id, described, isWrong, isRequired = false, ...value } = props;
  const shared = { id, ...described, "aria-invalid": isWrong, "aria-required": isRequired };
  const Control = controls[kind];
  return <Control {...value} shared={shared} />;
}

const controls: Readonly<Record<InputKind, (props: ControlProps) => JSX.Element>> = {
  choice: Choice,
  switch: Switch,
  number: NumberInput,
  lines: LinesInput,
  text: TextInput,
};

function Choice({ shared, schema, value, onChange }: ControlProps): JSX.Element {
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
}

function Switch({ shared, value, onChange }: ControlProps): JSX.Element {
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
}

function NumberInput({ shared, schema, value, onChange }: ControlProps): JSX.Element {
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
}

function LinesInput({ shared, schema, value, onChange }: ControlProps): JSX.Element {
  const lines = linesOf(value);
  return (
    <textarea
      {...shared}
      rows={Math.min(6, Math.max(1, lines.length))}
      value={lines.join("\n")}
      onChange={({ currentTarget }) => onChange(fromLines(currentTarget.value, schema))}
    />
  );
}

function TextInput({ shared, name, schema, value, onChange }: ControlProps): JSX.Element {
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

/** A choice of some of a few names, in the schema's order. */
export function Several({
  schema,
  value,
  onChange,
}: Pick<InputProps, "schema" | "value" | "onChange">): JSX.Element {
  const chosen = new Set(linesOf(value));
  const names = schema.items?.enum ?? [];
  const toggle = (name: string): void => {
    const next = names.filter((one) => (one === name ? !chosen.has(one) : chosen.has(one)));
    onChange(next.length === 0 ? undefined : next);
  };
  return (
    <div class="several">
      {names.map((name) => (
        <label key={name}>
          <input type="checkbox" checked={chosen.has(name)} onChange={() => toggle(name)} /> {name}
        </label>
      ))}
    </div>
  );
}

type Row = readonly [name: string, value: string];

/** Names with a text each, a row for each. A row without a name is no part of the job yet. */
export function Pairs({
  name,
  value,
  onChange,
}: Pick<InputProps, "name" | "value" | "onChange">): JSX.Element {
  const given: readonly Row[] = Object.entries(isObject(value) ? value : {}).map(([key, one]) => [
    key,
    textOf(one),
  ]);
  const [rows, setRows] = useState(given);
  // The YAML may have been edited meanwhile.
  const shown = JSON.stringify(fromRows(rows)) === JSON.stringify(value) ? rows : given;
  const change = (next: readonly Row[]): void => {
    setRows(next);
    onChange(fromRows(next));
  };
  const set = (at: number, row: Row): void => change(shown.map((one, index) => (index === at ? row : one)));
  return (
    <div class="pair-rows">
      {shown.map(([key, text], index) => (
        // Rows have no other identity than their place.
        <div key={index} class="pair-row">
          <input
            class="mono"
            aria-label={`${name}: name ${index + 1}`}
            value={key}
            spellcheck={false}
            autoComplete="off"
            onInput={({ currentTarget }) => set(index, [currentTarget.value.trim(), text])}
          />
          <textarea
            class="mono"
            rows={Math.min(6, text.split("\n").length)}
            aria-label={`${name}: value ${index + 1}`}
            value={text}
            spellcheck={false}
            onInput={({ currentTarget }) => set(index, [key, currentTarget.value])}
          />
          <button
            type="button"
            class="plain small"
            aria-label={`Remove ${name} ${key}`}
            onClick={() => change(shown.filter((_, at) => at !== index))}
          >
            Remove
          </button>
        </div>
      ))}
      <button
        type="button"
        class="small"
        aria-label={`Add to ${name}`}
        onClick={() => change([...shown, ["", ""]])}
      >
        Add
      </button>
    </div>
  );
}

function fromRows(rows: readonly Row[]): Record<string, string> | undefined {
  const named = rows.filter(([name]) => name !== "");
  return named.length === 0 ? undefined : Object.fromEntries(named);
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

function linesOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(textOf);
  return value === undefined ? [] : [textOf(value)];
}

/** If the schema also takes a single text, one line is written as such a text. */
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
