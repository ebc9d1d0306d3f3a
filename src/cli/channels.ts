/** `cicada channels`: where notices go. Each command is one call of the API at any peer. */
import type { Command } from "commander";
import { parseDocument } from "yaml";
import { contentOf } from "../config/yaml.ts";
import { CicadaError } from "../errors.ts";
import { channelTypes } from "../schema/channel.ts";
import { meshEvents } from "../schema/mesh-event.ts";
import type { SecretAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type Client, type PeerOptions } from "./terminal/client.ts";
import { warn } from "./terminal/job-words.ts";
import { show, withOutput, type Output } from "./terminal/output.ts";
import { fields, table } from "./terminal/table.ts";
import { readTextFile } from "./terminal/text-file.ts";
import { paint, plain, type Terminal } from "./terminal/terminal.ts";
import { relative } from "./terminal/times.ts";
import { asInvoked, repeatable } from "./program.ts";

interface ChannelOptions extends PeerOptions {
  output: Output;
}

interface ChannelAnswer {
  name: string;
  type: string;
  usedBy: string[];
  lastMessage: { at: string; ok: boolean; error: string | null } | null;
  problems: { pointer: string; message: string }[];
  /** in the answer to a write */
  warnings?: string[];
  [field: string]: unknown;
}

interface SetOptions extends ChannelOptions {
  file?: string;
  type?: string;
  url?: string;
  urlSecret?: string;
  secretFile?: string;
  secret?: string;
  link?: string;
  mesh?: string[];
  digest?: string;
  digestTimezone?: string;
  server?: string;
  user?: string;
  from?: string;
  to?: string[];
  chat?: string;
  priority?: string;
  description?: string;
}

export function channelsCommands(program: Command, terminal: Terminal): void {
  const channels = program.command("channels");

  withOutput(withPeer(channels.command("ls")))
    .description("list channels, and how the last message to each went")
    .action(async (options: ChannelOptions) => {
      const answer = await openClient(options, terminal).list<ChannelAnswer>("/v1/channels");
      show(terminal, options.output, answer, () => channelTable(terminal, answer.items));
    });

  withOutput(withPeer(channels.command("get")))
    .description("show one channel; its secret is not shown")
    .argument("<name>")
    .action(async (name: string, options: ChannelOptions) => {
      const channel = await openClient(options, terminal).ask<ChannelAnswer>(pathOf(name));
      show(terminal, options.output, channel, () => {
        fields(
          terminal,
          Object.entries(channel).map(([field, value]) => [field, shownValue(value)]),
        );
      });
    });

  setCommand(channels, terminal);

  withPeer(channels.command("rm"))
    .description("remove channels; refused while jobs use one")
    .argument("<name...>")
    .option("--force", "even if jobs use it: their notices are then not sent")
    .action(async (names: string[], options: PeerOptions & { force?: true }) => {
      const client = openClient(options, terminal);
      for (const name of names) {
        await client.send(pathOf(name), { method: "DELETE", query: { force: options.force } });
        terminal.print(`${plain(name)} removed`);
      }
    });

  withPeer(channels.command("test"))
    .description("send a test notice through a channel, from the peer that is asked")
    .argument("<name>")
    .action(async (name: string, options: PeerOptions) => {
      await openClient(options, terminal).send(pathOf(name, "/test"), { method: "POST", body: {} });
      terminal.print(`${plain(name)} accepted the test notice`);
    });
}

function setCommand(channels: Command, terminal: Terminal): void {
  withOutput(withPeer(channels.command("set")))
    .description("create or replace a channel, from flags or from a file")
    .argument("<name>", "as a job's notify names it")
    .option("-f, --file <file>", "the channel as YAML or JSON; - reads standard input")
    .option("--type <type>", channelTypes.join(", "))
    .option(
      "--url <url>",
      "webhook, slack, discord, teams: its address; ntfy: the topic's; gotify: the server's",
    )
    .option("--url-secret <name>", "instead of --url: the secret whose value is the address")
    .option(
      "--secret-file <file>",
      "its secret: a webhook's whsec_…, a token, a password; - reads standard input",
    )
    .option("--secret <name>", "instead of --secret-file: a secret that `cicada secrets set` has made")
    .option("--server <url>", "email: smtp://HOST:PORT or smtps://HOST:PORT")
    .option("--user <user>", "email: who logs in there")
    .option("--from <address>", "email: the sender")
    .addOption(repeatable("--to <address>", "email: a recipient; repeatable"))
    .option("--chat <id>", "telegram: the chat")
    .option("--priority <n>", "ntfy, gotify: a fixed priority (default: one that fits the notice)")
    .addOption(
      repeatable(
        "--mesh <event>",
        `an event of the mesh that it is notified of: ${meshEvents.join(", ")}; repeatable`,
      ),
    )
    .option("--digest <time>", "once a day at this time, such as 08:00: what ran, and what did not")
    .option("--digest-timezone <zone>", "of --digest; UTC if not given")
    .option("--link <url>", "the address at which people open a peer's page: notices then link to it")
    .option("--description <text>", "a text for people")
    .action(async (name: string, options: SetOptions) => {
      const body = options.file === undefined ? fromFlags(options) : parseFile(options.file);
      const client = openClient(options, terminal);
      await checkNamed("--secret", options.secret, client);
      await checkNamed("--url-secret", options.urlSecret, client);
      const channel = await client.ask<ChannelAnswer>(pathOf(name), { method: "PUT", body });
      show(terminal, options.output, channel, () => {
        terminal.print(
          asInvoked(
            `${plain(name)} set; \`cicada channels test ${plain(name)}\` sends a test notice through it`,
            terminal.env,
          ),
        );
        warn(terminal, channel);
      });
    });
}

