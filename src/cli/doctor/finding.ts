/** What `doctor` finds: one thing that was looked at, how it is, and what to do about it. */
export interface Finding {
  check: string;
  /** `unknown`: it could not be checked, so it may be all right or not. */
  level: "ok" | "warning" | "failure" | "unknown";
  found: string;
  /** what a person can do about it */
  mend?: string;
}

export const ok = (check: string, found: string): Finding => ({ check, level: "ok", found });
export const warning = (check: string, found: string, mend?: string): Finding =>
  finding("warning", check, found, mend);
export const failure = (check: string, found: string, mend?: string): Finding =>
  finding("failure", check, found, mend);
export const unknown = (check: string, found: string, mend?: string): Finding =>
  finding("unknown", check, found, mend);

function finding(level: Finding["level"], check: string, found: string, mend: string | undefined): Finding {
  return { check, level, found, ...(mend === undefined ? {} : { mend }) };
}
