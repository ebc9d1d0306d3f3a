/**
 * The real log: lines on standard error, as JSON for machines or pretty for people.
 *
 * Lines are written in the background. A stopped terminal, or a pipe without a reader, delays the log but never the
 * peer. Lines beyond the cap are dropped, and the peer continues when standard error is gone. (Pino's own destination
 * waits for ever at exit when the pipe is broken.)
 */
import { write, writeSync } from "node:fs";
import pino, { type Logger } from "pino";
import { prettyFactory } from "pino-pretty";
import type { Log, LogFields } from "../ports.ts";

export interface LogOptions {
  level: "debug" | "info" | "warn" | "error";
  format: "json" | "pretty";
}

/** How much may wait to be written. More keeps more lines through a stall; less takes less memory. */
const waitingCapCharacters = 1_048_576;
const standardError = 2;

export function openLog({ level, format }: LogOptions): Log {
  const lines = new BackgroundLines(standardError);
  process.once("exit", () => lines.finish());
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  if (format === "json") return logOver(pino(options, lines));
  const pretty = prettyFactory({
    colorize: process.stderr.isTTY && process.env["NO_COLOR"] === undefined,
    translateTime: "SYS:HH:MM:ss.l",
    singleLine: true,
  });
  return logOver(pino(options, { write: (line: string) => lines.write(pretty(line)) }));
}

function logOver(logger: Logger): Log {
  const logAt = (level: keyof Log) => (message: string, fields?: LogFields) =>
    logger[level](fields ?? {}, message);
  return { debug: logAt("debug"), info: logAt("info"), warn: logAt("warn"), error: logAt("error") };
}

class BackgroundLines {
  private readonly descriptor: number;
  private waiting = "";
  private writing = Buffer.alloc(0);

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  write(line: string): void {
    if (this.waiting.length + line.length > waitingCapCharacters) return;
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
