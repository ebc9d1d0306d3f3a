/**
 * The real log: lines on standard error, as JSON for machines or pretty for people. A line that names a run names its job and
 * tick, too. Repeats of one warning are collapsed (log/repeats.ts).
 *
 * Lines are written in the background. A stopped terminal, or a pipe without a reader, delays the log but never the
 * peer. Lines beyond the cap are dropped, and counted in a line of their own once there is room. The peer continues when
 * standard error is gone. (Pino's own destination waits for ever at exit when the pipe is broken.)
 */
import { write, writeSync } from "node:fs";
import pino, { type Logger } from "pino";
import type { Log, LogFields } from "../ports.ts";
import { parseRunReference } from "../schema/ids.ts";
import { unseenCharacters } from "../schema/text.ts";
import { Repeats, type RepeatsClock } from "./log/repeats.ts";

export interface LogOptions {
  level: "debug" | "info" | "warn" | "error";
  format: "json" | "pretty";
}

/** How much may wait to be written. More keeps more lines through a stall; less takes less memory. */
const waitingCapCharacters = 1_048_576;
const standardError = 2;

export async function openLog({ level, format }: LogOptions): Promise<Log> {
  const lines = new BackgroundLines(standardError, (count) =>
    logger.warn({ lines: count }, "lines of this log were dropped, because nothing read them"),
  );
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  const logger = format === "json" ? pino(options, lines) : pino(options, await prettyOver(lines));
  const repeats = new Repeats(realClock);
  process.once("exit", () => {
    repeats.finish();
    lines.finish();
  });
  return logOver(logger, repeats);
}

/** Its code is loaded only here: a peer that runs as a service writes JSON. */
async function prettyOver(lines: BackgroundLines): Promise<{ write: (line: string) => void }> {
  const { default: pinoPretty } = await import("pino-pretty");
  const pretty = pinoPretty.prettyFactory({
    colorize: process.stderr.isTTY && process.env["NO_COLOR"] === undefined,
    translateTime: "SYS:HH:MM:ss.l",
    singleLine: true,
  });
  return { write: (line) => lines.write(pretty(JSON.stringify(JSON.parse(line), withoutUnseen))) };
}

/** Names and reasons come from other peers: on a terminal, their control characters would act. */
function withoutUnseen(_key: string, value: unknown): unknown {
  if (typeof value !== "string") return value;
  return value.replace(unseenCharacters, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}

const realClock: RepeatsClock = {
  now: () => performance.now(),
  after: (ms, ring) => {
    const timer = setTimeout(ring, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** A log that writes through pino. Info and debug lines tell of single events, so only warnings and errors are collapsed. */
export function logOver(logger: Logger, repeats: Repeats): Log {
  const logAt = (level: keyof Log) => (message: string, fields?: LogFields) =>
    logger[level](withJobAndTick(fields), message);
  const logOnce = (level: "warn" | "error") => {
    const toPino = logAt(level);
    return (message: string, fields?: LogFields) => {
      if (logger.isLevelEnabled(level)) repeats.line(level, message, withJobAndTick(fields), toPino);
    };
  };
  return { debug: logAt("debug"), info: logAt("info"), warn: logOnce("warn"), error: logOnce("error") };
}

function withJobAndTick(fields: LogFields = {}): LogFields {
  const { run } = fields;
  const named = typeof run === "string" ? parseRunReference(run) : undefined;
  return named === undefined ? fields : { job: named.job, tick: named.tick, ...fields };
}

class BackgroundLines {
  private readonly descriptor: number;
  private readonly reportDropped: (count: number) => void;
  private waiting = "";
  private writing = Buffer.alloc(0);
  private dropped = 0;

  /** `reportDropped` is called, once there is room again, with the number of lines that were dropped. */
  constructor(descriptor: number, reportDropped: (count: number) => void) {
    this.descriptor = descriptor;
    this.reportDropped = reportDropped;
  }

  write(line: string): void {
    if (this.waiting.length + line.length > waitingCapCharacters) {
      this.dropped++;
      return;
    }
    this.waiting += line;
    if (this.writing.length === 0) this.next();
  }

  /** Call it when the process ends: writes the waiting lines, as far as possible. */
  finish(): void {
    try {
      writeSync(this.descriptor, this.waiting);
    } catch {
      // There is no other place to report the error.
    }
    this.waiting = "";
  }

  private next(): void {
    this.writing = Buffer.from(this.waiting);
    this.waiting = "";
    if (this.writing.length > 0) this.push();
    if (this.dropped === 0) return;
    const { dropped } = this;
    this.dropped = 0;
    this.reportDropped(dropped);
  }

  private push(): void {
    write(this.descriptor, this.writing, (error, written) => {
      // A write to a full pipe is tried again. After any other failure, these lines are dropped.
      if (error?.code === "EAGAIN") return void setTimeout(() => this.push(), 100).unref();
      this.writing = error ? Buffer.alloc(0) : this.writing.subarray(written);
      if (this.writing.length > 0) this.push();
      else this.next();
    });
  }
}
