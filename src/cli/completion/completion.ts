/**
 * `cicada completion` prints a script for a shell, which asks `cicada complete` at each press of the key. That command says
 * nothing about errors, and waits no longer than a second for a peer.
 */
import { Argument, type Command } from "commander";
import type { PeerOptions } from "../terminal/client.ts";
import { plain, type Terminal } from "../terminal/terminal.ts";
import { candidatesFor } from "./candidates.ts";
import { namesFrom } from "./names.ts";
import { scripts, shells, type Shell } from "./scripts.ts";

export function completionCommands(program: Command, terminal: Terminal): void {
  program
    .command("completion")
    .addArgument(new Argument("<shell>").choices(shells))
    .addHelpText("after", "\nExample:\n  echo 'source <(cicada completion bash)' >> ~/.bashrc")
    .action((shell: Shell) => terminal.print(scripts[shell]));

  program
    .command("complete", { hidden: true })
    .description("what may come next; the scripts of `cicada completion` ask for it")
    .addArgument(new Argument("<shell>").choices(shells))
    .argument("<line>", "the command line up to the cursor")
    .argument("[word]", "bash: what it takes for the present word")
    .action((shell: Shell, line: string, word: string | undefined) =>
      complete(program, { shell, line, word }, terminal),
    );
}

interface Asked {
  shell: Shell;
  line: string;
  word: string | undefined;
}

async function complete(program: Command, { shell, line, word }: Asked, terminal: Terminal): Promise<void> {
  const [, ...words] = wordsIn(line);
  const current = words.pop() ?? "";
  const found = candidatesFor(program, words, current);
  if (found === undefined) return;
  const all =
    "words" in found ? found.words : await namesFrom(found.of, current, peerOptionsIn(words), terminal);
  // bash replaces only what it takes for the present word, which is an end of it.
  const kept = word !== undefined && current.endsWith(word) ? current.length - word.length : 0;
  for (const [candidate, about] of all) {
    if (candidate === "" || !candidate.startsWith(current) || plain(candidate) !== candidate) continue;
    const text = candidate.slice(kept);
    terminal.print(shell === "fish" && about !== "" ? `${text}\t${plain(about)}` : text);
  }
}

/** The peer that the line itself names. */
function peerOptionsIn(words: readonly string[]): PeerOptions {
  const valueOf = (flag: string): string | undefined => {
    const at = words.findIndex((word) => word === flag || word.startsWith(`${flag}=`));
    if (at === -1) return undefined;
    return words[at]?.includes("=") === true ? words[at].slice(flag.length + 1) : words[at + 1];
  };
  const given = { peer: valueOf("--peer"), token: valueOf("--token"), data: valueOf("--data") };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** The words of a line as a shell splits them, as far as quotes and backslashes go. The last one is the present one. */
export function wordsIn(line: string): string[] {
  const words = [""];
  let quote = "";
  for (let at = 0; at < line.length; at += 1) {
    const letter = line.charAt(at);
    const last = words.length - 1;
    if (letter === "\\" && quote !== "'") {
      at += 1;
      words[last] += line.charAt(at);
    } else if (quote === "" && (letter === "'" || letter === '"')) quote = letter;
    else if (letter === quote) quote = "";
    else if (quote === "" && /\s/.test(letter)) {
      if (words[last] !== "") words.push("");
    } else words[last] += letter;
  }
  return words;
}
