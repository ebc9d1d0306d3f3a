/**
 * The messages between the peer and its launcher: one JSON object per line, over the launcher's standard input and
 * output. When the pipe closes, the other side is gone.
 *
 * Each line is checked when it is read. The last line of a process that was killed may be cut off. The checks are
 * written by hand because the launcher stays small by loading no package.
 */
import type { ChildOutcome, ProcessAction, ProcessLimits, ProcessSpec, Written } from "../../ports.ts";
import type { JobId, RunId, TickId } from "../../schema/ids.ts";

/** A run on its way to the launcher. */
export interface Launch {
  spec: ProcessSpec;
  logFile: string;
  /** values by their variables, which no output shows; absent = none */
  secrets?: Readonly<Record<string, string>> | undefined;
}

export type ToLauncher =
  | ({ kind: "launch" } & Launch)
  | { kind: "stop"; run: RunId }
  /** End what is left of these runs. */
  | { kind: "sweep"; id: number; runs: RunId[] }
  /** Take no more runs, end those in progress, then exit. */
  | { kind: "close" }
  /** Answer `pong`. */
  | { kind: "ping" };

export type FromLauncher =
  | { kind: "started"; run: RunId; pid: number; at: number }
  /** The whole of a small output; its run's end follows. */
  | { kind: "output"; run: RunId; base64: string }
  | { kind: "ended"; run: RunId; outcome: ChildOutcome; at: number }
  /** The run should have ended and can't be ended. */
  | { kind: "stuck"; run: RunId; reason: string }
  | { kind: "swept"; id: number }
  /** For the log. */
  | { kind: "notice"; message: string; reason: string }
  | { kind: "pong" };

/** Undefined if the line is not an order. */
export function readOrder(line: string): ToLauncher | undefined {
  return read(line, isOrder);
}

/** Undefined if the line is not a report. */
export function readReport(line: string): FromLauncher | undefined {
  return read(line, isReport);
}

type Check<Value> = (value: unknown) => value is Value;

function read<Message>(line: string, check: Check<Message>): Message | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  return check(value) ? value : undefined;
}

/** Also for branded texts, because the sending side has checked them already. */
function isText<Text extends string>(value: unknown): value is Text {
  return typeof value === "string";
}

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === "boolean";
}

function isOneOf<Text extends string>(...texts: readonly Text[]): Check<Text> {
  const known: ReadonlySet<unknown> = new Set(texts);
  return (value): value is Text => known.has(value);
}

function isOptional<Value>(isValue: Check<Value>): Check<Value | undefined> {
  return (value): value is Value | undefined => value === undefined || isValue(value);
}

function isListOf<Item>(isItem: Check<Item>): Check<Item[]> {
  return (value): value is Item[] => Array.isArray(value) && value.every(isItem);
}

function isTextMap(value: unknown): value is Record<string, string> {
  return typeof value === "object" && value !== null && Object.values(value).every(isText);
}

function isShape<Shape extends object>(fields: { [Key in keyof Shape]-?: Check<Shape[Key]> }): Check<Shape> {
  const checks = Object.entries<Check<unknown>>(fields);
  return (value): value is Shape =>
    typeof value === "object" &&
    value !== null &&
    checks.every(([key, check]) => check(Reflect.get(value, key)));
}

type Kinds<Union extends { kind: string }> = {
  [Kind in Union["kind"]]: Check<Omit<Extract<Union, { kind: Kind }>, "kind">>;
};

function isKindOf<Union extends { kind: string }>(kinds: Kinds<Union>): Check<Union> {
  const checks = new Map(Object.entries<Check<unknown>>(kinds));
  return (value): value is Union => {
    if (typeof value !== "object" || value === null || !("kind" in value)) return false;
    return checks.get(String(value.kind))?.(value) ?? false;
  };
}

const isAction = isKindOf<ProcessAction>({
  process: isShape({
    argv: isListOf(isText),
    script: isOptional(isText),
    stdin: isText,
    cwd: isText,
    user: isText,
    umask: isNumber,
    limits: isOptional(
      isShape<ProcessLimits>({
        nice: isOptional(isNumber),
        memoryBytes: isOptional(isNumber),
        openFiles: isOptional(isNumber),
        processes: isOptional(isNumber),
      }),
    ),
    leavesBackground: isOptional(isBoolean),
    killGraceMs: isNumber,
  }),
});

const isSpec = isShape<ProcessSpec>({
  run: isText<RunId>,
  job: isText<JobId>,
  tick: isText<TickId>,
  action: isAction,
  hostEnv: isTextMap,
  env: isTextMap,
  parents: isOptional(isText),
  timeoutMs: isNumber,
  logCapBytes: isNumber,
  notAfter: isNumber,
});

const isOrder = isKindOf<ToLauncher>({
  launch: isShape({ spec: isSpec, logFile: isText, secrets: isOptional(isTextMap) }),
  stop: isShape({ run: isText<RunId> }),
  sweep: isShape({ id: isNumber, runs: isListOf(isText<RunId>) }),
  close: isShape({}),
  ping: isShape({}),
});

const log = { logBytes: isNumber, logTruncated: isBoolean };

const isWritten = isShape<Written>({ text: isText, isCut: isBoolean, fault: isOptional(isText) });
const written = isOptional(isWritten);

const isOutcome = isKindOf<ChildOutcome>({
  exited: isShape({ exitCode: isNumber, leftRunning: isOptional(isNumber), written, ...log }),
  signalled: isShape({ signal: isText, leftRunning: isOptional(isNumber), written, ...log }),
  timeout: isShape({ exitCode: isOptional(isNumber), reason: isOptional(isText), written, ...log }),
  answered: isShape({ failure: isOptional(isText), ...log }),
  cancelled: isShape({ written, ...log }),
  "not-started": isShape({ why: isOneOf("late", "error", "host"), reason: isText }),
});

const isReport = isKindOf<FromLauncher>({
  started: isShape({ run: isText<RunId>, pid: isNumber, at: isNumber }),
  output: isShape({ run: isText<RunId>, base64: isText }),
  ended: isShape({ run: isText<RunId>, outcome: isOutcome, at: isNumber }),
  stuck: isShape({ run: isText<RunId>, reason: isText }),
  notice: isShape({ message: isText, reason: isText }),
  pong: isShape({}),
  swept: isShape({ id: isNumber }),
});
