/** What can be done with the chosen jobs together. */
import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
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
    text: "They are removed from every peer, and their ticks stop. Runs that are on go on to their end. The jobs are kept for a while, so the deletion can be undone.",
    one: deletionText,
    no: "Keep",
    class: "danger",
  },
};

export function ChosenBar({ chosen, reload }: ChosenProps): JSX.Element | null {
  const [asked, setAsked] = useState<keyof typeof questions | undefined>();
  if (chosen.value.size === 0 || !may("operator")) return null;
  const ids = [...chosen.value];
  const clear = (): void => {
    chosen.value = new Set();
  };
  const close = (): void => setAsked(undefined);
  const act = async (action: BulkAction): Promise<void> => {
    close();
    if (await bulk(ids, action)) clear();
    reload();
  };
  const question = asked && questions[asked];
  const [first, second] = ids;
  const them = second === undefined ? "it" : "them";
  return (
    <div class="chosen" role="group" aria-label="For the chosen jobs">
      <span>{countText(ids.length, "job")} chosen</span>
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
      {asked && question && (
        <Question
          title={`${question.verb} ${second === undefined ? first : countText(ids.length, "job")}?`}
          no={`${question.no} ${them}`}
          yes={`${question.verb} ${them}`}
          class={question.class}
          onClose={close}
          onYes={() => void act(asked)}
        >
          <p>{second === undefined ? question.one : question.text}</p>
          {second !== undefined && (
            <p class="names" tabIndex={0}>
              {ids.slice(0, 30).join(", ")}
              {ids.length > 30 && ` and ${ids.length - 30} more`}
            </p>
          )}
        </Question>
      )}
    </div>
  );
}
