/** The job that was being written when the session ended, for example because the peer was restarted: the next login goes on with it. */
import { useEffect, useRef } from "preact/hooks";
import { isLoggedIn, loginReason } from "../../live/ask.ts";
import type { Job } from "../../live/types.ts";

export type Draft = Readonly<Record<string, unknown>>;

interface Writing {
  draft: Draft;
  /** the job as it was when its edit began; undefined = a new one */
  edits: Job | undefined;
}

let interrupted: (Writing & { address: string }) | undefined;

/** What was being written at this address. */
export function interruptedHere(): Writing | undefined {
  return interrupted?.address === location.href ? interrupted : undefined;
}

/** Keeps what the form holds if it goes because the session has ended; a person who logs out leaves it. */
export function useInterruption(writing: Writing): void {
  const last = useRef(writing);
  last.current = writing;
  useEffect(() => {
    const { href: address } = location;
    if (interruptedHere() !== undefined) interrupted = undefined;
    return () => {
      const hasEnded = isLoggedIn.peek() === false && loginReason.peek() !== "";
      if (hasEnded) interrupted = { ...last.current, address };
    };
  }, []);
}
