/** The time of the peer, to the second. It stands still while the peer doesn't answer: then nothing counts down. */
import { effect, signal } from "@preact/signals";
import { lostSince, peerAheadMs } from "./ask.ts";

/** wall ms */
export const now = signal(Date.now());

function update(): void {
  if (!document.hidden) now.value = Date.now() + peerAheadMs.peek();
}

export function startClock(): void {
  effect(() => {
    if (lostSince.value !== undefined) return undefined;
    update();
    const timer = setInterval(update, 1_000);
    document.addEventListener("visibilitychange", update);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", update);
    };
  });
}
