/**
 * The page by keyboard: `/` searches, `g` and a letter goes to a page, `a` to what can be done with the chosen jobs, `?` lists the
 * keys.
 */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { go } from "../live/address.ts";
import { Dialog } from "./parts.tsx";

interface KeyPlace {
  path: string;
  name: string;
  key: string;
}

const isHelpOpen = signal(false);
/** How long `g` waits for its letter. Unit: ms. */
const chordMs = 1_500;

export function useKeys(places: readonly KeyPlace[]): void {
  useEffect(() => {
    let chordUntil = -Infinity;
    const press = (event: KeyboardEvent): void => {
      const isTyping = isWritten(event.target);
      if (event.key === "Escape" && isTyping && event.target instanceof HTMLInputElement) event.target.blur();
      if (event.metaKey || event.ctrlKey || event.altKey || isTyping) return;
      if (document.querySelector("dialog[open]") !== null) return;
      const place = performance.now() < chordUntil ? places.find(({ key }) => key === event.key) : undefined;
      chordUntil = event.key === "g" ? performance.now() + chordMs : -Infinity;
      if (place !== undefined) go(`/${place.path}`);
      else if (event.key === "?") isHelpOpen.value = true;
      else if (event.key === "/") search();
      else if (event.key === "a") document.querySelector<HTMLElement>(".chosen button")?.focus();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [places]);
}

/** The search of this page, or that of all jobs. */
function search(): void {
  const field = document.querySelector<HTMLInputElement>('input[type="search"]');
  if (field !== null) {
    field.focus();
    field.select();
  } else go("/jobs?find=1");
}

/** Whether what is pressed is written into it. */
function isWritten(target: EventTarget | null): boolean {
  if (target instanceof HTMLInputElement) return target.type !== "checkbox";
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

export function Help({ places }: { places: readonly KeyPlace[] }): JSX.Element | null {
  if (!isHelpOpen.value) return null;
  const close = (): void => {
    isHelpOpen.value = false;
  };
  return (
    <Dialog title="Keys" onClose={close}>
      <dl class="pairs keys">
        <dt>
          <kbd>/</kbd>
        </dt>
        <dd>search</dd>
        {places.map(({ key, name }) => [
          <dt key={key}>
            <kbd>g</kbd> <kbd>{key}</kbd>
          </dt>,
          <dd key={`${key} name`}>{name}</dd>,
        ])}
        <dt>
          <kbd>a</kbd>
        </dt>
        <dd>what can be done with the chosen jobs</dd>
        <dt>
          <kbd>Esc</kbd>
        </dt>
        <dd>close a dialog, or go back from there to the job's checkbox</dd>
      </dl>
      <div class="actions">
        <button onClick={close}>Close</button>
      </div>
    </Dialog>
  );
}
