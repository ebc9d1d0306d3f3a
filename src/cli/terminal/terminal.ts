/**
 * Where a command writes and what it may know of its surroundings. The commands take it as an argument, so that a
 * test runs them in its own process and reads what they said.
 */
import { isatty } from "node:tty";
import { styleText } from "node:util";
import { CicadaError, errorTable } from "../../errors.ts";

export interface Terminal {
  /** One line (or several) to standard output: what was asked for. */
  print(line: string): void;
  /** Bytes to standard output, as they are: a run's output. */
  write(bytes: Uint8Array): void;
  /** One line to standard error: what went wrong, what is going on. */
  tell(line: string): void;
  /** Wall clock, ms. */
  now(): number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Somebody watches standard output. */
  readonly interactive: boolean;
  readonly colours: boolean;
  /** Width of the screen in characters. */
  readonly columns: number;
  /** What the program will end with. */
  exitCode: number;
}

export type Colour = "red" | "green" | "yellow" | "cyan" | "dim" | "bold";

export function paint(terminal: Terminal, colour: Colour, text: string): string {
  return terminal.colours ? styleText(colour, text, { validateStream: false }) : text;
}

const defaultColumns = 100;

export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  const interactive = isatty(stdout.fd);
  // `cicada jobs ls | head` closes the pipe early; that is no failure.
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  return {
    print: (line) => void stdout.write(`${line}\n`),
    write: (bytes) => void stdout.write(bytes),
    tell: (line) => void stderr.write(`${line}\n`),
    now: () => Date.now(),
    env,
    interactive,
    colours: interactive && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb",
    columns: stdout.columns ?? defaultColumns,
    exitCode: 0,
  };
}

/** Text that came from elsewhere, with its control characters made visible: none of them reaches the screen. */
export function plain(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    if (character === "\n") return "⏎";
    if (character === "\t") return " ";
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}

/** Says what went wrong in two or three lines, and answers with the exit code. */
export function explain(terminal: Terminal, error: unknown): number {
  const known = error instanceof CicadaError ? error : unexpected(error);
  tellFailure(terminal, "error:", known);
  terminal.tell(`${paint(terminal, "cyan", "hint:")}  ${known.hint}`);
  if (known.code === "INTERNAL" && error instanceof Error) terminal.tell(error.stack ?? "");
  return known.exit;
}

/** One line, and one more for each problem. The detail of several problems is only the first of them. */
export function tellFailure(terminal: Terminal, before: string, error: CicadaError): void {
  const what = error.problems.length === 0 ? error.message : errorTable[error.code].title;
  terminal.tell(`${paint(terminal, "red", before)} ${plain(what)}`);
  for (const { pointer, message } of error.problems) {
    terminal.tell(`  ${pointer === "" ? "" : `${plain(pointer)}: `}${plain(message)}`);
  }
}

function unexpected(error: unknown): CicadaError {
  return new CicadaError("INTERNAL", error instanceof Error ? error.message : String(error));
}
