/** Fields made from the job's schema: each holds a part of the job, and what its check says about that part. */
import type { ComponentChildren, JSX } from "preact";
import { Input, isInput, Pairs, Several } from "./inputs.tsx";
import { firstOf, isObject, kindOf, narrowed, withField, type Schema } from "./schema.ts";

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
  overlap: "what happens to a tick while an earlier run is in progress, on any peer",
  partition: "majority: in a split, it runs only on the side with a majority of the voters",
  pool: "limits how many runs of the jobs that name it are on at once",
};

export function Field(props: Props): JSX.Element | null {
  const { name, pointer, schema, value, problems, onChange, isRequired = false } = props;
  const kind = kindOf(schema);
  if (kind === "written") return null;
  if (kind === "parts") return <Parts {...props} />;
  if (kind === "list") return <List {...props} />;
  if (kind === "map") return <Named {...props} />;
  const id = `field${pointer}`;
  const own = problems.filter(
    (one) => one.pointer === pointer || (kind !== "text" && one.pointer.startsWith(`${pointer}/`)),
  );
  const help = helps[name] ?? schema.description;
  const described = own.length > 0 || help !== undefined ? { "aria-describedby": `${id} about` } : {};
  const isWrong = own.length > 0;
  const title = (
    <>
      {name}
      {isRequired && <span class="quiet"> (required)</span>}
    </>
  );
  const about = (isWrong || help !== undefined) && (
    <span id={`${id} about`} class={isWrong ? "problem" : "field-help"}>
      {isWrong ? own.map(({ message }) => message).join("; ") : help}
    </span>
  );
  if (!isInput(kind))
    return (
      <fieldset class="field" {...described}>
        <legend>{title}</legend>
        {kind === "several" ? (
          <Several schema={schema} value={value} onChange={onChange} />
        ) : (
          <Pairs name={name} value={value} onChange={onChange} />
        )}
        {about}
      </fieldset>
    );
  return (
    <div class={kind === "switch" ? "field is-switch" : "field"}>
      <label for={id}>{title}</label>
      <Input {...props} kind={kind} id={id} described={described} isWrong={isWrong} />
      {about}
    </div>
  );
}

/** An object with fields of its own. */
function Parts(props: Props): JSX.Element {
  const { name, pointer, value, problems } = props;
  return (
    <Fold name={name} isOpen={isObject(value) || hasProblem(problems, pointer)}>
      <Within {...props} />
    </Fold>
  );
}

/** A list of objects, such as `notify`. */
function List({ name, pointer, schema, value, problems, onChange }: Props): JSX.Element {
  const items: unknown[] = Array.isArray(value) ? value : [];
  const change = (next: readonly unknown[]): void => onChange(next.length === 0 ? undefined : next);
  return (
    <Fold name={name} isOpen={items.length > 0 || hasProblem(problems, pointer)}>
      {items.map((item, index) => (
        <fieldset key={index} class="entry">
          <legend>
            {name} {index + 1}
          </legend>
          <Within
            name={name}
            pointer={`${pointer}/${index}`}
            schema={schema.items ?? {}}
            value={item}
            problems={problems}
            onChange={(changed) => change(items.map((one, at) => (at === index ? (changed ?? {}) : one)))}
          />
          <button
            type="button"
            class="plain small"
            aria-label={`Remove ${name} ${index + 1}`}
            onClick={() => change(items.filter((_, at) => at !== index))}
          >
            Remove
          </button>
        </fieldset>
      ))}
      <button
        type="button"
        class="small"
        aria-label={`Add to ${name}`}
        onClick={() => change([...items, {}])}
      >
        Add
      </button>
    </Fold>
  );
}

/** Objects by name, such as `params`. */
function Named({ name, pointer, schema, value, problems, onChange }: Props): JSX.Element {
  const entries = Object.entries(isObject(value) ? value : {});
  const [part = {}] = Object.values(schema.patternProperties ?? {});
  const change = (next: readonly (readonly [string, unknown])[]): void =>
    onChange(next.length === 0 ? undefined : Object.fromEntries(next));
  const rename = (from: string, input: HTMLInputElement): void => {
    const to = input.value.trim();
    if (to === "" || entries.some(([key]) => key === to)) input.value = from;
    else change(entries.map(([key, one]) => [key === from ? to : key, one]));
  };
  const add = (): void => {
    let key = "NAME";
    for (let number = 2; entries.some(([taken]) => taken === key); number++) key = `NAME_${number}`;
    change([...entries, [key, firstOf(part)]]);
  };
  return (
    <Fold name={name} isOpen={entries.length > 0 || hasProblem(problems, pointer)}>
      {entries.map(([key, item], index) => (
        <fieldset key={index} class="entry">
          <legend>{key}</legend>
          <div class="field">
            <label for={`name${pointer}/${index}`}>name</label>
            <input
              id={`name${pointer}/${index}`}
              class="mono"
              value={key}
              autoComplete="off"
              spellcheck={false}
              onChange={({ currentTarget }) => rename(key, currentTarget)}
            />
          </div>
          <Within
            name={key}
            pointer={`${pointer}/${key}`}
            schema={part}
            value={item}
            problems={problems}
            onChange={(changed) =>
              change(entries.map(([one, other]) => [one, one === key ? (changed ?? {}) : other]))
            }
          />
          <button
            type="button"
            class="plain small"
            aria-label={`Remove ${name} ${key}`}
            onClick={() => change(entries.filter(([one]) => one !== key))}
          >
            Remove
          </button>
        </fieldset>
      ))}
      <button type="button" class="small" aria-label={`Add to ${name}`} onClick={add}>
        Add
      </button>
    </Fold>
  );
}

function Fold({
  name,
  isOpen,
  children,
}: {
  name: string;
  isOpen: boolean;
  children: ComponentChildren;
}): JSX.Element {
  return (
    <details class="parts" open={isOpen}>
      <summary>{name}</summary>
      <div class="fields">{children}</div>
    </details>
  );
}

/** The fields of an object. */
function Within({ pointer, schema, value, problems, onChange }: Props): JSX.Element {
  return (
    <>
      {Object.entries(schema.properties ?? {}).map(([field, part]) => (
        <Field
          key={field}
          name={field}
          pointer={`${pointer}/${field}`}
          schema={narrowed(part, value)}
          value={isObject(value) ? value[field] : undefined}
          problems={problems}
          isRequired={schema.required?.includes(field) ?? false}
          onChange={(changed) => onChange(withField(value, field, changed))}
        />
      ))}
    </>
  );
}

function hasProblem(problems: readonly Problem[], pointer: string): boolean {
  return problems.some((one) => one.pointer === pointer || one.pointer.startsWith(`${pointer}/`));
}
