/** Which failures a person has dismissed: kept by this browser, and the same in all its tabs. */
import { signal, type ReadonlySignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** job → the last run or tick of it that was dismissed */
type Dismissed = Readonly<Record<string, string>>;

const key = "cicada seen";
const jobsMax = 500;
const dismissed = signal(read());

function read(): Dismissed {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "{}") as Dismissed;
  } catch {
    return {};
  }
}

/** `marks`: jobs, each with the run or tick that is dismissed */
export function dismiss(marks: readonly (readonly [job: string, mark: string])[]): void {
  const all = Object.entries({ ...dismissed.value, ...Object.fromEntries(marks) }).slice(-jobsMax);
  dismissed.value = Object.fromEntries(all);
  localStorage.setItem(key, JSON.stringify(dismissed.value));
}

export function dismissNone(): void {
  dismissed.value = {};
  localStorage.removeItem(key);
}

export function useDismissed(): ReadonlySignal<Dismissed> {
  useEffect(() => {
    const follow = (): void => {
      dismissed.value = read();
    };
    follow();
    // The event reports changes that other tabs have made.
    addEventListener("storage", follow);
    return () => removeEventListener("storage", follow);
  }, []);
  return dismissed;
}
