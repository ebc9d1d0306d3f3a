/** What was done, in plain words. The thing that it was done to is shown beside them. */
import type { auditActions } from "../../../schema/audit.ts";

const words: Readonly<Record<(typeof auditActions)[number], string>> = {
  "put-job": "write",
  "patch-job": "change",
  "delete-job": "delete",
  "run-job": "run now",
  "pause-job": "pause",
  "resume-job": "resume",
  "skip-ticks": "skip ticks",
  "unskip-ticks": "take back a skip",
  "backfill-job": "run past ticks",
  "cancel-run": "cancel",
  "put-setting": "write",
  "remove-setting": "delete",
  "put-channel": "write",
  "remove-channel": "delete",
  "test-channel": "send a test notice",
  "set-secret": "set",
  "remove-secret": "delete",
  "put-script": "upload",
  "create-token": "create",
  "change-token": "change",
  "revoke-token": "revoke",
  "confirm-peer": "confirm as a member",
  "promote-peer": "make a voter",
  "drain-peer": "drain",
  "undrain-peer": "undrain",
  "forget-peer": "forget",
  "unforget-peer": "take in again",
  "rotate-key": "replace",
};

/** An action of a later version is shown by its name, and a call that was refused as a whole by its method. */
export function auditText(action: string): string {
  const known: Readonly<Record<string, string>> = words;
  if (Object.hasOwn(known, action)) return known[action] ?? action;
  const [method = "", route] = action.split(" ");
  return route === undefined ? action.replaceAll("-", " ") : `call ${method}`;
}
