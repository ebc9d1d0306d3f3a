/**
 * The way back from an edit that could not be stored: whoever asked for it was told that nothing was changed, so the
 * job is put back as it was. (The document can't forget; it can only be written again.) A peer that was forgotten stays
 * so: it is what the person wants, and will be asked for again.
 */
import type { Job, TableChange } from "../schema/job.ts";

/** The changes that restore the job as it was before `change`; `before` is undefined when there was none. */
export function undo(change: TableChange, before: Job | undefined, makeUlid: () => string): TableChange[] {
  if (change.kind === "forget-peer") return [];
  if (before === undefined) {
    return change.kind === "put" ? [{ kind: "delete", id: change.spec.id, by: change.by }] : [];
  }
  const { id, spec, updatedBy: by, pauses, resumedAt } = before;
  const pauseAgain = pauses.map((pause): TableChange => ({ kind: "pause", id, ulid: makeUlid(), pause }));
  switch (change.kind) {
    case "put":
      return [{ kind: "put", spec, by }];
    case "delete":
      return [{ kind: "put", spec, by }, ...pauseAgain];
    case "pause":
      return [{ kind: "resume", id, at: resumedAt, by }, ...pauseAgain];
    case "resume":
      return pauseAgain;
  }
}
