/** A job as YAML, beside its form. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { withBoth, type Draft } from "../../live/stored-drafts.ts";
import { sentence } from "../../words.ts";
import type { readYaml, writeYaml } from "./yaml.ts";

interface YamlForm {
  writeYaml: typeof writeYaml;
  readYaml: typeof readYaml;
}

/** The YAML while it doesn't say what the fields say. */
export interface Apart {
  /** what it said when it could last be read */
  said: Draft;
  /** what is written, while it can't be read */
  unreadable: string | undefined;
}

interface YamlProps {
  draft: Draft;
  setDraft: (draft: Draft) => void;
  /** undefined = both say the same */
  apart: Apart | undefined;
  setApart: (apart: Apart | undefined) => void;
}

/**
 * The same job as text. While a person writes in it, it stays as it is written. While it can't be read, changes of the fields are
 * kept, and they are added once it can be read.
 */
export function YamlField({ draft, setDraft, apart, setApart }: YamlProps): JSX.Element {
  const [yaml, setYaml] = useState<YamlForm>();
  const unreadable = apart?.unreadable;
  const [written, setWritten] = useState(unreadable);
  useEffect(() => void import("./yaml.ts").then(setYaml), []);
  const text = written ?? yaml?.writeYaml(draft) ?? "";
  const read = unreadable === undefined ? undefined : yaml?.readYaml(unreadable);
  const problem = read !== undefined && "problem" in read ? read.problem : "";
  const write = (value: string): void => {
    setWritten(value);
    const found = yaml?.readYaml(value);
    if (found === undefined) return;
    const said = apart?.said ?? draft;
    if ("problem" in found) return setApart({ said, unreadable: value });
    setDraft(withBoth(said, draft, found.fields));
    setApart({ said: found.fields, unreadable: undefined });
  };
  const showFields = (): void => {
    setWritten(undefined);
    setApart(undefined);
  };
  return (
    <div class="field yaml">
      <label for="yaml">The same as YAML</label>
      <textarea
        id="yaml"
        class="mono"
        rows={Math.min(36, Math.max(12, text.split("\n").length + 1))}
        spellcheck={false}
        value={text}
        readOnly={yaml === undefined}
        aria-invalid={problem !== ""}
        onInput={({ currentTarget }) => write(currentTarget.value)}
        onBlur={() => {
          if (unreadable === undefined) showFields();
        }}
      />
      {problem !== "" && (
        <span class="problem" role="status">
          {sentence(problem)} What you write in the fields meanwhile is added once this can be read.{" "}
          <button type="button" class="plain" onClick={showFields}>
            Drop this text
          </button>
        </span>
      )}
    </div>
  );
}
