/** `cicada jobs edit`: changes single fields by flags, or the whole job by hand (edit-by-hand.ts). */
import type { Command } from "commander";
import type { JobAnswer } from "./terminal/answers.ts";
import { openClient, withPeer, type PeerOptions } from "./terminal/client.ts";
import { inTermsOfFlags, jobFromFlags, withJobFlags } from "./terminal/job-flags.ts";
import { describeWritten } from "./terminal/job-words.ts";
import { show, withOutput, type Output } from "./terminal/output.ts";
import { revisionOf } from "./terminal/references.ts";
import { scriptOption, upload, withScript, type ScriptOptions } from "./scripts.ts";
import type { Terminal } from "./terminal/terminal.ts";

type Options = PeerOptions & ScriptOptions & { output: Output };

export function editCommand(jobs: Command, terminal: Terminal): void {
  withJobFlags(withOutput(withPeer(jobs.command("edit"))))
    .description(
      "change a job: with flags, only those fields ('' clears one); without flags, as YAML in $EDITOR",
    )
    .argument("<id>")
    .addOption(scriptOption())
    .action(async (id: string, options: Options) => {
      const client = openClient(options, terminal);
      const script = await upload(client, options);
      const patch = withScript(jobFromFlags({ ...options }, "patch"), script);
      const path = `/v1/jobs/${encodeURIComponent(id)}`;
      if (Object.keys(patch).length === 0) {
        const { editByHand } = await import("./edit-by-hand.ts");
        return editByHand(client, { id, path }, options, terminal);
      }
      try {
        const before = await revisionOf(client, id);
        const job = await client.ask<JobAnswer>(path, { method: "PATCH", body: patch });
        const verb = before === job.revision ? "unchanged" : "changed";
        show(terminal, options.output, job, () => describeWritten(terminal, job, verb));
      } catch (error) {
        throw inTermsOfFlags(error);
      }
    });
}
