/**
 * The stream of events. It only says that something has changed: the parts of the page then ask for what they show, each of
 * them no more often than it wants to (watch.ts), however busy the mesh is. After a lost connection the browser names the last
 * event that it got, and the peer sends those that came since, or says that some were missed.
 */
import { effect } from "@preact/signals";
import { isLoggedIn, lostSince } from "./ask.ts";

/** `failure`: a run has gone wrong; it is a `run`, too. `job`: a job has changed, or a setting, on which any job may depend. */
const kinds = ["run", "failure", "job", "peer"] as const;
export type Kind = (typeof kinds)[number];
/** `subject`: the run, job or peer; undefined if it may be any. */
type Listener = (kind: Kind, subject: string | undefined) => void;

const runStates = "claimed running succeeded failed timeout cancelled lost skipped missed withdrawn".split(
  " ",
);
const names: readonly (readonly [Kind, string])[] = [
  ...runStates.map((state) => ["run", `cicada.run.${state}`] as const),
  ...["failed", "timeout", "lost", "missed"].map((state) => ["failure", `cicada.run.${state}`] as const),
  ["job", "cicada.job.written"],
  ["job", "cicada.job.deleted"],
  ...["alive", "suspect", "dead", "left", "joined"].map((state) => ["peer", `cicada.peer.${state}`] as const),
];

const settings = ["calendar", "channel", "group", "maintenance", "pool"];

const listeners = new Set<Listener>();
const againMs = 3_000;

export function onEvent(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function notify(kind: Kind, subject: string | undefined): void {
  for (const listener of listeners) listener(kind, subject);
}

function notifyAll(): void {
  for (const kind of kinds) notify(kind, undefined);
}

/** Keeps a stream open while somebody is logged in. */
export function followEvents(): void {
  effect(() => {
    if (isLoggedIn.value !== true) return undefined;
    let source: EventSource;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const open = (isAgain: boolean): void => {
      source = new EventSource("/v1/events");
      let isFirst = !isAgain;
      /** The browser has an event to name. */
      let hasEvent = false;
      const follow = (name: string, heard: (event: MessageEvent<string>) => void): void =>
        source.addEventListener(name, (event: MessageEvent<string>) => {
          hasEvent ||= event.lastEventId !== "";
          heard(event);
        });
      for (const [kind, name] of names) follow(name, ({ data }) => notify(kind, subjectOf(data)));
      for (const setting of settings) {
        for (const change of ["written", "deleted"])
          follow(`cicada.${setting}.${change}`, () => notify("job", undefined));
      }
      follow("cicada.events.missed", notifyAll);
      source.addEventListener("open", () => {
        lostSince.value = undefined;
        if (!isFirst && !hasEvent) notifyAll();
        isFirst = false;
      });
      source.addEventListener("error", () => {
        lostSince.value ??= Date.now();
        // The browser itself tries again unless the answer was a refusal.
        if (source.readyState !== EventSource.CLOSED) return;
        clearTimeout(timer);
        timer = setTimeout(() => open(true), againMs);
        // Learns whether the session has ended.
        notify("peer", undefined);
      });
    };
    open(false);
    return () => {
      clearTimeout(timer);
      source.close();
    };
  });
}

function subjectOf(data: string): string | undefined {
  const [, subject] = /"subject":"((?:[^"\\]|\\.)*)"/.exec(data) ?? [];
  return subject;
}
