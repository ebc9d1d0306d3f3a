/**
 * `cicada key rotate`: replaces a leaked cluster key without stopping the mesh.
 *
 * Peers that joined with the leaked key are members, and members get the new key. So the command first shows the members, leaves
 * out and forgets those that `--without` names, and goes on only when a person has confirmed each of the others, or says yes
 * here. The peer itself enforces this; the command only makes it easy.
 */
import type { Command } from "commander";
import { CicadaError } from "../errors.ts";
import type { HeirAnswer, HeirsAnswer, PeersAnswer, RotationAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type Client, type PeerOptions } from "./terminal/client.ts";
import { asInvoked } from "./program.ts";
import { joinText } from "./peers.ts";
import { isForPeople, show, withOutput, type Output } from "./terminal/output.ts";
import { idOfPeer } from "./terminal/references.ts";
import { table } from "./terminal/table.ts";
import { paint, plain, askYesNo, type Terminal } from "./terminal/terminal.ts";

type Options = PeerOptions & { output: Output; grace?: string; without: string[]; yes?: true };

export function keyCommands(program: Command, terminal: Terminal): void {
  const key = program.command("key");
  withOutput(withPeer(key.command("rotate")))
    .description(
      "show which members would get a new cluster key, then make it and send it to them; the old one is accepted for a while",
    )
    .option(
      "--without <peer>",
      "leave this peer out, an intruder for instance, and forget it; repeatable",
      (named: string, before: string[]) => [...before, named],
      [],
    )
    .option("--yes", "also give it to members that no person has confirmed or that joined in the last 24 h")
    .option(
      "--grace <duration>",
      "how long the old key is still accepted, for members that are away; at least 10s (default: 24h, or 1m with --without)",
    )
    .action((options: Options) => rotate(options, terminal));
}

async function rotate(options: Options, terminal: Terminal): Promise<void> {
  const { grace, without, output } = options;
  const client = openClient(options, terminal);
  const { peers } = await client.ask<HeirsAnswer>("/v1/key");
  const leftOut = await leftOutOf(peers, without, client);
  if (isForPeople(output)) showHeirs(terminal, peers, leftOut);
  const doubted = peers.filter(({ id, doubt }) => doubt !== null && !leftOut.has(id));
  const accept = (await isAccepted(doubted, options, terminal)) ? doubted.map(({ id }) => id) : [];
  const body = {
    ...(grace === undefined ? {} : { grace }),
    ...(without.length === 0 ? {} : { without }),
    ...(accept.length === 0 ? {} : { accept }),
  };
  const call = { method: "POST", body } as const;
  const answer = await client.ask<RotationAnswer>("/v1/key/rotate", call);
  show(terminal, output, answer, () => showRotation(terminal, answer));
}

/** A name that fits no peer stops the command before anything is shown or asked. Forgotten peers may be named, too. */
async function leftOutOf(
  heirs: readonly HeirAnswer[],
  without: readonly string[],
  client: Client,
): Promise<ReadonlySet<string>> {
  if (without.length === 0) return new Set();
  const { items } = await client.ask<PeersAnswer>("/v1/peers");
  const ofHeirs = new Set(heirs.map(({ id }) => id));
  const known = [...heirs, ...items.filter(({ id }) => !ofHeirs.has(id))];
  return new Set(without.map((named) => idOfPeer(known, named)));
}

/** Without an answer here the peer refuses, and its refusal names those that are doubted. */
async function isAccepted(
  doubted: readonly HeirAnswer[],
  { yes }: Options,
  terminal: Terminal,
): Promise<boolean> {
  if (doubted.length === 0 || yes === true) return true;
  if (terminal.ask === undefined) return false;
  const names = doubted.map(({ name }) => plain(name)).join(", ");
  if (await askYesNo(terminal.ask, `Do ${names} belong to this mesh, and should they get the new key?`))
    return true;
  throw new CicadaError(
    "UNCONFIRMED_PEERS",
    "the question was not answered with yes",
    doubted.map(({ id, name, doubt }) => ({ pointer: "", message: `${name} (${id}): ${doubt ?? ""}` })),
  );
}

const nameColumn = { title: "NAME", cut: "front", min: 16, isName: true } as const;
const idColumn = { title: "ID", cut: "front", min: 9 } as const;

function showHeirs(terminal: Terminal, peers: readonly HeirAnswer[], leftOut: ReadonlySet<string>): void {
  if (peers.length === 0) return;
  terminal.print("These members get the new key:");
  const rows = peers.map((peer) => [
    plain(peer.name),
    peer.state,
    joinText(terminal, peer),
    leftOut.has(peer.id) ? "no: left out and forgotten" : heirText(terminal, peer),
    plain(peer.id),
  ]);
  const columns = ["STATE", { title: "JOINED", min: 10, spare: 1 }, { title: "GETS IT", min: 24 }];
  table(terminal, [nameColumn, ...columns, idColumn], rows);
  terminal.print("");
}

function heirText(terminal: Terminal, { doubt }: HeirAnswer): string {
  return doubt === null ? "yes" : paint(terminal, "yellow", `only if you agree: ${doubt}`);
}

function showRotation(terminal: Terminal, { fingerprint, oldAcceptedUntil, peers }: RotationAnswer): void {
  terminal.print(`new key ${fingerprint}; the old one is accepted from members until ${oldAcceptedUntil}`);
  const missing = peers.filter(({ has }) => !has);
  if (peers.length > 0) {
    terminal.print("");
    const rows = peers.map(({ id, name, has }) => [
      plain(name),
      has ? "yes" : paint(terminal, "yellow", "no"),
      plain(id),
    ]);
    table(terminal, [nameColumn, "HAS IT", idColumn], rows);
  }
  terminal.notify("");
  const advise = (text: string) => terminal.notify(asInvoked(text, terminal.env));
  if (missing.length > 0) {
    advise(
      "A peer that doesn't have the new key gets it from any member if it returns before then. After that it has to rejoin " +
        "with what `cicada peers invite` prints; it keeps its identity.",
    );
  }
  if (peers.length > 0) {
    advise(
      "If there is a peer in this list that you don't know, it has the new key: rotate again, with --without NAME. Forgetting it " +
        "now is not enough.",
    );
  }
  advise("Invitations printed before now hold the old key: print new ones.");
}
