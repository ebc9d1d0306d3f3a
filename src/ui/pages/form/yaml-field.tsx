/** A job as YAML, beside its form. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Draft } from "../../live/stored-drafts.ts";
import type { readYaml, writeYaml } from "./yaml.ts";

interface YamlForm {
  writeYaml: typeof writeYaml;
  readYaml: typeof readYaml;
}

interface YamlProps {
  draft: Draft;
  setDraft: (draft: Draft) => void;
  /** what is written, while it can't be read */
  unreadable: string | undefined;
  setUnreadable: (text: string | undefined) => void;
}

/** The same job as text. While a person writes in it, it stays as it is written. */
export function YamlField({ draft, setDraft, unreadable, setUnreadable }: YamlProps): JSX.Element {
  const [yaml, setYaml] = useState<YamlForm>();
  const [written, setWritten] = useState(unreadable);
  useEffect(() => void import("./yaml.ts").then(setYaml), []);
  const text = written ?? yaml?.writeYaml(draft) ?? "";
  const read = unreadable === undefined ? undefined : yaml?.readYaml(unreadable);
  const problem = read !== undefined && "problem" in read ? read.problem : "";
  const write = (value: string): void => {
    setWritten(value);
    const found = yaml?.readYaml(value);
    if (found === undefined) return;
    setUnreadable("problem" in found ? value : undefined);
    if ("fields" in found) setDraft(found.fields);
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
          if (unreadable === undefined) setWritten(undefined);
        }}
      />
      {problem !== "" && (
        <span class="problem" role="status">
          {problem}
        </span>
      )}
    </div>
  );
}
