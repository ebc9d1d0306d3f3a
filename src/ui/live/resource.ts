/**
 * Something of the API that a part of the page shows and keeps up to date. An answer that is the same as before changes
 * nothing.
 */
import { useSignal, type Signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { isLoggedIn, type Refused } from "./ask.ts";
import { watch, type Watch, type WatchOptions } from "./watch.ts";

export interface Resource<Body> {
  /** undefined until the first answer */
  readonly body: Body | undefined;
  readonly total: number | undefined;
  readonly etag: string | undefined;
  /** the last refusal; undefined after an answer */
  readonly refused: Refused | undefined;
  readonly reload: () => void;
}

interface Held<Body> {
  path: string;
  body: Body;
  text: string;
  total: number | undefined;
  etag: string | undefined;
}

/** `path` undefined: nothing is asked for. While a changed path has no answer yet, the old one is shown. */
export function useResource<Body>(path: string | undefined, options: WatchOptions = {}): Resource<Body> {
  const held: Signal<Held<Body> | undefined> = useSignal(undefined);
  const refused: Signal<Refused | undefined> = useSignal(undefined);
  const watching = useRef<Watch>(undefined);
  const { on = [], about, everyMs, pollMs } = options;
  const kinds = on.join();

  useEffect(() => {
    if (path === undefined) return undefined;
    const watched = watch<Body>(
      path,
      options,
      ({ body, text, total, etag }) => {
        const before = held.peek();
        if (before?.text !== text || before.path !== path || before.total !== total)
          held.value = { path, body, text, total, etag };
        refused.value = undefined;
      },
      (error) => {
        refused.value = error;
      },
    );
    watching.current = watched;
    return () => watched.stop();
  }, [path, kinds, about, everyMs, pollMs, isLoggedIn.value]);

  const { body, total, etag } = held.value ?? {};
  return { body, total, etag, refused: refused.value, reload: () => watching.current?.soon() };
}

/** If an answer takes longer than this, something else is shown meanwhile. Unit: ms. */
const lateMs = 400;

/** Whether a part of the page has been there for so long that an answer which it still waits for is late. */
export function useLate(): boolean {
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), lateMs);
    return () => clearTimeout(timer);
  }, []);
  return isLate;
}
