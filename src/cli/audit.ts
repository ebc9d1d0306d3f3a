/** `cicada audit`: who has changed what at any peer, and who was refused. */
import type { Command } from "commander";
import type { AuditAnswer } from "./terminal/answers.ts";
import { auditActions } from "../schema/audit.ts";
import { openClient, withPeer, type PeerOptions } from "./terminal/client.ts";
import { show, withOutput, type Output } from "./terminal/output.ts";
import { readTime } from "./terminal/references.ts";
import { table } from "./terminal/table.ts";
import { plain, type Terminal } from "./terminal/terminal.ts";
import { utc } from "./terminal/times.ts";

type Options = PeerOptions & {
  output: Output;
  limit: string;
  actor?: string;
  job?: string;
  action?: string;
  from?: string;
  to?: string;
};

export function auditCommand(program: Command, terminal: Terminal): void {
  withOutput(withPeer(program.command("audit")))
    .option("--actor <name>", "only what NAME@PEER did; part of that is enough")
    .option("--job <id>", "only of this job, even if it is deleted")
    .option("--action <action>", `only this action: ${auditActions.join(", ")}`)
    .option("--from <instant>", 'from then on: 2h (ago), 03:00, "yesterday 03:00" or an RFC 3339 instant')
    .option("--to <instant>", "before this")
    .option("-n, --limit <count>", "how many", "50")
    .action(async (options: Options) => {
      const { output, limit, actor, job, action, from, to } = options;
      const client = openClient(options, terminal);
      const query = {
        limit,
        actor,
        job,
        action,
        from: await readTime("--from", from, job, client, terminal),
        to: await readTime("--to", to, job, client, terminal),
      };
      const answer = await client.ask<AuditAnswer>("/v1/audit", { query });
      show(terminal, output, answer, () => {
        if (answer.items.length === 0) return terminal.print("There are no entries.");
        table(
          terminal,
          [
            "WHEN",
            { title: "WHO", min: 10 },
            "ACTION",
            { title: "WHAT", cut: "front", min: 12, isName: true },
            { title: "OUTCOME", min: 12 },
          ],
          answer.items.map(({ at, actor: who, action: did, kind, name, outcome, code }) => [
            utc(Date.parse(at)),
            plain(who),
            plain(did),
            `${kind} ${plain(name)}`,
            code === undefined ? outcome : `${outcome} (${code})`,
          ]),
        );
        const others = answer.peers.filter(({ covered }) => !covered).map((peer) => plain(peer.name));
        if (others.length > 0)
          terminal.notify(
            `The entries of ${others.join(", ")} are missing: each peer keeps its own, and no answer came from there.`,
          );
      });
    });
}
