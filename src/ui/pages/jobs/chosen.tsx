/**
 * What can be done with the chosen jobs together. By keyboard, `a` leads there from a job's checkbox (parts/keys.tsx), and Escape
 * back to it.
 */
import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { bulk, type BulkAction } from "../../live/job-actions.ts";
import { may } from "../../live/me.ts";
import { deletionText } from "../../parts/job-dialogs.tsx";
import { Question } from "../../parts/parts.tsx";
import { countText } from "../../words.ts";

interface ChosenProps {
  chosen: Signal<ReadonlySet<string>>;
  reload: () => void;
}

/**
 * Actions that need a confirmation: a run can't be taken back, and a deletion stops what people count on. `one`: for a single job
 */
const questions = {
  run: {
    verb: "Run",
    text: "Each runs once, now, in addition to its schedule. What has run can't be undone.",
    one: "It runs once, now, in addition to its schedule. What has run can't be undone.",
    no: "Don't run",
    class: "primary",
  },
  delete: {
    verb: "Delete",
    text: "They are removed from every peer, and their ticks stop. Runs in progress may finish. The jobs are kept for a while, so the deletion can be undone.",
    one: deletionText,
    no: "Keep",
    class: "danger",
  },
};

export function ChosenBar({ chosen, reload }: ChosenProps): JSX.Element | null {
  const [asked, setAsked] = useState<keyof typeof questions | undefined>();
  const bar = useRef<HTMLDivElement>(null);
  /** the checkbox from which the focus came into the bar */
  const cameFrom = useRef<HTMLInputElement>(null);
  if (!may("operator")) return null;
  const ids = [...chosen.value];
  const count = ids.length === 0 ? "" : `${countText(ids.length, "job")} chosen`;
  const goBack = (): void => cameFrom.current?.focus();
  const clear = (): void => {
    if (bar.current?.contains(document.activeElement) === true) goBack();
    chosen.value = new Set();
  };
  const act = async (action: BulkAction): Promise<void> => {
    setAsked(undefined);
    if (await bulk(ids, action)) clear();
    reload();
  };
  return (
    <>
      {/* It is there before there is anything to say, or a screen reader would not say it. */}
      <p class="unseen" role="status">
        {count !== "" && `${count}. Press a for what can be done with ${themOf(ids)}.`}
      </p>
      {count !== "" && (
        <div
          ref={bar}
          class="chosen"
          role="group"
          aria-label="For the chosen jobs"
          onFocusIn={({ relatedTarget }) => {
            if (relatedTarget instanceof HTMLInputElement) cameFrom.current = relatedTarget;
          }}
          onKeyDown={({ key }) => {
            if (key === "Escape" && asked === undefined) goBack();
          }}
        >
          <span>{count}</span>
          <span class="chosen-keys quiet small" aria-hidden="true">
            <kbd>a</kbd> <kbd>Esc</kbd>
          </span>
          <button onClick={() => setAsked("run")}>Run</button>
          <button onClick={() => void act("pause")}>Pause</button>
          <button onClick={() => void act("resume")}>Resume</button>
          {may("editor") && (
            <button class="danger" onClick={() => setAsked("delete")}>
              Delete
            </button>
          )}
          <button class="plain" onClick={clear}>
            Clear
          </button>
          {asked && (
            <Confirm
              asked={asked}
              ids={ids}
              onClose={() => setAsked(undefined)}
              onYes={() => void act(asked)}
            />
          )}
        </div>
      )}
    </>
  );
}

function themOf({ length }: readonly string[]): "it" | "them" {
  return length === 1 ? "it" : "them";
}

interface ConfirmProps {
  asked: keyof typeof questions;
  ids: readonly string[];
  onClose: () => void;
  onYes: () => void;
}

function Confirm({ asked, ids, onClose, onYes }: ConfirmProps): JSX.Element {
  const { verb, text, one, no, class: name } = questions[asked];
  const isOne = ids.length === 1;
  return (
    <Question
      title={`${verb} ${isOne ? ids[0] : countText(ids.length, "job")}?`}
      no={`${no} ${themOf(ids)}`}
      yes={`${verb} ${themOf(ids)}`}
      class={name}
      onClose={onClose}
      onYes={onYes}
    >
      <p>{isOne ? one : text}</p>
      {!isOne && (
        <p class="names" tabIndex={0}>
          {ids.slice(0, 30).join(", ")}
          {ids.length > 30 && ` and ${ids.length - 30} more`}
        </p>
      )}
    </Question>
  );
}