/** A secret that is given in place of its name would be replicated and shown in clear. */
async function checkNamed(flag: string, name: string | undefined, client: Client): Promise<void> {
  if (name === undefined) return;
  const { items } = await client.list<SecretAnswer>("/v1/secrets");
  if (items.some((one) => one.name === name && one.peers.some(({ has }) => has))) return;
  const instead =
    flag === "--secret" ? "the secret itself goes into --secret-file" : "an address goes into --url";
  throw new CicadaError(
    "SECRET_NOT_FOUND",
    `${flag} takes the name of a secret, and no peer has a secret of that name: \`cicada secrets set NAME\` makes one; ${instead}`,
  );
}

function fromFlags(options: SetOptions): Record<string, unknown> {
  const { type, server, user, from, to, chat, priority, mesh, link, description } = options;
  if (type === undefined) throw new CicadaError("USAGE", "give --type, or a file with -f");
  const { secretFile } = options;
  const url = oneOf("url", options.url, options.urlSecret);
  const secret = oneOf(
    "secret",
    secretFile === undefined ? undefined : readTextFile(secretFile).trim(),
    options.secret,
  );
  const digest = digestOf(options);
  const given = { type, url, secret, server, user, from, to, chat, mesh, digest, link, description };
  if (priority !== undefined && !/^\d+$/.test(priority)) {
    throw new CicadaError("USAGE", `--priority ${priority}: give a whole number`);
  }
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...(priority === undefined ? {} : { priority: Number(priority) }),
  };
}

function digestOf({ digest: at, digestTimezone: timezone }: SetOptions): object | undefined {
  if (at === undefined && timezone !== undefined) {
    throw new CicadaError("USAGE", "--digest-timezone: give --digest with it, such as --digest 08:00");
  }
  return at === undefined ? undefined : { at, ...(timezone === undefined ? {} : { timezone }) };
}

/** The text itself, or the name of the secret that stands for it. */
function oneOf(
  what: "url" | "secret",
  text: string | undefined,
  name: string | undefined,
): string | { name: string } | undefined {
  if (name === undefined) return text;
  const [one, other] = what === "url" ? ["--url", "--url-secret"] : ["--secret-file", "--secret"];
  if (text !== undefined) throw new CicadaError("USAGE", `give ${one} or ${other}, not both`);
  return { name };
}

function parseFile(file: string): unknown {
  return contentOf(parseDocument(readTextFile(file), { logLevel: "error" }), file);
}

function pathOf(name: string, call = ""): string {
  return `/v1/channels/${encodeURIComponent(name)}${call}`;
}

function channelTable(terminal: Terminal, channels: readonly ChannelAnswer[]): void {
  if (channels.length === 0) {
    return terminal.print(
      asInvoked(
        "There are no channels. `cicada channels set ops --type slack --url URL` makes one.",
        terminal.env,
      ),
    );
  }
  const now = terminal.now();
  const rows = channels.map(({ name, type, usedBy, lastMessage, problems }) => [
    plain(name),
    plain(type),
    String(usedBy.length),
    lastMessage === null ? "-" : relative(Date.parse(lastMessage.at), now),
    stateOf(terminal, lastMessage, problems),
  ]);
  table(
    terminal,
    [{ title: "NAME", cut: "front", min: 12, isName: true }, "TYPE", "JOBS", "LAST MESSAGE", "STATE"],
    rows,
  );
}

function stateOf(
  terminal: Terminal,
  last: ChannelAnswer["lastMessage"],
  problems: ChannelAnswer["problems"],
): string {
  const [problem] = problems;
  if (problem !== undefined) return paint(terminal, "red", plain(problem.message));
  if (last === null) return "nothing sent yet";
  return last.ok ? "ok" : paint(terminal, "red", plain(last.error ?? "failed"));
}

function shownValue(value: unknown): string {
  if (typeof value === "string") return plain(value);
  return value === null ? "" : plain(JSON.stringify(value));
}
