/**
 * Every failure that a person can meet, as data: its code, its HTTP status, its exit code on the command line, and what to do
 * about it. (The form of one table is borrowed from fastify's lib/errors.js.) The hints here are for callers of the API;
 * cli/terminal/failures.ts has those of the command line.
 */

/** The exit codes that INTERFACE lists. */
const exit = {
  error: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  unreachable: 5,
  policy: 6,
  unauthorised: 7,
} as const;

interface Kind {
  title: string;
  status: number;
  exit: number;
  hint: string;
}

export const errorTable = {
  // The request
  BAD_JSON: {
    title: "The body is not JSON",
    status: 400,
    exit: exit.usage,
    hint: "Send one JSON object with Content-Type: application/json.",
  },
  BAD_REQUEST: {
    title: "The request is not understood",
    status: 400,
    exit: exit.usage,
    hint: "GET /openapi.json shows what each call takes.",
  },
  UNPROCESSABLE: {
    title: "A value can't be used",
    status: 422,
    exit: exit.usage,
    hint: "`detail` says which value can't be used, or which ones don't go together.",
  },
  INVALID_JOB: {
    title: "The job is not valid",
    status: 422,
    exit: exit.usage,
    hint: "Nothing was changed; `errors` names each field and what is wrong with it.",
  },
  INVALID_OBJECT: {
    title: "An object is not valid",
    status: 422,
    exit: exit.usage,
    hint: "Nothing was changed; `errors` names each object and field, and what is wrong with it.",
  },
  INVALID_SCHEDULE: {
    title: "The schedule is not valid",
    status: 422,
    exit: exit.usage,
    hint:
      "Write five cron fields such as 0 3 * * *, @daily, @every 90s, rate(5 minutes) or @at 2026-12-24T18:00:00Z; " +
      "`cicada schedule explain` shows the ticks of each.",
  },
  INVALID_CHANNEL: {
    title: "The channel is not valid",
    status: 422,
    exit: exit.usage,
    hint: "Nothing was changed; `errors` names each field and what is wrong with it.",
  },
  APPLY_EMPTY: {
    title: "There is no object to apply",
    status: 422,
    exit: exit.usage,
    hint: "Nothing was changed. Check the path; --allow-empty applies an empty set, which with --prune removes everything that the source has made.",
  },
  TOO_MANY_TICKS: {
    title: "That is too many ticks at once",
    status: 422,
    exit: exit.usage,
    hint: "Ask for a shorter period, and for the next one once it has run.",
  },
  BAD_RANGE: {
    title: "The output has no such range",
    status: 416,
    exit: exit.usage,
    hint: "Content-Range says how many bytes there are.",
  },
  BODY_TOO_LARGE: {
    title: "The body is too large",
    status: 413,
    exit: exit.usage,
    hint: "A request may hold 1 MiB; send fewer or smaller jobs at a time.",
  },
  UNSUPPORTED_MEDIA_TYPE: {
    title: "The body's type is not understood",
    status: 415,
    exit: exit.usage,
    hint: "Send Content-Type: application/json.",
  },
  KEY_REUSED: {
    title: "That Idempotency-Key belongs to another request",
    status: 422,
    exit: exit.conflict,
    hint: "Use a new key for each request, and the same key only to repeat one.",
  },
  METHOD_NOT_ALLOWED: {
    title: "That method is not allowed here",
    status: 405,
    exit: exit.usage,
    hint: "See the Allow header.",
  },

  // Who asks, and from where
  UNAUTHORISED: {
    title: "Not authorised",
    status: 401,
    exit: exit.unauthorised,
    hint: "Send Authorization: Bearer TOKEN: one that `cicada token create` made, or the one in the peer's data folder, in admin.token.",
  },
  FORBIDDEN: {
    title: "This token may not do that",
    status: 403,
    exit: exit.unauthorised,
    hint: "GET /v1/me says what this token may do. An admin makes others: `cicada token create NAME --role ROLE`.",
  },
  FOREIGN_HOST: {
    title: "That Host is not served here",
    status: 403,
    exit: exit.policy,
    hint: "Use the address that the peer printed. Other Host headers are refused to prevent DNS rebinding.",
  },
  FOREIGN_ORIGIN: {
    title: "Requests from that origin are refused",
    status: 403,
    exit: exit.policy,
    hint: "Open the peer's own page; other sites may not call the API.",
  },
  RATE_LIMITED: {
    title: "Too many requests",
    status: 429,
    exit: exit.error,
    hint: "Wait for the time in Retry-After.",
  },

  // What isn't there
  NOT_FOUND: {
    title: "No such call",
    status: 404,
    exit: exit.notFound,
    hint: "GET /openapi.json lists every call.",
  },
  JOB_NOT_FOUND: {
    title: "No such job",
    status: 404,
    exit: exit.notFound,
    hint: "`cicada jobs ls` lists them, `cicada jobs history ID` shows one that was deleted; a job made on another peer a moment ago may still be on its way.",
  },
  RUN_NOT_FOUND: {
    title: "No such run",
    status: 404,
    exit: exit.notFound,
    hint: "`cicada runs ls --job JOB` lists a job's runs, `cicada jobs why JOB` says what became of its ticks, and `cicada jobs next JOB` when it runs next.",
  },
  TICK_NOT_FOUND: {
    title: "No such tick",
    status: 404,
    exit: exit.notFound,
    hint: "`cicada jobs next JOB` lists the coming ticks, `cicada runs ls --job JOB` the past ones.",
  },
  LOG_NOT_FOUND: {
    title: "No output is kept for that run",
    status: 404,
    exit: exit.notFound,
    hint: "It was pruned as the job's `keep` says, or every peer that keeps a copy is unreachable.",
  },
  SCRIPT_NOT_FOUND: {
    title: "There is no such script",
    status: 404,
    exit: exit.notFound,
    hint: "No peer in reach has it: upload it with PUT /v1/scripts.",
  },
  SETTING_NOT_FOUND: {
    title: "No such setting",
    status: 404,
    exit: exit.notFound,
    hint: "`cicada groups ls`, `cicada pools ls`, `cicada calendars ls` and `cicada maintenance ls` list them.",
  },
  REVISION_NOT_FOUND: {
    title: "No such revision",
    status: 404,
    exit: exit.notFound,
    hint: "`cicada jobs history ID` lists the revisions that this peer keeps.",
  },
  CHANNEL_NOT_FOUND: {
    title: "No such channel",
    status: 404,
    exit: exit.notFound,
    hint: "`cicada channels ls` lists them.",
  },
  SECRET_NOT_FOUND: {
    title: "No such secret",
    status: 404,
    exit: exit.notFound,
    hint: "`cicada secrets ls` lists them.",
  },
  TOKEN_NOT_FOUND: {
    title: "No such token",
    status: 404,
    exit: exit.notFound,
    hint: "`cicada token ls` lists them.",
  },
  PEER_NOT_FOUND: {
    title: "No such peer",
    status: 404,
    exit: exit.notFound,
    hint: "`cicada peers ls` lists them.",
  },
  SPLIT_NOT_FOUND: {
    title: "No such split",
    status: 404,
    exit: exit.notFound,
    hint: "GET /v1/splits lists those that the answering peer remembers.",
  },

  // What is in the way
  JOB_EXISTS: {
    title: "That id is taken",
    status: 409,
    exit: exit.conflict,
    hint: "Choose another id, or replace the job with ?update=true.",
  },
  TOKEN_EXISTS: {
    title: "That name is taken",
    status: 409,
    exit: exit.conflict,
    hint: "Choose another name, or revoke the other token first.",
  },
  ID_MISMATCH: {
    title: "The id in the body is not the one in the address",
    status: 409,
    exit: exit.conflict,
    hint: "A job can't be renamed: create the new one, then delete the old.",
  },
  REVISION_CONFLICT: {
    title: "The job has changed since you read it",
    status: 412,
    exit: exit.conflict,
    hint: "Read it again and repeat your change.",
  },
  APPLY_CONFLICT: {
    title: "Somebody else has changed what would be applied",
    status: 409,
    exit: exit.conflict,
    hint: "Nothing was changed. `cicada diff` shows what differs; copy it into the files, or apply with --force.",
  },
  GROUP_REFUSED: {
    title: "Jobs of the group would become invalid",
    status: 409,
    exit: exit.conflict,
    hint: "Nothing was changed. Change the jobs that are named first, or move them to another group.",
  },
  SETTING_IN_USE: {
    title: "Jobs still use it",
    status: 409,
    exit: exit.conflict,
    hint: "Take it out of those jobs first, or set it to something else.",
  },
  CHANNEL_IN_USE: {
    title: "Jobs use the channel",
    status: 409,
    exit: exit.conflict,
    hint: "Take it out of their `notify`, or remove it with ?force=true: their notices are then not sent.",
  },
  JOB_PAUSED: {
    title: "The job is paused, disabled or in maintenance",
    status: 409,
    exit: exit.conflict,
    hint: "Use `force` to run it anyway.",
  },
  NO_SCHEDULE: {
    title: "The job has no ticks of its own to backfill",
    status: 409,
    exit: exit.conflict,
    hint: "`cicada jobs run JOB` runs it once, now.",
  },
  TICK_BEGUN: {
    title: "The tick has begun, or is over",
    status: 409,
    exit: exit.conflict,
    hint: "`cicada runs cancel JOB@TICK` ends a run in progress.",
  },
  RUN_ENDED: {
    title: "The run has ended",
    status: 409,
    exit: exit.conflict,
    hint: "There is nothing left to cancel.",
  },
  LAST_ADMIN: {
    title: "It is the last admin token",
    status: 409,
    exit: exit.policy,
    hint: "Make another one first, or use `force`: then only the admin.token files of the peers are left.",
  },
  NOT_ITSELF: {
    title: "A peer can't forget itself",
    status: 409,
    exit: exit.policy,
    hint: "Ask another peer to forget it. To remove it for a while, just stop it.",
  },
  NOT_FORGOTTEN: {
    title: "The peer is not forgotten here",
    status: 409,
    exit: exit.conflict,
    hint: "Nothing has changed. If another peer shows it as forgotten, ask that one, or ask here again once this one does.",
  },
  UNCONFIRMED_PEERS: {
    title: "Some members would get the new key unconfirmed",
    status: 409,
    exit: exit.conflict,
    hint:
      "Nothing was changed. Name in `without` the peers to leave out (they are forgotten), and in `accept` the ids of those " +
      "that are to get the key; POST /v1/peers/{id}/confirm confirms one. GET /v1/key lists them all.",
  },
  UNCONFIRMED_RECIPIENTS: {
    title: "Some members would be given the secret unconfirmed",
    status: 409,
    exit: exit.conflict,
    hint:
      "Nothing was changed. Instead of `all`, name the peers that are to have the secret. Otherwise confirm those that belong " +
      "here (`cicada peers confirm`), and wait until each has been here for a day. GET /v1/key says why each is doubted.",
  },

  // What is full
  TABLE_FULL: {
    title: "The job table is full",
    status: 507,
    exit: exit.policy,
    hint:
      "Delete jobs that are no longer used. If `detail` counts ids, removed ones count as well: the README's section " +
      "Security says how a mesh gets a new table.",
  },
  SCRIPTS_FULL: {
    title: "There is no room for another script",
    status: 507,
    exit: exit.policy,
    hint: "Delete jobs whose scripts are no longer used; unused scripts make room by themselves.",
  },
  SECRETS_FULL: {
    title: "There is no room for another secret",
    status: 507,
    exit: exit.policy,
    hint: "Remove secrets that no job names: `cicada secrets ls` shows which jobs name each.",
  },
  TOKENS_FULL: {
    title: "There is no room for another token",
    status: 507,
    exit: exit.policy,
    hint: "Revoke tokens that are no longer used: `cicada token ls` shows them.",
  },

  // What the answering peer can't do now
  NOT_READY: {
    title: "This peer can't do that now",
    status: 503,
    exit: exit.error,
    hint: "GET /readyz?verbose says why; any other peer answers the same calls.",
  },
  DISK_FAILED: {
    title: "The data folder can't be written",
    status: 503,
    exit: exit.error,
    hint: "Free some space or repair the disk; the peer takes no ticks until a write succeeds.",
  },
  CLOCK_AHEAD: {
    title: "This peer's clock is far ahead",
    status: 503,
    exit: exit.policy,
    hint: "Set the clock (NTP), or make the change at another peer.",
  },
  CLOCK_BEHIND: {
    title: "This peer's clock is far behind",
    status: 503,
    exit: exit.policy,
    hint: "Set the clock (NTP), or make the change or run the job at another peer.",
  },
  FORGOTTEN: {
    title: "The mesh has forgotten this peer",
    status: 503,
    exit: exit.policy,
    hint: "Make the change at another peer. To take this one in again: `cicada peers unforget NAME` at a member, or at this peer if no member is left.",
  },
  KEY_SUPERSEDED: {
    title: "The mesh's key was rotated, and this peer has the old one",
    status: 503,
    exit: exit.policy,
    hint: "Make the change at another peer. This one takes changes again after it has rejoined with what `cicada peers invite` prints.",
  },
  DUPLICATE_IDENTITY: {
    title: "Another process uses this peer's identity",
    status: 503,
    exit: exit.policy,
    hint: "Make the change at another peer, stop one of the two processes, and give it a data folder of its own.",
  },

  // What other peers or servers did not do
  NO_QUORUM: {
    title: "The voters did not agree in time",
    status: 503,
    exit: exit.error,
    hint:
      "More than half of the voters must be reachable; `cicada peers ls` shows them. Try again when they are back. " +
      "If they are gone for good: `cicada peers forget NAME --force`.",
  },
  SKIP_UNCONFIRMED: {
    title: "The peer that claimed the tick has not confirmed the skip",
    status: 504,
    exit: exit.unreachable,
    hint: "The request is stored: the tick is skipped once that peer hears of it. `cicada peers ls` shows the peer.",
  },
  CANCEL_UNCONFIRMED: {
    title: "The peer that runs it has not confirmed the cancel",
    status: 504,
    exit: exit.unreachable,
    hint: "Try again when that peer is reachable; `cicada peers ls` shows it.",
  },
  PEER_UNREACHABLE: {
    title: "No peer answers",
    status: 503,
    exit: exit.unreachable,
    hint: "Is it running?",
  },
  CHANNEL_REFUSED: {
    title: "The channel did not accept the notice",
    status: 502,
    exit: exit.error,
    hint: "That is what its server answered, or why this peer could not reach it.",
  },

  // The command line, and the start of a peer
  USAGE: {
    title: "The command line is not understood",
    status: 400,
    exit: exit.usage,
    hint: "`cicada --help` shows the commands.",
  },
  BAD_SETTING: {
    title: "A setting can't be used",
    status: 400,
    exit: exit.usage,
    hint: "`cicada start --help` shows each flag, its variable and its default.",
  },
  TOO_FEW_FILES: {
    title: "The limit of open files is too low",
    status: 500,
    exit: exit.error,
    hint: "Raise LimitNOFILE= in the unit, or ulimit -n before the start.",
  },
  BAD_FILE: {
    title: "The file can't be used",
    status: 400,
    exit: exit.usage,
    hint: "Nothing was changed.",
  },
  BAD_KEY: {
    title: "The cluster key can't be used",
    status: 400,
    exit: exit.usage,
    hint: "Use the whole line that `cicada peers invite` printed, or a copy of the other peer's cluster.key.",
  },
  DATA_FOLDER_IN_USE: {
    title: "Another peer is using this data folder",
    status: 409,
    exit: exit.conflict,
    hint: "Stop that peer, or give this one a folder of its own with --data DIR.",
  },
  DATA_FOLDER_UNUSABLE: {
    title: "The data folder can't be used",
    status: 500,
    exit: exit.error,
    hint: "Fix what is named (the peer's user must own everything in it), or give another folder with --data DIR.",
  },
  DATA_FOLDER_DAMAGED: {
    title: "The data folder is damaged",
    status: 500,
    exit: exit.error,
    hint: "Move it away and start again with --join: the other peers hold the jobs and the history.",
  },
  DATA_FOLDER_NEWER: {
    title: "The data folder is from a newer version of cicada",
    status: 500,
    exit: exit.error,
    hint: "Start it with the version that wrote it, or give this one a folder of its own with --data DIR.",
  },
  PORT_IN_USE: {
    title: "That port is in use",
    status: 409,
    exit: exit.conflict,
    hint: "Choose another port with --http PORT or --listen PORT.",
  },
  NOT_LOOPBACK: {
    title: "The API is only offered on loopback",
    status: 400,
    exit: exit.policy,
    hint: "Use 127.0.0.1, or give --tls-cert and --tls-key, or put a TLS proxy in front of it and give --behind-tls-proxy.",
  },

  // Anything else
  INTERNAL: {
    title: "Something went wrong inside cicada",
    status: 500,
    exit: exit.error,
    hint: "The peer's log has the details; please report it.",
  },
} as const satisfies Record<string, Kind>;

export type ErrorCode = keyof typeof errorTable;
