/**
 * What a peer shows on a terminal: when it is ready, all that the first five minutes need; then one line per run.
 */
import { paint, plain, type Terminal } from "./terminal.ts";

export interface Introduction {
  name: string;
  peerId: string;
  http: string;
  /** The address that is good on this machine only, or undefined when others can reach the peer too. */
  loopbackOnly: boolean;
  tokenFile: string;
  join: string;
  /** Members that are there already, this peer among them. */
  members: number;
  /** How `cicada` is called here. */
  program: string;
  /** The data folder, when it is not the default one. */
  data: string | undefined;
}

export function introduce(terminal: Terminal, peer: Introduction): void {
  const { name, peerId, http, tokenFile, join, program } = peer;
  const label = (text: string) => paint(terminal, "dim", text.padEnd(10));
  const data = peer.data === undefined ? "" : ` --data ${quoted(peer.data)}`;
  terminal.print("");
  terminal.print(
    `${label("peer")}${paint(terminal, "bold", plain(name))}  ${paint(terminal, "dim", peerId)}`,
  );
  terminal.print(`${label("page")}${paint(terminal, "cyan", `${http}/`)}`);
  terminal.print(`${label("API")}${http}/v1  ${paint(terminal, "dim", `described at ${http}/docs`)}`);
  terminal.print(`${label("token")}in ${tokenFile}`);
  terminal.print("");
  const reach = peer.loopbackOnly ? "on this machine (it listens on loopback only)" : "on any machine";
  terminal.print(`A second peer, ${reach}, joins with this line. It holds the key: keep it secret.`);
  terminal.print(paint(terminal, "cyan", `  ${program} start --join ${join}`));
  if (peer.loopbackOnly) {
    terminal.print(
      paint(terminal, "dim", "  (add --data, --http and --listen of its own, as both are on one machine)"),
    );
  }
  terminal.print("Make a job, from another terminal:");
  terminal.print(
    paint(
      terminal,
      "cyan",
      `  ${program} jobs create hello --schedule '@every 10s' --command 'echo hello from $CICADA_PEER_NAME'${data}`,
    ),
  );
  terminal.print("");
  terminal.print(
    paint(terminal, "dim", "Ctrl-C stops this peer; the others go on without it. Runs on this peer:"),
  );
}

/** A word for a POSIX shell. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
