/** What can be done with the chosen jobs together. */
import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { bulk, type BulkAction } from "../../live/job-actions.ts";
import { may } from "../../live/me.ts";
import { Dialog } from "../../parts/parts.tsx";
import { countText } from "../../words.ts";

interface ChosenProps {
  chosen: Signal<ReadonlySet<string>>;
  reload: () => void;
}

/** A deletion is asked about first. */
export function ChosenBar({ chosen, reload }: ChosenProps): JSX.Element | null {
  const [isDeleting, setDeleting] = useState(false);
  if (chosen.value.size === 0 || !may("operator")) return null;
  const ids = [...chosen.value];
  const clear = (): void => {
    chosen.value = new Set();
  };
  const act = async (action: BulkAction): Promise<void> => {
    setDeleting(false);
    if (await bulk(ids, action)) clear();
    reload();
  };
  return (
    <div class="chosen" role="group" aria-label="For the chosen jobs">
      <span>{countText(ids.length, "job")} chosen</span>
      <button onClick={() => void act("run")}>Run</button>
      <button onClick={() => void act("pause")}>Pause</button>
      <button onClick={() => void act("resume")}>Resume</button>
      {may("editor") && (
        <button class="danger" onClick={() => setDeleting(true)}>
          Delete
        </button>
      )}
      <button class="plain" onClick={clear}>
        Clear
      </button>
      {isDeleting && (
        <Dialog title={`Delete ${countText(ids.length, "job")}?`} onClose={() => setDeleting(false)}>
          <p>
            They are removed from every peer, and their ticks stop. Runs that are on go on to their end. The
            jobs are kept for a while, so the deletion can be undone.
          </p>
          <p class="names" tabIndex={0}>
            {ids.slice(0, 30).join(", ")}
            {ids.length > 30 && ` and ${ids.length - 30} more`}
          </p>
          <div class="actions">
            <button onClick={() => setDeleting(false)} autoFocus>
              Keep them
            </button>
            <button class="danger" onClick={() => void act("delete")}>
              Delete them
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}
