/**
 * `cicada start` on the command line: one flag for each setting. start.ts does the work. It is only loaded when the
 * command runs, because the other commands need neither libp2p nor a database.
 *
 * A test can start a peer that speaks as another version does (test/kit/other-version-child.ts). No flag or variable
 * can.
 */
import { Option, type Command } from "commander";
import type { Flags } from "../../config.ts";
import { settings, type Setting } from "../../config/settings.ts";
import { repeatable } from "../program.ts";
import { becomeChildOfInit } from "./init.ts";
import { ownCompatibility } from "../../schema/protocol.ts";
import type { Terminal } from "../terminal/terminal.ts";

export function startCommand(program: Command, terminal: Terminal, compatibility = ownCompatibility): void {
  const start = program
    .command("start")
    .option("--config <file>", "settings as YAML, under the names of these flags (CICADA_CONFIG)")
    .option(
      "--new-identity",
      "for this one start: begin as a new peer if a used data folder has lost its peer.key",
    );
  for (const setting of settings) start.addOption(optionOf(setting));
  start.action(async (options: Flags) => {
    becomeChildOfInit();
    const { start: run } = await import("./start.ts");
    terminal.exitCode = await run(byName(options), terminal, compatibility);
  });
}

function optionOf({ name, shape, value, variable, help }: Setting): Option {
  const flags = shape === "switch" ? `--${name}` : `--${name} <${value ?? "value"}>`;
  if (shape === "list") return repeatable(flags, `${help}; repeatable (${variable})`);
  return new Option(flags, `${help} (${variable})`);
}

/** Flags by the name of their setting (`cluster-key`), as config.ts expects them. */
function byName(options: Flags): Flags {
  const flags: Flags = { config: options["config"], "new-identity": options["newIdentity"] };
  for (const setting of settings) flags[setting.name] = options[optionOf(setting).attributeName()];
  return flags;
}
