/**
 * Where a command writes, and what it may know about its surroundings. Commands take a terminal as an argument, so that
 * a test can run them in its own process and read what they wrote.
 */
import { createInterface, type Interface } from "node:readline/promises";
import { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { isatty } from "node:tty";
import { styleText } from "node:util";
import { CicadaError } from "../../errors.ts";
import { unseenCharacters } from "../../schema/text.ts";

export interface Terminal {
  /** Writes one or several lines to standard output: the answer. */
  print(line: string): void;
  /** Writes bytes to standard output, unchanged: a run's output. */
  write(bytes: Uint8Array): void;
  /** Writes one line to standard error: what went wrong, or what is happening. */
  notify(line: string): void;
  /** Asks the person and returns the line that they type. Absent when nobody can type. */
  ask?: (question: string) => Promise<string>;
  /** The same, without showing what they type. */
  askHidden?: (question: string) => Promise<string>;
  /** Wall clock, ms. */
  now(): number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard output is a terminal. */
  readonly interactive: boolean;
  readonly colours: boolean;
  /** The zone of this machine's clock, such as `Europe/Berlin`. */
  readonly timezone: string;
  /** Width and height of the screen in characters. */
  readonly columns: number;
  readonly rows: number;
  /** Waits that many ms; false = a program that repeats something should stop. */
  rest(ms: number): Promise<boolean>;
  /** Ends the program after that many ms at the latest, whatever still keeps it alive. */
  endWithin(ms: number): void;
  /** The exit code that the program will end with. */
  exitCode: number;
}

export type Colour = "red" | "green" | "yellow" | "cyan" | "dim" | "bold";

export function paint(terminal: Terminal, colour: Colour, text: string): string {
  return terminal.colours ? styleText(colour, text, { validateStream: false }) : text;
}

const defaultColumns = 100;
const defaultRows = 40;

export function processTerminal(): Terminal {
  const { stdout, stderr, env } = process;
  const interactive = isatty(stdout.fd);
  // `cicada jobs ls | head` closes the pipe early, which is not a failure.
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  return {
    print: (line) => void stdout.write(`${line}\n`),
    write: (bytes) => void stdout.write(bytes),
    notify: (line) => void stderr.write(`${line}\n`),
    ...(isatty(process.stdin.fd) && isatty(stderr.fd) ? { ask: askPerson, askHidden: askForSecret } : {}),
    now: () => Date.now(),
    env,
    interactive,
    colours: interactive && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb",
    // Read when it is used: Node needs longer for it than for most commands.
    get timezone() {
      return Intl.DateTimeFormat().resolvedOptions().timeZone;
    },
    // Read again each time: a person may make the window larger.
    get columns() {
      return stdout.columns ?? defaultColumns;
    },
    get rows() {
      return stdout.rows ?? defaultRows;
    },
    rest: (ms) => sleep(ms, true),
    endWithin: (ms) => void setTimeout(() => process.exit(), ms).unref(),
    exitCode: 0,
  };
}

/** True for `y` or `yes`; anything else is a no. `ask` is the terminal's. */
export async function askYesNo(ask: NonNullable<Terminal["ask"]>, question: string): Promise<boolean> {
  return /^y(es)?$/i.test((await ask(`${question} [y/N] `)).trim());
}

/** Asks before something is done. Throws USAGE unless the person says yes. */
export async function confirm(ask: NonNullable<Terminal["ask"]>, question: string): Promise<void> {
  if (!(await askYesNo(ask, question)))
    throw new CicadaError("USAGE", "the question was not answered with yes; nothing was changed");
}

/** On standard error, so that standard output holds only the answer. */
async function askPerson(question: string): Promise<string> {
  return answerOf(createInterface({ input: process.stdin, output: process.stderr }), question);
}

/** The question is written, and nothing after it: the line editor writes into nothing. */
async function askForSecret(question: string): Promise<string> {
  process.stderr.write(question);
  const nothing = new Writable({ write: (_chunk, _encoding, done) => done() });
  const answer = await answerOf(
    createInterface({ input: process.stdin, output: nothing, terminal: true }),
    "",
  );
  process.stderr.write("\n");
  return answer;
}

/** The person has left a question with Ctrl-C or Ctrl-D, which is neither an answer nor a fault. */
export class NotAnswered extends Error {}

async function answerOf(lines: Interface, question: string): Promise<string> {
  try {
    return await lines.question(question);
  } catch (error) {
    throw error instanceof Error && error.name === "AbortError" ? new NotAnswered() : error;
  } finally {
    lines.close();
  }
}

const hex = (character: string, digits: number): string =>
  character.charCodeAt(0).toString(16).padStart(digits, "0");

/** Foreign text as one line, with its control characters made visible so that none of them reaches the screen. */
export function plain(text: string): string {
  return text.replace(unseenCharacters, (character) => {
    if (character === "\n") return "⏎";
    if (character === "\t") return " ";
    return `\\x${hex(character, 2)}`;
  });
}

/** Like `plain`, but keeps line breaks and tabs. */
export function plainLines(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .replace(unseenCharacters, (character) =>
      /[\n\t]/.test(character) ? character : `\\x${hex(character, 2)}`,
    );
}

/** JSON, or YAML in double quotes, with these characters written as escapes; its meaning stays the same. */
export function escapeUnseen(text: string): string {
  return text.replace(unseenCharacters, (character) =>
    character === "\n" ? character : `\\u${hex(character, 4)}`,
  );
}
