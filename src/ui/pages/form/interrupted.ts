/** Jobs whose writing was interrupted, by a link or by the end of the session: who comes back to the form goes on with it. */
import { effect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { isLoggedIn, loginReason } from "../../live/ask.ts";
import type { Job } from "../../live/types.ts";

export type Draft = Readonly<Record<string, unknown>>;

interface Writing {
  draft: Draft;
  /** the job as it was when its edit began; undefined = a new one */
  edits: Job | undefined;
}

/** by the address of the form */
const interrupted = new Map<string, Writing>();

/** A session that ends by itself has a reason for the next login. */
const hasLoggedOut = (): boolean => isLoggedIn.value === false && loginReason.value === "";
effect(() => {
  if (hasLoggedOut()) interrupted.clear();
});

/** What was being written at this address. */
export function interruptedHere(): Writing | undefined {
  return interrupted.get(location.href);
}

/** Keeps what has been written if the form goes, unless the person logs out. Returns how to drop it: it is saved, or cancelled. */
export function useInterruption(writing: Writing): () => void {
  const last = useRef(writing);
  const unchanged = useRef(writing.draft);
  const [address] = useState(() => location.href);
  last.current = writing;
  useEffect(
    () => () => {
      if (last.current.draft !== unchanged.current && !hasLoggedOut()) interrupted.set(address, last.current);
    },
    [],
  );
  return () => {
    unchanged.current = last.current.draft;
    interrupted.delete(address);
  };
}
