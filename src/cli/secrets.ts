/**
 * `cicada secrets`: sets, lists and removes secrets. A value is read from standard input, a file or a prompt that shows nothing;
 * as an argument, every user of the machine could read it.
 */
import type { Command } from "commander";
import { isatty } from "node:tty";
import { CicadaError } from "../errors.ts";
import type { SecretAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type PeerOptions } from "./terminal/client.ts";
import { show, withOutput, type Output } from "./terminal/output.ts";
import { table } from "./terminal/table.ts";
import { repeatable } from "./program.ts";
import { readExactText } from "./terminal/text-file.ts";
import { paint, plain, type Terminal } from "./terminal/terminal.ts";

type Options = PeerOptions & { output: Output };

export function secretCommands(program: Command, terminal: Terminal): void {
  const secrets = program.command("secrets");

  withOutput(withPeer(secrets.command("ls")))
    .description("list them: who has each, and which jobs name it")
    .action(async (options: Options) => {
      const answer = await openClient(options, terminal).list<SecretAnswer>("/v1/secrets");
      show(terminal, options.output, answer, () => {
        if (answer.items.length === 0) return terminal.print("There are none.");
        table(
          terminal,
          ["NAME", "HAVE IT", "LACK IT", "JOBS", "NOTE"],
          answer.items.map((one) => rowOf(terminal, one)),
        );
      });
    });

  withOutput(withPeer(secrets.command("set")))
    .description("set a secret: for the peer that is asked alone, or sealed to the peers that are named")
    .argument("<name>", "as jobs name it, and the variable that they find it in")
    .addOption(
      repeatable("--peers <names>", "all, or names separated by commas: the value is sealed to these peers"),
    )
    .option(
      "-f, --file <file>",
      "read the value from a file, without its last line break; - = standard input",
    )
    .action(async (name: string, options: Options & { peers?: readonly string[]; file?: string }) => {
      const client = openClient(options, terminal);
      const value = await readValue(options.file, name, terminal);
      const peers = options.peers?.flatMap((names) => names.split(",")).map((one) => one.trim());
      const body = {
        value,
        ...(peers === undefined ? {} : { peers: peers.join() === "all" ? "all" : peers }),
      };
      const answer = await client.ask<SecretAnswer>(pathOf(name), { method: "PUT", body });
      show(terminal, options.output, answer, () => {
        const names = answer.peers.filter(({ has }) => has).map((peer) => plain(peer.name));
        terminal.print(`${plain(name)} set; ${names.join(", ")} ${names.length === 1 ? "has" : "have"} it`);
        const others = answer.peers.filter(({ has }) => !has).map((peer) => plain(peer.name));
        if (others.length > 0) terminal.print(`${others.join(", ")} won't run jobs that name it`);
      });
    });

  withPeer(secrets.command("rm"))
    .description("remove secrets: what is sealed, and the value of the peer that is asked")
    .argument("<name...>")
    .action(async (names: string[], options: PeerOptions) => {
      const client = openClient(options, terminal);
      for (const name of names) {
        await client.send(pathOf(name), { method: "DELETE" });
        terminal.print(`${plain(name)} removed`);
      }
    });
}

function pathOf(name: string): string {
  return `/v1/secrets/${encodeURIComponent(name)}`;
}

function rowOf(terminal: Terminal, { name, peers, forgotten, jobs }: SecretAnswer): string[] {
  const named = (has: boolean): string =>
    peers
      .filter((peer) => peer.has === has)
      .map((peer) => plain(peer.name))
      .join(", ") || "-";
  const notes = [
    ...forgotten.map((peer) => `known to ${plain(peer.name)}, which was forgotten`),
    ...peers.flatMap((peer) =>
      peer.problem === null ? [] : [`${plain(peer.name)}: ${plain(peer.problem)}`],
    ),
  ];
  return [
    plain(name),
    named(true),
    named(false),
    jobs.map(plain).join(", ") || "-",
    notes.length === 0 ? "" : paint(terminal, "yellow", notes.join("; ")),
  ];
}

async function readValue(file: string | undefined, name: string, terminal: Terminal): Promise<string> {
  if (file === undefined && terminal.askHidden !== undefined) {
    return terminal.askHidden(`Value of ${plain(name)} (it is not shown): `);
  }
  if (file === undefined && isatty(0)) {
    throw new CicadaError("USAGE", "give the value on standard input, or with --file");
  }
  return readExactText(file ?? "-").replace(/\r?\n$/, "");
}
