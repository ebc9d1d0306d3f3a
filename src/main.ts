/**
 * The program: passes the command line to cli/command-line.ts, which is only read if more than the version is asked for. Whatever goes
 * wrong, it ends with one of INTERFACE's exit codes.
 */
import { processTerminal, type Terminal } from "./cli/terminal/terminal.ts";
import { readVersion } from "./cli/version.ts";

export async function main(argv: readonly string[]): Promise<void> {
  process.exitCode = await run(argv, processTerminal());
}

/** Runs one command line (without the program's own name) and returns its exit code. */
export async function run(typed: readonly string[], terminal: Terminal): Promise<number> {
  if (typed[0] === "--version" || typed[0] === "-V") {
    terminal.print(readVersion());
    return 0;
  }
  const { runCommand } = await import("./cli/command-line.ts");
  return runCommand(typed, terminal);
}
