/** A dialog in which a setting is written as YAML. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, Refused } from "../../live/ask.ts";
import { addReceipt } from "../../live/receipts.ts";
import { Dialog, textIn } from "../../parts/parts.tsx";
import type { Kind, Setting } from "./kinds.ts";

interface Props {
  kind: Kind;
  setting: Setting;
  onClose: () => void;
  onDone: () => void;
}

export function EditSetting({ kind, setting, onClose, onDone }: Props): JSX.Element {
  const [problem, setProblem] = useState("");
  const [text, setText] = useState("");
  const { name, ...value } = setting;
  useEffect(() => {
    void (async () => {
      const { writeYaml } = await import("../form/yaml.ts");
      setText(writeYaml(value));
    })();
  }, []);
  const area = useRef<HTMLTextAreaElement>(null);
  // The text is there later than the dialog.
  useEffect(() => {
    if (text !== "" && name !== "") area.current?.focus();
  }, [text]);
  const save = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const { readYaml } = await import("../form/yaml.ts");
    const read = readYaml(textIn(form, "value"));
    if ("problem" in read) return setProblem(read.problem);
    const called = name === "" ? textIn(form, "name").trim() : name;
    try {
      await ask(`/v1/${kind.path}/${encodeURIComponent(called)}`, { method: "PUT", body: read.fields });
    } catch (error) {
      const reasons =
        error instanceof Refused
          ? error.problems.map(({ pointer, message }) => `${pointer} ${message}`.trim()).join("; ")
          : "";
      return setProblem(reasons || (error instanceof Error ? error.message : String(error)));
    }
    addReceipt({ tone: "done", text: `${called} is written.` });
    onDone();
    onClose();
  };
  return (
    <Dialog title={name === "" ? `New ${kind.one}` : name} onClose={onClose}>
      <form onSubmit={(event) => void save(event)}>
        {name === "" && (
          <div class="field">
            <label for="setting-name">Name</label>
            <input id="setting-name" name="name" required autoFocus autoComplete="off" />
          </div>
        )}
        <div class="field">
          <label for="setting-value">As YAML</label>
          <textarea
            ref={area}
            id="setting-value"
            name="value"
            class="mono"
            rows={Math.max(5, text.split("\n").length)}
            defaultValue={text}
            key={text}
            spellcheck={false}
          />
          {problem !== "" && (
            <span class="problem" role="alert">
              {problem}
            </span>
          )}
        </div>
        <div class="actions">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button class="primary">Save</button>
        </div>
      </form>
    </Dialog>
  );
}
