/**
 * `cicada token`: makes, lists and revokes tokens for the API. A token's text is printed once, to standard output alone, so that
 * it can be put into a file.
 */
import { Option, type Command } from "commander";
import { parseDuration } from "../core/time/units.ts";
import { CicadaError } from "../errors.ts";
import { roles } from "../schema/access.ts";
import { repeatable } from "./program.ts";
import type { MadeTokenAnswer, TokenAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type Client, type PeerOptions } from "./terminal/client.ts";
import { warn } from "./terminal/job-words.ts";
import { show, withOutput, type Output } from "./terminal/output.ts";
import { table } from "./terminal/table.ts";
import { plain, type Terminal } from "./terminal/terminal.ts";

type Options = PeerOptions & { output: Output };
type MakeOptions = Options & { role: string; group?: readonly string[]; expires?: string };

export function tokenCommands(program: Command, terminal: Terminal): void {
  const token = program.command("token");
  addCreate(token, terminal);
  addList(token, terminal);
  addRemove(token, terminal);
}

function addCreate(token: Command, terminal: Terminal): void {
  withOutput(withPeer(token.command("create")))
    .description("make a token; it is shown only now")
    .argument("<name>", "its name in lists and in the audit")
    .addOption(
      new Option("--role <role>", "metrics reads /metrics, viewer reads, operator runs, editor writes jobs")
        .choices(roles)
        .makeOptionMandatory(),
    )
    .addOption(repeatable("--group <group>", "only jobs of this group; repeatable (default: all groups)"))
    .option("--expires <when>", "a duration from now such as 90d, or an RFC 3339 instant (default: never)")
    .action(async (name: string, options: MakeOptions) => {
      const client = openClient(options, terminal);
      const groups = options.group?.flatMap((text) => text.split(",")).map((one) => one.trim());
      const body = {
        name,
        role: options.role,
        ...(groups === undefined ? {} : { groups }),
        ...(options.expires === undefined ? {} : { expires: expiryOf(options.expires, terminal.now()) }),
      };
      const made = await client.ask<MadeTokenAnswer>("/v1/tokens", { method: "POST", body });
      show(terminal, options.output, made, () => {
        terminal.notify(
          `${plain(made.name)} may now call every peer as ${made.role}; this is shown only once:`,
        );
        terminal.print(made.token);
        warn(terminal, made);
      });
    });
}

function addList(token: Command, terminal: Terminal): void {
  withOutput(withPeer(token.command("ls")))
    .description("list the tokens of the mesh")
    .action(async (options: Options) => {
      const answer = await openClient(options, terminal).list<TokenAnswer>("/v1/tokens");
      show(terminal, options.output, answer, () => {
        if (answer.items.length === 0)
          return terminal.print("There are none besides each peer's own admin.token.");
        table(
          terminal,
          [
            { title: "NAME", min: 12 },
            "ID",
            "ROLE",
            { title: "GROUPS", min: 8 },
            { title: "EXPIRES", min: 11 },
            { title: "MADE BY", min: 10, spare: 1 },
          ],
          answer.items.map((one) => [
            plain(one.name),
            one.id,
            one.role,
            one.groups?.map(plain).join(", ") ?? "all",
            one.expired ? "expired" : (one.expires ?? "never"),
            plain(one.createdBy),
          ]),
        );
      });
    });
}

function addRemove(token: Command, terminal: Terminal): void {
  withPeer(token.command("rm"))
    .description(
      "revoke tokens, by name or id: at once at the peer that is asked, within seconds at all others",
    )
    .argument("<token...>")
    .option("--force", "even the last admin token")
    .action(async (named: string[], options: PeerOptions & { force?: true }) => {
      const client = openClient(options, terminal);
      const { items } = await client.list<TokenAnswer>("/v1/tokens");
      // A name that is misspelt stops the command before anything is revoked.
      const found = named.map((text) => {
        const one = items.find(({ id, name }) => id === text || name === text);
        if (one === undefined) throw new CicadaError("TOKEN_NOT_FOUND", `there is no token "${text}"`);
        return one;
      });
      for (const one of new Set(found)) {
        await revoke(client, one.id, options.force);
        terminal.print(`${plain(one.name)} revoked`);
      }
    });
}

async function revoke(client: Client, id: string, force: true | undefined): Promise<void> {
  await client.send(`/v1/tokens/${encodeURIComponent(id)}`, { method: "DELETE", query: { force } });
}

/** A duration counts from `now` (ms); anything else is for the peer to read. */
function expiryOf(text: string, now: number): string {
  const ms = parseDuration(text);
  if (ms !== undefined) return new Date(now + ms).toISOString();
  if (!/^\d{4}-\d{2}-\d{2}T/.test(text)) {
    const forms =
      "give a duration from now such as 90d, or an RFC 3339 instant; without it the token never expires";
    throw new CicadaError("USAGE", `--expires ${text}: ${forms}`);
  }
  return text;
}
