/**
 * `cicada start` of another version of the program: this code, with what that version says of itself in the first argument
 * (JSON). No flag or variable of cicada does this, so that nobody comes upon it.
 */
import { Command } from "commander";
import { startCommand } from "../../src/cli/start/command.ts";
import { processTerminal } from "../../src/cli/terminal/terminal.ts";
import { readProtocol, type Compatibility } from "../../src/schema/protocol.ts";

const [spoken = "", ...args] = process.argv.slice(2);
const terminal = processTerminal();
const program = new Command("cicada");
startCommand(program, terminal, readSpoken(JSON.parse(spoken)));
await program.parseAsync(args, { from: "user" });
process.exitCode = terminal.exitCode;

function readSpoken(said: Partial<Record<keyof Compatibility, unknown>>): Compatibility {
  const protocol = readProtocol(said.protocol);
  const { capabilities } = said;
  if (protocol === undefined || !Array.isArray(capabilities)) throw new Error(`not a version: ${spoken}`);
  return { protocol, capabilities: capabilities.map(String) };
}
