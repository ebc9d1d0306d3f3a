/** `cicada key rotate`: replaces a leaked cluster key without stopping the mesh. */
import type { Command } from "commander";
import type { RotationAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type PeerOptions } from "./terminal/client.ts";
import { asInvoked } from "./program.ts";
import { show, table, withOutput, type Output } from "./terminal/output.ts";
import { paint, plain, type Terminal } from "./terminal/terminal.ts";

export function keyCommands(program: Command, terminal: Terminal): void {
  const key = program.command("key").description("the cluster key, which admits peers to the mesh");
  withOutput(withPeer(key.command("rotate")))
    .description("make a new cluster key and send it to every member; the old one is accepted for a while")
    .option(
      "--grace <duration>",
      "how long the old key is still accepted, for members that are away; at least 10s",
      "24h",
    )
    .action(async (options: PeerOptions & { output: Output; grace: string }) => {
      const call = { method: "POST", body: { grace: options.grace } } as const;
      const answer = await openClient(options, terminal).ask<RotationAnswer>("/v1/key/rotate", call);
      show(terminal, options.output, answer, () => tell(terminal, answer));
    });
}

function tell(terminal: Terminal, { fingerprint, oldAcceptedUntil, peers }: RotationAnswer): void {
  terminal.print(`new key ${fingerprint}; the old one is accepted until ${oldAcceptedUntil}`);
  const missing = peers.filter(({ has }) => !has);
  if (peers.length > 0) {
    terminal.print("");
    const rows = peers.map(({ id, name, has }) => [
      plain(name),
      has ? "yes" : paint(terminal, "yellow", "no"),
      plain(id),
    ]);
    table(terminal, ["NAME", "HAS IT", "ID"], rows);
  }
  terminal.notify("");
  if (missing.length > 0) {
    terminal.notify(
      asInvoked(
        "A peer that doesn't have the new key gets it from any member if it returns before then. Later it has to rejoin " +
          "with what `cicada peers invite` prints; it keeps its identity.",
        terminal.env,
      ),
    );
  }
  terminal.notify(
    asInvoked(
      "Invitations printed before now hold the old key: print new ones. A peer that joined with a leaked key " +
        "is still a member: look for unknown peers in `cicada peers ls` and remove them with `cicada peers forget`.",
      terminal.env,
    ),
  );
}
