/**
 * `cicada peers`: lists the peers of the mesh, prints the line with which another peer joins, and confirms, promotes,
 * drains, undrains, forgets or takes in again a peer.
 */
import type { Command } from "commander";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseClusterKey, rotationIn, type Rotation } from "../identity/cluster-key.ts";
import { encodeJoin } from "../identity/join.ts";
import type { Invitation } from "../schema/admission.ts";
import type { PeerId } from "../schema/ids.ts";
import { CicadaError } from "../errors.ts";
import type { AdmissionAnswer, PeerAnswer, PeersAnswer } from "./terminal/answers.ts";
import {
  dataFolder,
  openClient,
  formatError,
  readReady,
  withPeer,
  type Client,
  type PeerOptions,
} from "./terminal/client.ts";
import { asInvoked, invocationOf } from "./program.ts";
import { warn } from "./terminal/job-words.ts";
import { isForPeople, show, withOutput, type Output } from "./terminal/output.ts";
import { idOfPeer } from "./terminal/references.ts";
import { table, type Column } from "./terminal/table.ts";
import { readToEnd } from "./terminal/text-file.ts";
import { watching, withWatch, type Watched } from "./terminal/watch.ts";
import { paint, plain, type Colour, type Terminal } from "./terminal/terminal.ts";
import { durationText, relative } from "./terminal/times.ts";

/** Enough for people to tell the invitations of one mesh apart. */
const invitationBytes = 4;

export function peersCommands(program: Command, terminal: Terminal): void {
  const peers = program.command("peers");

  withWatch(withOutput(withPeer(peers.command("ls"))))
    .description("list all known peers and their state")
    .action((options: PeerOptions & Watched & { output: Output }) =>
      watching(options, terminal, async (screen) => {
        const answer = await openClient(options, terminal).ask<PeersAnswer>("/v1/peers");
        show(screen, options.output, answer, (wide) => {
          peerTable(screen, answer.items, wide);
          rosterLines(screen, answer);
        });
      }),
    );

  actionCommands(peers, terminal);

  withPeer(peers.command("invite"))
    .description("print the line with which another peer joins this mesh; it holds the cluster key")
    .option(
      "--cluster-key <file>",
      "the mesh's key (default: DATA/cluster.key, else CICADA_CLUSTER_KEY_FILE)",
    )
    .action(async (options: PeerOptions & { clusterKey?: string }) => {
      const self = await openClient(options, terminal).ask<PeerAnswer>("/v1/peers/self");
      const invitation = newInvitation(self.id);
      const addresses = invitable(self.addresses);
      const { file, ...key } = readKey(options, terminal);
      const line = encodeJoin({ ...key, invitation, addresses });
      if (isOfOtherPeer(options, terminal, self.id)) {
        const text =
          `The key is the one in ${plain(file)}, and ${plain(self.name)} is not the peer of that folder: if it belongs to another ` +
          "mesh, give that mesh's key with --cluster-key.";
        terminal.notify(paint(terminal, "yellow", text));
      }
      terminal.notify(
        paint(
          terminal,
          "yellow",
          "Anyone who has this line can run commands on every peer: protect it like a root password.",
        ),
      );
      terminal.notify(
        self.addresses.every(isLoopback)
          ? `${plain(self.name)} only listens on loopback. For a second peer on this machine, with its own --data, --http and --listen:`
          : "On the other machine:",
      );
      terminal.notify("");
      terminal.print(joinLine(terminal, line));
      terminal.notify("");
      terminal.notify(
        asInvoked(
          `This is invitation ${invitation.id}. \`cicada peers ls\` shows who joined with it; confirm a peer that belongs here ` +
            "with `cicada peers confirm NAME`.",
          terminal.env,
        ),
      );
    });
}

function rosterLines(terminal: Terminal, { items, roster }: PeersAnswer): void {
  if (roster === null) return;
  const nameOf = (id: string) => plain(items.find((peer) => peer.id === id)?.name ?? id.slice(-8));
  const { epoch, voters, from, forced } = roster;
  const begins = Date.parse(from) > terminal.now() ? `, from ${from}` : "";
  terminal.print("");
  terminal.print(
    paint(terminal, "dim", `voters of epoch ${epoch}${begins}: ${voters.map(nameOf).join(", ")}`),
  );
  for (const one of forced) {
    terminal.print(
      paint(
        terminal,
        "yellow",
        `Epoch ${one.epoch} was forced at ${nameOf(one.by)} instead of voted for: if the old voters are still running, a tick ` +
          "of a majority job may run twice.",
      ),
    );
  }
}

/** The folder's own key wins over the variable's, which may be the old one after a rotation. */
function readKey(
  options: PeerOptions & { clusterKey?: string },
  terminal: Terminal,
): { key: Uint8Array; rotation: Rotation | undefined; file: string } {
  const own = join(dataFolder(options, terminal), "cluster.key");
  const named = terminal.env["CICADA_CLUSTER_KEY_FILE"] ?? "";
  const file = options.clusterKey ?? (named === "" || existsSync(own) ? own : named);
  let text: string;
  try {
    text = readToEnd(file).toString();
  } catch (error) {
    throw new CicadaError(
      "BAD_KEY",
      `${file}: ${formatError(error)}; use --data or --cluster-key to name another place`,
    );
  }
  return { key: parseClusterKey(text), rotation: rotationIn(text), file };
}

