/** What an edit changed, field by field, from the revision before it and the one that it made. */
import { Type, type Static } from "typebox";
import { sameValue } from "../../schema/equal.ts";
import { pointerTo } from "../../schema/pointer.ts";
import type { JobRevision } from "../../schema/revision.ts";
import { Instant, orNull, showInstant } from "./show-run.ts";

const changes = ["created", "edited", "paused", "resumed", "deleted"] as const;

export const RevisionSchema = Type.Object({
  revision: Type.String({ description: "what POST …/revert takes" }),
  at: Instant,
  by: orNull(
    Type.String({ description: "null for a deletion on another peer whose audit can't be read now" }),
  ),
  change: orNull(Type.Enum(changes, { description: "null: what the job was before is no longer kept" })),
  fields: Type.Array(
    Type.Object({
      pointer: Type.String(),
      before: Type.Unknown({ description: "null if the field was not given" }),
      after: Type.Unknown({ description: "null if the field is not given" }),
    }),
    { description: "the fields that an edit changed" },
  ),
});
export type ShownRevision = Static<typeof RevisionSchema>;
type ShownField = ShownRevision["fields"][number];

/** `before` is undefined if none is kept. */
export function showRevision(revision: JobRevision, before: JobRevision | undefined): ShownRevision {
  const change = changeOf(revision, before);
  const isEdit = change === "edited" && before !== undefined;
  return {
    revision: revision.revision,
    at: showInstant(revision.at),
    by: revision.by ?? null,
    change,
    fields: isEdit ? changedFields(before.spec ?? {}, revision.spec ?? {}) : [],
  };
}

function changeOf(revision: JobRevision, before: JobRevision | undefined): ShownRevision["change"] {
  if (revision.spec === undefined) return "deleted";
  if (before === undefined) return revision.at === revision.createdAt ? "created" : null;
  if (before.spec === undefined) return "created";
  if (!sameValue(before.spec, revision.spec)) return "edited";
  if (revision.pauses > before.pauses) return "paused";
  return revision.pauses < before.pauses ? "resumed" : "edited";
}

type Fields = Readonly<Record<string, unknown>>;

/** Members of an object are compared one by one: they are what people edit. */
function changedFields(before: Fields, after: Fields, path: readonly string[] = []): ShownField[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) => {
    const [old, now] = [before[name], after[name]];
    if (sameValue(old, now)) return [];
    const at = [...path, name];
    if (isObject(old) && isObject(now)) return changedFields(old, now, at);
    return [{ pointer: pointerTo(...at), before: old ?? null, after: now ?? null }];
  });
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
