/** The log of a simulated peer: lines are counted by level, and passed to a reader if there is one (`--trace`). */
import type { Log, LogFields } from "../ports.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogReader = (level: LogLevel, message: string, fields: LogFields | undefined) => void;

export class SimLog implements Log {
  readonly counts: Record<LogLevel, number> = { debug: 0, info: 0, warn: 0, error: 0 };
  private readonly reader: LogReader | undefined;

  constructor(reader?: LogReader) {
    this.reader = reader;
  }

  debug(message: string, fields?: LogFields): void {
    this.write("debug", message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.write("info", message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.write("warn", message, fields);
  }
  error(message: string, fields?: LogFields): void {
    this.write("error", message, fields);
  }

  private write(level: LogLevel, message: string, fields: LogFields | undefined): void {
    this.counts[level]++;
    this.reader?.(level, message, fields);
  }
}
