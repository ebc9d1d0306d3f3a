/**
 * Which calls may be refused because of what is there (409) or for want of room (507), and which may name something that isn't
 * there (404) although their address says otherwise. Everything else that a call may be refused with follows from what it takes
 * (docs.ts).
 */

/**
 * The address of these calls names no object, but their parameters or body do: a peer, or a job of groups that the caller doesn't
 * see.
 */
export const namingCalls: ReadonlySet<string> = new Set([
  "GET /v1/runs",
  "POST /v1/jobs",
  "POST /v1/apply",
  "POST /v1/key/rotate",
]);

/** These calls make what their address names if it isn't there, and everybody who may write it may also see it. */
export const creatingCalls: ReadonlySet<string> = new Set([
  "PUT /v1/calendars/:name",
  "PUT /v1/channels/:name",
  "PUT /v1/pools/:name",
]);

export const conflictingCalls: ReadonlySet<string> = new Set([
  "POST /v1/jobs",
  "PUT /v1/jobs/:id",
  "PATCH /v1/jobs/:id",
  "POST /v1/jobs/:id/run",
  "POST /v1/jobs/:id/skip",
  "POST /v1/jobs/:id/unskip",
  "POST /v1/jobs/:id/backfill",
  "POST /v1/runs/:run/cancel",
  "POST /v1/apply",
  "PUT /v1/groups/:name",
  "DELETE /v1/calendars/:name",
  "DELETE /v1/channels/:name",
  "PUT /v1/secrets/:name",
  "POST /v1/tokens",
  "PATCH /v1/tokens/:id",
  "DELETE /v1/tokens/:id",
  "POST /v1/peers/:id/forget",
  "POST /v1/peers/:id/unforget",
  "POST /v1/key/rotate",
]);

/**
 * These calls write into the table, or keep a script. Calls that make room, and calls that only ask peers to do something, are
 * not among them.
 */
export const growingCalls: ReadonlySet<string> = new Set([
  "POST /v1/jobs",
  "PUT /v1/jobs/:id",
  "PATCH /v1/jobs/:id",
  "POST /v1/jobs/:id/revert",
  "POST /v1/jobs/:id/pause",
  "POST /v1/jobs/:id/skip",
  "POST /v1/apply",
  ...["groups", "calendars", "pools", "maintenance", "channels", "secrets"].flatMap((kind) => [
    `PUT /v1/${kind}/:name`,
    `DELETE /v1/${kind}/:name`,
  ]),
  "PUT /v1/scripts",
  "POST /v1/tokens",
  "PATCH /v1/tokens/:id",
  "POST /v1/peers/:id/confirm",
]);
