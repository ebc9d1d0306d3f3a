/**
 * Asks for something of the API at once, again when an event says that it may have changed, and from time to time. It never asks
 * more often than it was told to, however many events come.
 */
import { ask, isLoggedIn, lostSince, Refused, type Answer } from "./ask.ts";
import { onEvent, type Kind } from "./events.ts";

export interface WatchOptions {
  /** which events may change it */
  on?: readonly Kind[];
  /** only events about a subject that begins with this text */
  about?: string;
  /** the shortest time between two questions, however many events come. Unit: ms */
  everyMs?: number;
  /** … and the longest one, because not everything has an event. Unit: ms */
  pollMs?: number;
}

export interface Watch {
  /** Asks again as soon as it may. */
  soon(): void;
  stop(): void;
}

const retryMs = 2_500;

export function watch<Body>(
  path: string,
  { on = [], about, everyMs = 1_000, pollMs = 15_000 }: WatchOptions,
  answered: (answer: Answer<Body>) => void,
  refused: (error: Refused) => void = () => {},
): Watch {
  const aborted = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** when the next question is planned, wall ms */
  let at = Infinity;
  let isAsking = false;
  let isWanted = false;
  let hasFailed = false;
  let lastMs = -Infinity;

  const plan = (ms: number): void => {
    const then = Date.now() + ms;
    if (then >= at || aborted.signal.aborted) return;
    clearTimeout(timer);
    at = then;
    timer = setTimeout(() => void act(), ms);
  };
  const act = async (): Promise<void> => {
    at = Infinity;
    if (isLoggedIn.peek() !== true) return;
    isAsking = true;
    isWanted = false;
    let nextMs = pollMs;
    try {
      answered(await ask<Body>(path, { signal: aborted.signal }));
      hasFailed = false;
    } catch (error) {
      if (aborted.signal.aborted) return;
      hasFailed = true;
      if (error instanceof Refused) refused(error);
      else nextMs = retryMs;
    }
    isAsking = false;
    lastMs = Date.now();
    plan(isWanted ? everyMs : nextMs);
  };
  const soon = (): void => {
    if (isAsking) isWanted = true;
    else plan(Math.max(50, lastMs + everyMs - Date.now()));
  };
  const stopEvents = onEvent((kind, subject) => {
    const fits = about === undefined || subject === undefined || subject.startsWith(about);
    // A tab in the background needs no more than its title.
    if (on.includes(kind) && fits && !document.hidden) soon();
  });
  const seen = (): void => {
    if (!document.hidden) soon();
  };
  document.addEventListener("visibilitychange", seen);
  // Asks again, once the peer answers, for what was refused or out of reach.
  const stopLost = lostSince.subscribe((since) => {
    if (since === undefined && hasFailed) soon();
  });
  plan(0);
  return {
    soon,
    stop: () => {
      aborted.abort();
      clearTimeout(timer);
      stopEvents();
      stopLost();
      document.removeEventListener("visibilitychange", seen);
    },
  };
}
