/**
 * `cicada start` that pretends to be another version of the program: its first argument (JSON) gives the version's
 * protocol range and capabilities. No flag or variable of cicada does this, so nobody can do it by accident.
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
