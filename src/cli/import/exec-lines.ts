/**
 * ExecStart= and the like of a systemd service as a program with arguments, or as a line for the shell where several commands
 * follow each other, one may fail, or variables are filled in (systemd.service(5), "Command lines").
 */
import { quoted } from "../program.ts";

export interface ExecCommand {
  words: string[];
  /** `-`: its failure counts as a success */
  mayFail: boolean;
  /** variables are filled in */
  expands: boolean;
}

/** `specifier` gives what `%x` stands for; undefined = not known. */
export function readExecLine(
  text: string,
  specifier: (letter: string) => string | undefined,
): ExecCommand[] | { reason: string } {
  const commands: ExecCommand[] = [];
  for (const words of splitCommands(text)) {
    if (!Array.isArray(words)) return words;
    const [first = "", ...rest] = words;
    const [, prefixes = "", program = ""] = /^([-@:+!|]*)(.*)$/s.exec(first) ?? [];
    if (/[+!@|]/.test(prefixes)) return { reason: `the prefix ${prefixes} of ${program} can't be said` };
    const filled: string[] = [];
    for (const word of [program, ...rest]) {
      const done = fillSpecifiers(word, specifier);
      if (typeof done !== "string") return done;
      filled.push(done);
    }
    commands.push({ words: filled, mayFail: prefixes.includes("-"), expands: !prefixes.includes(":") });
  }
  return commands;
}

function fillSpecifiers(
  word: string,
  specifier: (letter: string) => string | undefined,
): string | { reason: string } {
  let unknown: string | undefined;
  const filled = word.replaceAll(/%(.)/gs, (whole, letter: string) => {
    if (letter === "%") return "%";
    const value = specifier(letter);
    if (value === undefined) unknown ??= whole;
    return value ?? whole;
  });
  return unknown === undefined ? filled : { reason: `${unknown} depends on the host and can't be said` };
}

/** The words of each command; `;` by itself separates commands. */
function splitCommands(text: string): (string[] | { reason: string })[] {
  const commands: string[][] = [[]];
  const pattern = /\s*(;(?=\s|$)|(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\.|[^\s"'\\])+)/gsy;
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    end = match.index + match[0].length;
    const word = match[1] ?? "";
    if (word === ";") commands.push([]);
    else commands.at(-1)?.push(word === String.raw`\;` ? ";" : unquoted(word));
  }
  if (text.slice(end).trim() !== "")
    return [{ reason: `a quote in ${JSON.stringify(text)} is never closed` }];
  return commands.filter((words) => words.length > 0);
}

function unquoted(word: string): string {
  const parts = /"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(?:\\.|[^"'\\])+/gs;
  return word.replaceAll(parts, (part, double, single) => unescaped(String(double ?? single ?? part)));
}

const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  s: " ",
  a: "\u0007",
  b: "\b",
  f: "\f",
  v: "\v",
};

function unescaped(text: string): string {
  return text.replaceAll(/\\(x[0-9a-f]{2}|u[0-9a-f]{4}|[0-7]{3}|.)/gis, (_, code: string) => {
    if (/^[xu][0-9a-f]/i.test(code)) return String.fromCodePoint(Number.parseInt(code.slice(1), 16));
    if (/^[0-7]{3}$/.test(code)) return String.fromCodePoint(Number.parseInt(code, 8));
    return escapes[code] ?? code;
  });
}

/** The fields of a job that runs the commands one after the other, as long as each succeeds. */
export function actionOf(commands: readonly ExecCommand[]): { argv: string[] } | { command: string } {
  const [only] = commands;
  const isPlain =
    commands.length === 1 &&
    only?.mayFail === false &&
    !only.words.some((word) => only.expands && word.includes("$"));
  if (only !== undefined && isPlain) return { argv: only.words };
  // Words that variables give are split at blanks, but no file names are filled in.
  const globs = commands.some(
    ({ words, expands }) => expands && words.some((word) => wholeVariable.test(word)),
  );
  const texts = commands.map(({ words, mayFail, expands }) => {
    const text = words.map((word) => (expands ? shellWord(word) : quoted(word))).join(" ");
    return mayFail ? `{ ${text} || true; }` : text;
  });
  return { command: `${globs ? "set -f; " : ""}${texts.join(" && ")}` };
}

const wholeVariable = /^\$[A-Za-z_]\w*$/;

/** `$NAME` alone is split into words; `${NAME}` and `$NAME` within a word are filled in as they are. */
function shellWord(word: string): string {
  if (wholeVariable.test(word)) return word;
  const pieces = word.split(/(\$\$|\$\{[A-Za-z_]\w*\})/);
  return (
    pieces
      .map((piece) => {
        if (piece === "$$") return "'$'";
        if (piece.startsWith("${")) return `"${piece}"`;
        return piece === "" ? "" : quoted(piece);
      })
      .join("") || "''"
  );
}