/**
 * Whether the key comes from the local data folder although the peer that was asked, by its address, isn't the one that runs on
 * that folder.
 */
function isOfOtherPeer(
  options: PeerOptions & { clusterKey?: string },
  terminal: Terminal,
  asked: PeerId,
): boolean {
  const isNamed = (options.peer ?? terminal.env["CICADA_PEER_URL"] ?? "") !== "";
  const folder = dataFolder(options, terminal);
  const isFolders = options.clusterKey === undefined && existsSync(join(folder, "cluster.key"));
  return isNamed && isFolders && readReady(folder)?.peerId !== asked;
}

/** An invitation that a person asks for at that peer. */
export function newInvitation(by: PeerId): Invitation {
  return { id: randomBytes(invitationBytes).toString("hex"), by };
}

/** The line to paste on the other machine. It isn't an argument, because other users there can read arguments. */
export function joinLine({ env }: Terminal, invitation: string): string {
  return `echo ${invitation} | ${invocationOf(env).start} --join -`;
}

/** The addresses for an invitation: loopback ones only when there are no others. */
export function invitable(addresses: readonly string[]): string[] {
  const outside = addresses.filter((address) => !isLoopback(address));
  return outside.length > 0 ? outside : [...addresses];
}

export function isLoopback(multiaddr: string): boolean {
  return /^\/(ip4\/127\.|ip6\/::1\/|dns[46]?\/localhost\/)/.test(multiaddr);
}

const colours: Readonly<Record<string, Colour>> = { alive: "green", suspect: "yellow", dead: "red" };

const columns: readonly (string | Column)[] = [
  { title: "NAME", cut: "front", min: 16 },
  { title: "STATE", min: 8 },
  { title: "ROLE", spare: 4 },
  { title: "VOTER", spare: 2 },
  "LOAD",
  "CLOCK",
  { title: "VERSION", spare: 5 },
  { title: "TAGS", min: 10, spare: 6 },
  // Run ids have the end of the peer's id.
  { title: "ID", cut: "front", min: 9 },
  { title: "JOINED", min: 10, spare: 3 },
  { title: "CONFIRMED", spare: 1 },
  { title: "ADDRESSES", wide: true },
];

function peerTable(terminal: Terminal, peers: readonly PeerAnswer[], wide: boolean): void {
  const rows = peers.map((peer) => {
    return [
      plain(peer.name) + (peer.self ? " *" : ""),
      stateText(terminal, peer),
      plain(peer.role ?? "-"),
      voterText(terminal, peer),
      peer.load === null || isGone(peer) ? "-" : `${peer.load}/${peer.capacity ?? "?"}`,
      isGone(peer) ? "-" : clockText(peer.clockOffsetMs),
      plain(peer.version ?? "-"),
      Object.entries(peer.tags)
        .map(([key, value]) => plain(`${key}=${value}`))
        .join(" ") || "-",
      plain(peer.id),
      joinText(terminal, peer),
      confirmedText(terminal, peer),
      plain(peer.addresses.join(" ")),
    ];
  });
  table(terminal, columns, rows, wide);
}

/** When it joined, and by which invitation. */
export function joinText(
  terminal: Terminal,
  { joinedAt = null, invitation = null }: AdmissionAnswer,
): string {
  if (joinedAt === null) return "-";
  const when = relative(Date.parse(joinedAt), terminal.now());
  return invitation === null ? when : `${when} by ${plain(invitation)}`;
}

function confirmedText(terminal: Terminal, { confirmed, state }: PeerAnswer): string {
  if (state === "forgotten") return "-";
  if (confirmed === undefined) return "-";
  return confirmed ? "yes" : paint(terminal, "yellow", "no");
}

function stateText(terminal: Terminal, peer: PeerAnswer): string {
  const colour = colours[peer.state];
  const drains = peer.drained ? "drained" : peer.draining ? "draining" : "";
  const heard =
    peer.heardAt === null ? "" : `last heard ${relative(Date.parse(peer.heardAt), terminal.now())}`;
  const now = isGone(peer) ? [heard] : [peer.warmingUp ? "warming up" : "", drains];
  const doing = now.filter((word) => word !== "");
  const text = doing.length === 0 ? peer.state : `${peer.state} (${doing.join(", ")})`;
  return colour === undefined ? text : paint(terminal, colour, text);
}

/** A peer's vote begins some seconds after the voters have agreed. */
function voterText(terminal: Terminal, { voter, votesFrom, votesLost }: PeerAnswer): string {
  if (votesLost === true) return "votes lost";
  if (votesFrom === null || Date.parse(votesFrom) <= terminal.now()) return voter ? "yes" : "no";
  return relative(Date.parse(votesFrom), terminal.now());
}

