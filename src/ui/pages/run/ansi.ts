/** The colours of a terminal (ECMA-48 SGR) in a line of output. All other control sequences are dropped. */

/** Classes of the text that follows, such as `red bold`; "" = plain. */
export type Look = string;

interface Span {
  text: string;
  look: Look;
}

const colours = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const escape = String.fromCharCode(27);
const bell = String.fromCharCode(7);
/** CSI, OSC and two-character sequences; the first group is the parameters of an SGR. */
const sequences = new RegExp(
  `${escape}(?:\\[([0-9;:]*)m|\\[[0-?]*[ -/]*[@-~]|\\][^${bell}${escape}]*(?:${bell}|${escape}\\\\)?|[@-Z\\\\-_])`,
  "g",
);

export function hasCodes(line: string): boolean {
  return line.includes(escape);
}

/** A line in spans, and the look in which it leaves the next line. */
export function readLine(line: string, before: Look): { spans: Span[]; after: Look } {
  const spans: Span[] = [];
  let look = before;
  let from = 0;
  for (const match of line.matchAll(sequences)) {
    if (match.index > from) spans.push({ text: line.slice(from, match.index), look });
    from = match.index + match[0].length;
    if (match[1] !== undefined) look = changed(look, match[1]);
  }
  if (from < line.length) spans.push({ text: line.slice(from), look });
  return { spans, after: look };
}

/** The line as a person reads it. */
export function withoutCodes(line: string): string {
  return hasCodes(line) ? line.replaceAll(sequences, "") : line;
}

function changed(look: Look, parameters: string): Look {
  const parts = new Set(look.split(" ").filter(Boolean));
  const codes = parameters.split(/[;:]/).map(Number);
  const setColour = (kind: string, colour: string | undefined): void => {
    for (const part of parts) if (part.startsWith(kind)) parts.delete(part);
    if (colour !== undefined) parts.add(kind + colour);
  };
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0;
    if (code === 0) parts.clear();
    else if (code === 1) parts.add("bold");
    else if (code === 2) parts.add("dim");
    else if (code === 3) parts.add("italic");
    else if (code === 4) parts.add("underline");
    else if (code === 22) for (const one of ["bold", "dim"]) parts.delete(one);
    else if (code === 23) parts.delete("italic");
    else if (code === 24) parts.delete("underline");
    else if (code === 38 || code === 48) {
      // One of 256 colours: the first 16 are the named ones, of the others none is shown.
      const kind = code === 38 ? "fg-" : "bg-";
      const number = codes[at + 2] ?? 16;
      if (codes[at + 1] === 5) setColour(kind, number < 16 ? colours[number % 8] : undefined);
      at += codes[at + 1] === 5 ? 2 : 4;
    } else if (code === 39) setColour("fg-", undefined);
    else if (code === 49) setColour("bg-", undefined);
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) setColour("fg-", colours[code % 10]);
    else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) setColour("bg-", colours[code % 10]);
  }
  return [...parts].join(" ");
}
