/** Small parts that all pages use: states, what is empty, loading or refused, dialogs. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { place, query } from "../live/address.ts";
import { isLoggedIn, lostSince, type Refused } from "../live/ask.ts";
import type { Resource } from "../live/resource.ts";
import type { JobState, RunState } from "../live/types.ts";
import { isDialogOpen, Receipts } from "./receipts.tsx";
import { jobStateWords, sentence, toneOfJob, toneOfRun, type Tone } from "../words.ts";

export function StateWord({
  tone,
  children,
  title,
}: {
  tone: Tone;
  children: ComponentChildren;
  title?: string;
}): JSX.Element {
  return (
    <span class={`state ${tone}`} title={title}>
      {children}
    </span>
  );
}

export function JobStateWord({ state }: { state: JobState }): JSX.Element {
  return (
    <StateWord tone={toneOfJob(state)} title={jobStateWords[state]}>
      {state}
    </StateWord>
  );
}

export function RunStateWord({ state }: { state: RunState | "pending" }): JSX.Element {
  return <StateWord tone={toneOfRun(state)}>{state}</StateWord>;
}

/** What a section says when it has nothing to show and nothing is wrong. */
export function Nothing({ children }: { children: ComponentChildren }): JSX.Element {
  return <p class="quiet">{children}</p>;
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {children}
    </div>
  );
}

/** Stands in place of a resource without an answer: it loads, was refused, or the peer doesn't answer. */
export function Pending({ of, what }: { of: Pick<Resource<unknown>, "refused">; what: string }): JSX.Element {
  if (of.refused !== undefined) return <RefusedNote refused={of.refused} what={what} />;
  if (lostSince.value !== undefined)
    return (
      <Empty title={`This peer does not answer, so ${what} can't be shown.`}>
        It is asked again every few seconds.
      </Empty>
    );
  if (isLoggedIn.value === false) return <Empty title="Log in to see this." />;
  return (
    <div class="skeleton" role="status">
      <span class="unseen">Loading {what}…</span>
    </div>
  );
}

export function RefusedNote({ refused, what }: { refused: Refused; what: string }): JSX.Element {
  if (refused.status === 403)
    return (
      <Empty title={`You have no right to see ${what}.`}>
        <p>{sentence(refused.message)} Ask an admin of this mesh for a token with that right.</p>
      </Empty>
    );
  // The list is filtered by something that doesn't exist. The error's hint is for people who write requests.
  const isFilter =
    [400, 404, 422].includes(refused.status) && place.value.length === 1 && query.value.size > 0;
  return (
    <div class="trouble" role="alert">
      <strong>{sentence(refused.message.replace(/^\//, ""))}</strong>{" "}
      {isFilter ? (
        <a href={location.pathname}>Show {what} without the filters of this address</a>
      ) : refused.status === 404 ? (
        ""
      ) : (
        refused.hint
      )}
    </div>
  );
}

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  class?: string;
}

/** A modal dialog that is there as long as it is rendered. Escape closes it. */
export function Dialog({ title, onClose, children, class: name }: DialogProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    element?.showModal();
    isDialogOpen.value = true;
    return () => {
      isDialogOpen.value = false;
      element?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      tabIndex={-1}
      aria-label={title}
      class={name}
      onCancel={(event) => (event.preventDefault(), onClose())}
    >
      <h2>{title}</h2>
      {children}
      <Receipts inDialog />
    </dialog>
  );
}

interface QuestionProps extends Omit<DialogProps, "class"> {
  /** the text of the button that changes nothing */
  no: string;
  yes: string;
  /** "primary" for an action that can be taken back */
  class?: string | undefined;
  onYes: () => void;
}

/** Asks before something is done. */
export function Question({
  title,
  no,
  yes,
  class: name = "danger",
  onClose,
  onYes,
  children,
}: QuestionProps): JSX.Element {
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <div class="actions">
        <button onClick={onClose} autoFocus>
          {no}
        </button>
        <button class={name} onClick={onYes}>
          {yes}
        </button>
      </div>
    </Dialog>
  );
}

export function Progress({ ms, usualMs }: { ms: number; usualMs: number | null }): JSX.Element | null {
  if (usualMs === null || usualMs <= 0) return null;
  const share = ms / usualMs;
  return (
    <span class={share > 1.25 ? "progress over" : "progress"} aria-hidden="true">
      <i style={{ width: `${Math.min(100, share * 100)}%` }} />
    </span>
  );
}

/** What a person has typed into a field. */
export function textIn(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}