/** True for a peer whose last heartbeat is no longer up to date. */
function isGone({ state }: PeerAnswer): boolean {
  return state !== "alive" && state !== "suspect";
}

/** How far the peer's clock is ahead of (+) or behind (-) the clock of the asked peer. */
function clockText(offsetMs: number | null): string {
  if (offsetMs === null) return "-";
  return `${offsetMs < 0 ? "-" : "+"}${durationText(Math.abs(offsetMs))}`;
}

// ----------------------------------------------------------------------------------------------- actions

interface Changed {
  peer: PeerAnswer | null;
  /** what is still missing; absent = nothing, or an older peer answers */
  warnings?: string[];
}

type Options = PeerOptions & { output: Output };

function actionCommands(peers: Command, terminal: Terminal): void {
  for (const { action, description, done } of actions) {
    withOutput(withPeer(peers.command(`${action} <peer...>`)))
      .description(description)
      .action((named: string[], options: Options) =>
        act(terminal, options, { named, action, body: {} }, (name, answer) => {
          const isHalf = answer.warnings !== undefined;
          terminal.print(
            isHalf ? `${name} is no longer forgotten here` : asInvoked(done(name), terminal.env),
          );
          warn(terminal, answer);
        }),
      );
  }
  withOutput(withPeer(peers.command("forget <peer...>")))
    .description(
      "remove a peer for good: all peers refuse its identity from now on. It may still have the cluster key and come back as " +
        "another peer: to shut an intruder out, use `cicada key rotate --without`, which does both",
    )
    .option(
      "--force",
      "even if no majority of the voters agrees; UNSAFE unless they are gone for good: a tick of a majority job may run twice",
    )
    .action((named: string[], options: Options & { force?: boolean }) => {
      const force = options.force === true;
      return act(terminal, options, { named, action: "forget", body: { force } }, (name) => {
        terminal.print(`${name} is forgotten: all peers refuse it from now on`);
        terminal.print(
          asInvoked(
            "It may still have the cluster key. If it was an intruder, run `cicada key rotate` now.",
            terminal.env,
          ),
        );
        if (!force) return;
        terminal.notify(
          paint(
            terminal,
            "yellow",
            asInvoked(
              "If the voters did not agree, the roster was forced: see `cicada peers ls`. Make sure that the old voters never come back.",
              terminal.env,
            ),
          ),
        );
      });
    });
}

const actions = [
  {
    action: "confirm",
    description: "confirm that a peer belongs to this mesh, so that `cicada key rotate` gives it the new key",
    done: (name: string) => `${name} is confirmed: it belongs to this mesh`,
  },
  {
    action: "promote",
    description: "make a peer a voter of majority jobs; a majority of the voters must agree",
    done: (name: string) => `${name} is a voter; \`cicada peers ls\` shows when its vote begins`,
  },
  {
    action: "drain",
    description:
      "keep a peer from taking ticks until it is undrained, even after a restart; its runs may finish",
    done: (name: string) => `${name} takes no more ticks`,
  },
  {
    action: "undrain",
    description: "let a drained peer take ticks again",
    done: (name: string) => `${name} takes ticks again`,
  },
  {
    action: "unforget",
    description:
      "take a forgotten peer in again, with its folder as it is; it does not vote until it is promoted. On the machine of a " +
      "peer that its mesh has forgotten: let it carry on, alone if necessary",
    done: (name: string) =>
      `${name} is no longer forgotten: it belongs to the mesh again as soon as they reach each other, and votes when it is ` +
      "promoted (`cicada peers promote`)",
  },
] as const;

/** Does it for one peer after the other. `done` tells a person about each. */
async function act(
  terminal: Terminal,
  options: Options,
  { named, action, body }: { named: readonly string[]; action: string; body: object },
  done: (name: string, answer: Changed) => void,
): Promise<void> {
  const client = openClient(options, terminal);
  const targets = named.length > 1 ? await eachOnce(client, named) : named;
  const answers: Changed[] = [];
  try {
    for (const target of targets) {
      const path = `/v1/peers/${encodeURIComponent(target)}/${action}`;
      const answer = await client.ask<Changed>(path, { method: "POST", body });
      answers.push(answer);
      if (isForPeople(options.output)) done(plain(answer.peer?.name ?? target), answer);
    }
  } finally {
    if (!isForPeople(options.output) && answers.length > 0)
      show(terminal, options.output, named.length === 1 ? answers[0] : answers, () => {});
  }
}

/**
 * A name that is misspelt, or fits several peers, stops the command before anything is done. A peer that is named twice is dealt
 * with once.
 */
async function eachOnce(client: Client, named: readonly string[]): Promise<Iterable<string>> {
  const { items } = await client.ask<PeersAnswer>("/v1/peers");
  const firstNames = new Map<string, string>();
  for (const text of named) {
    const id = idOfPeer(items, text);
    if (!firstNames.has(id)) firstNames.set(id, text);
  }
  return firstNames.values();
}
