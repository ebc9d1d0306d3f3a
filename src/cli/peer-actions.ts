/** `cicada peers promote|drain|undrain|forget`: a person's word on one peer, by its name or id. */
import type { Command } from "commander";
import type { PeerAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type PeerOptions } from "./terminal/client.ts";
import { show, withOutput, type Output } from "./terminal/output.ts";
import { paint, plain, type Terminal } from "./terminal/terminal.ts";

interface Changed {
  peer: PeerAnswer | null;
}

type Options = PeerOptions & { output: Output };

export function peerActionCommands(peers: Command, terminal: Terminal): void {
  for (const { action, description, done } of actions) {
    withOutput(withPeer(peers.command(`${action} <peer>`)))
      .description(description)
      .action(async (named: string, options: Options) => {
        const answer = await act(terminal, options, named, action, {});
        show(terminal, options.output, answer, () => terminal.print(done(plain(answer.peer?.name ?? named))));
      });
  }
  withOutput(withPeer(peers.command("forget <peer>")))
    .description("cut a peer off for good: every peer refuses its identity from now on")
    .option(
      "--force",
      "although no majority of the voters agrees; UNSAFE unless they are gone for good: it can run a tick of a majority job twice",
    )
    .action(async (named: string, options: Options & { force?: boolean }) => {
      const force = options.force === true;
      const answer = await act(terminal, options, named, "forget", { force });
      show(terminal, options.output, answer, () => {
        terminal.print(
          `${plain(answer.peer?.name ?? named)} is forgotten: every peer refuses it from now on`,
        );
        if (!force) return;
        terminal.tell(
          paint(
            terminal,
            "yellow",
            "If its voters did not agree, the roster was forced: see `cicada peers ls`. Make sure that the old voters never come back.",
          ),
        );
      });
    });
}

const actions = [
  {
    action: "promote",
    description: "make a peer a voter of majority jobs; a majority of the voters must agree",
    done: (name: string) => `${name} is a voter; \`cicada peers ls\` shows from when on`,
  },
  {
    action: "drain",
    description: "keep ticks from a peer, over restarts too, until it is undrained; its runs may end",
    done: (name: string) => `${name} takes no more ticks`,
  },
  {
    action: "undrain",
    description: "let a drained peer take ticks again",
    done: (name: string) => `${name} takes ticks again`,
  },
] as const;

function act(
  terminal: Terminal,
  options: Options,
  named: string,
  action: string,
  body: object,
): Promise<Changed> {
  const path = `/v1/peers/${encodeURIComponent(named)}/${action}`;
  return openClient(options, terminal).ask<Changed>(path, { method: "POST", body });
}
