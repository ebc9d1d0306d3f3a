/**
 * A job as YAML in $EDITOR. What a person has written is never lost: a text that is refused is opened again, or kept in a file
 * whose path is printed. Read when it is used, because it needs YAML.
 */
import { CicadaError } from "../errors.ts";
import type { JobAnswer } from "./terminal/answers.ts";
import type { Client } from "./terminal/client.ts";
import { Draft } from "./terminal/draft.ts";
import { printFailure } from "./terminal/failures.ts";
import { parseJobs } from "./terminal/job-text.ts";
import { describeWritten, writable } from "./terminal/job-words.ts";
import { show, type Output } from "./terminal/output.ts";
import { invocationOf, quoted } from "./program.ts";
import { fieldPath } from "./pointers.ts";
import { NotAnswered, plain, type Terminal } from "./terminal/terminal.ts";

export async function editByHand(
  client: Client,
  { id, path }: { id: string; path: string },
  options: { output: Output },
  terminal: Terminal,
): Promise<void> {
  const reply = await client.send(path);
  const etag = reply.headers.get("etag");
  // The peer answers with the job as it is (openapi.json).
  const before = JSON.parse(new TextDecoder().decode(reply.bytes)) as Record<string, unknown>;
  const draft = new Draft(id, writable(before), terminal);
  for (;;) {
    if (!draft.open()) {
      if (draft.isEdited) printWhereKept(undefined, id, draft, terminal);
      else draft.remove();
      return terminal.print(`${plain(id)} not changed`);
    }
    try {
      const body = onlyJob(draft);
      const headers = etag === undefined ? {} : { "if-match": etag };
      const job = await client.ask<JobAnswer>(path, { method: "PUT", headers, body });
      draft.remove();
      return show(terminal, options.output, job, () => describeWritten(terminal, job, "changed"));
    } catch (refused) {
      const error = inTermsOfFields(refused);
      if (!(await isOpenedAgain(error, draft, terminal))) {
        printWhereKept(error, id, draft, terminal);
        throw error;
      }
    }
  }
}

function onlyJob(draft: Draft): Record<string, unknown> {
  const [job, ...others] = parseJobs(draft.text(), draft.path);
  if (job !== undefined && others.length === 0) return job.job;
  throw new CicadaError("BAD_FILE", `${draft.path}: it holds several jobs; only one can be edited at a time`);
}

/** Asks the person whether to open the text again, if another text can help. The file then says what was wrong with this one. */
async function isOpenedAgain(error: unknown, draft: Draft, terminal: Terminal): Promise<boolean> {
  const isMistake = error instanceof CicadaError && error.exit === 2;
  const isConflict = error instanceof CicadaError && error.code === "ID_MISMATCH";
  if (terminal.ask === undefined || !(isMistake || isConflict)) return false;
  printFailure(terminal, "refused:", error);
  try {
    const said = await terminal.ask("Open it again? [Y/n] ");
    if (/^n(o)?$/i.test(said.trim())) return false;
  } catch (left) {
    // This counts as a no, so that the person is told where the text is kept.
    if (left instanceof NotAnswered) return false;
    throw left;
  }
  draft.explain(error);
  return true;
}

function printWhereKept(error: unknown, id: string, draft: Draft, terminal: Terminal): void {
  const { program } = invocationOf(terminal.env);
  terminal.notify(`Your text is kept in ${draft.path}.`);
  const send = `${program} jobs create -f ${quoted(draft.path)} --update`;
  if (error instanceof CicadaError && error.code === "REVISION_CONFLICT") {
    terminal.notify(`See what others have changed: ${program} jobs history ${quoted(id)}`);
    terminal.notify(`Copy that into your text, then run: ${send}`);
  } else if (error instanceof CicadaError && error.exit !== 2) terminal.notify(`Later, run: ${send}`);
  else terminal.notify(`Correct it, then run: ${send}`);
}

/** Names fields as they are written in the file. */
function inTermsOfFields(error: unknown): unknown {
  if (!(error instanceof CicadaError) || error.problems.length === 0) return error;
  const problems = error.problems.map(({ pointer, message }) => ({ pointer: fieldPath(pointer), message }));
  return new CicadaError(error.code, error.detail, problems);
}
