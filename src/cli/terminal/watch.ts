/**
 * `-w`: shows a list again and again until Ctrl-C. A screen is redrawn; into a pipe or a file only lines go that are new or
 * have changed, as `kubectl get -w` does.
 */
import type { Command } from "commander";
import { CicadaError } from "../../errors.ts";
import { isForPeople, type Output } from "./output.ts";
import { paint, type Terminal } from "./terminal.ts";

/** How often to ask, ms. Less costs the peer more; a person reads no faster. */
const everyMs = 2_000;
const clearScreen = "\u001b[H\u001b[J";

export interface Watched {
  watch?: true;
}

export function withWatch(command: Command): Command {
  return command.option("-w, --watch", "show it again every 2 s, until Ctrl-C");
}

/** Calls `print` with a terminal once, or again and again with `-w`. */
export async function watching(
  { watch, output }: Watched & { output: Output },
  terminal: Terminal,
  print: (terminal: Terminal) => Promise<void>,
): Promise<void> {
  if (watch !== true) return print(terminal);
  if (!isForPeople(output) && output !== "name") {
    throw new CicadaError("USAGE", `-w shows a table or names, not ${output}`);
  }
  let before: Drawn | undefined;
  for (;;) {
    const drawn: Drawn = await draw(terminal, print, before);
    if (terminal.interactive) {
      const shown = drawn.lines.slice(0, terminal.rows - 1);
      terminal.write(Buffer.from(`${clearScreen}${shown.join("\n")}\n`));
    } else for (const line of drawn.lines) if (before?.known.has(line) !== true) terminal.print(line);
    before = drawn;
    if (!(await terminal.rest(everyMs))) return;
  }
}

interface Drawn {
  lines: readonly string[];
  /** what is not printed again into a pipe */
  known: ReadonlySet<string>;
}

/** A peer that doesn't answer for a while doesn't end the watch. What was listed before stays known. */
async function draw(
  terminal: Terminal,
  print: (terminal: Terminal) => Promise<void>,
  before: Drawn | undefined,
): Promise<Drawn> {
  const text: string[] = [];
  try {
    await print({
      ...terminal,
      print: (line) => void text.push(line),
      notify: (line) => void text.push(line),
    });
  } catch (error) {
    const isAway = error instanceof CicadaError && error.code === "PEER_UNREACHABLE";
    if (!isAway || before === undefined) throw error;
    const line = paint(terminal, "yellow", error.message);
    return { lines: [line], known: new Set([...before.known, line]) };
  }
  const lines = text.flatMap((block) => block.split("\n"));
  return { lines, known: new Set(lines) };
}
