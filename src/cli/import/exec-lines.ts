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

/** `specifier` gives what `%x` stands for; undefined = not known. All that can't be expressed is named. */
export function readExecLine(
  text: string,
  specifier: (letter: string) => string | undefined,
): ExecCommand[] | { reasons: string[] } {
  const { split, isOpen } = splitCommands(text);
  const reasons = new Set(isOpen ? [`a quote in ${JSON.stringify(text)} is never closed`] : []);
  const commands = split.map(([first = "", ...rest]): ExecCommand => {
    const [, prefixes = "", program = ""] = /^([-@:+!|]*)(.*)$/s.exec(first) ?? [];
    if (/[+!@|]/.test(prefixes)) reasons.add(`the prefix ${prefixes} of ${program} can't be expressed`);
    const words = [program, ...rest].map((word) => fillSpecifiers(word, specifier, reasons));
    return { words, mayFail: prefixes.includes("-"), expands: !prefixes.includes(":") };
  });
  return reasons.size === 0 ? commands : { reasons: [...reasons] };
}

function fillSpecifiers(
  word: string,
  specifier: (letter: string) => string | undefined,
  reasons: Set<string>,
): string {
  return word.replaceAll(/%(.)/gs, (whole, letter: string) => {
    if (letter === "%") return "%";
    const value = specifier(letter);
    if (value === undefined) reasons.add(`${whole} depends on the host and can't be expressed`);
    return value ?? whole;
  });
}

/** The words of each command; `;` by itself separates commands. `isOpen`: it ends within a quote, and the rest is left out. */
function splitCommands(text: string): { split: string[][]; isOpen: boolean } {
  const commands: string[][] = [[]];
  const pattern = /\s*(;(?=\s|$)|(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\.|[^\s"'\\])+)/gsy;
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    end = match.index + match[0].length;
    const word = match[1] ?? "";
    if (word === ";") commands.push([]);
    else commands.at(-1)?.push(word === String.raw`\;` ? ";" : unquoted(word));
  }
  return { split: commands.filter((words) => words.length > 0), isOpen: text.slice(end).trim() !== "" };
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
