/**
 * What applying a set of objects would change: which objects are made, changed, removed, or left as they are, and which of them
 * somebody else has changed since the same source last wrote them. The plan is made without changing anything.
 */
import { hash } from "node:crypto";
import type { Change } from "../../ports/command.ts";
import type { Control } from "../../ports/control.ts";
import { canonicalText } from "../../schema/canonical.ts";
import { checkChannel, withoutSecrets } from "../../schema/channel.ts";
import { isSourceEntry, objectKinds, type ObjectKind } from "../../schema/declared.ts";
import { sameValue } from "../../schema/equal.ts";
import type { JobId } from "../../schema/ids.ts";
import { Present, settingOf, type Declared } from "./objects.ts";

export interface PlanItem {
  kind: ObjectKind;
  name: string;
  action: "create" | "update" | "delete" | "unchanged";
  /** the fields that would differ */
  fields: string[];
  /** what they hold and would hold, without what is hidden; of a removal, all that goes. Null = the field is absent. */
  changes: FieldChange[];
  /** who has changed it, or made it, in words */
  conflict: string | null;
}

interface FieldChange {
  field: string;
  before: unknown;
  after: unknown;
}

export interface Plan {
  items: PlanItem[];
  changes: Change[];
  /** of the items: names them all, so that a person applies what was shown */
  id: string;
}

interface Wanted {
  readonly source: string;
  readonly prune: boolean;
}

type Value = Readonly<Record<string, unknown>>;

export function planOf(objects: readonly Declared[], control: Control, { source, prune }: Wanted): Plan {
  const lastWritten = lastWrittenIn(control);
  const present = new Present(control);
  const items: PlanItem[] = [];
  const changes: Change[] = [];
  const declared = new Set<string>();
  for (const object of objects) {
    const { kind, name, value, at } = object;
    const key = `${kind}/${name}`;
    declared.add(key);
    const before = present.get(kind, name);
    const own = lastWritten.get(source)?.get(key);
    if (before !== undefined && sameValue(before, value)) {
      items.push({ kind, name, action: "unchanged", fields: [], changes: [], conflict: null });
      if (own !== undefined && own !== hashOf(value)) changes.push(entryOf(source, key, value, at));
      continue;
    }
    const action = before === undefined ? "create" : "update";
    const conflict = conflictOf(present, lastWritten, source, { kind, name }, before);
    const fields = changedFields(before ?? {}, value);
    items.push({ kind, name, action, fields, changes: changesOf(kind, fields, before, value), conflict });
    changes.push(changeTo(present, object), entryOf(source, key, value, at));
  }
  if (prune) {
    for (const key of [...(lastWritten.get(source)?.keys() ?? [])].toSorted()) {
      if (declared.has(key)) continue;
      const { kind, name } = splitKey(key);
      const before = present.get(kind, name);
      if (before !== undefined || (kind === "job" && present.isQuarantined(name))) {
        const conflict = conflictOf(present, lastWritten, source, { kind, name }, before);
        const gone = changesOf(kind, Object.keys(before ?? {}).toSorted(), before, undefined);
        items.push({ kind, name, action: "delete", fields: [], changes: gone, conflict });
        changes.push(removalOf(present, kind, name));
      }
      changes.push({ kind: "value", root: "sources", id: `${source}/${key}`, value: null, at: "" });
    }
  }
  return { items, changes, id: hash("sha256", JSON.stringify(items)).slice(0, 16) };
}

/** By source and `KIND/NAME`: the hash of what the source wrote last. */
function lastWrittenIn(control: Control): Map<string, Map<string, string>> {
  const lastWritten = new Map<string, Map<string, string>>();
  for (const [id, entry] of control.values("sources")) {
    const at = id.indexOf("/");
    if (!isSourceEntry(entry)) continue;
    const [source, key] = [id.slice(0, at), id.slice(at + 1)];
    const ofSource = lastWritten.get(source) ?? new Map<string, string>();
    lastWritten.set(source, ofSource.set(key, entry.hash));
  }
  return lastWritten;
}

function splitKey(key: string): { kind: ObjectKind; name: string } {
  const at = key.indexOf("/");
  const kind = objectKinds.find((one) => one === key.slice(0, at)) ?? "job";
  return { kind, name: key.slice(at + 1) };
}

function conflictOf(
  { jobs }: Present,
  lastWritten: ReadonlyMap<string, ReadonlyMap<string, string>>,
  source: string,
  { kind, name }: { kind: ObjectKind; name: string },
  before: Value | undefined,
): string | null {
  const key = `${kind}/${name}`;
  const last = lastWritten.get(source)?.get(key);
  if (last !== undefined && before !== undefined && last !== hashOf(before)) {
    const by = kind === "job" ? jobs.get(name as JobId)?.updatedBy : undefined;
    return `the ${kind} ${name} has been changed since it was last applied${by === undefined ? "" : `, by ${by}`}`;
  }
  if (last !== undefined) return null;
  const other = [...lastWritten].find(([one, ofOther]) => one !== source && ofOther.has(key))?.[0];
  return other === undefined || before === undefined
    ? null
    : `the ${kind} ${name} belongs to the source ${other}`;
}

function changeTo({ jobs }: Present, { kind, name, value, spec, at }: Declared): Change {
  if (kind === "job" && spec !== undefined) {
    return { kind: "job", spec, ifMatch: jobs.get(spec.id)?.revision, at };
  }
  if (kind === "channel" || kind === "job") return { kind: "value", root: "channels", id: name, value, at };
  return { kind: "setting", setting: settingOf[kind], name, value, at };
}

function removalOf({ jobs }: Present, kind: ObjectKind, name: string): Change {
  const at = `/${kind}/${name}`;
  if (kind === "job") {
    const id = name as JobId;
    return { kind: "no-job", id, ifMatch: jobs.get(id)?.revision, at };
  }
  if (kind === "channel") return { kind: "value", root: "channels", id: name, value: null, at };
  return { kind: "setting", setting: settingOf[kind], name, value: null, at };
}

function entryOf(source: string, key: string, value: Value, at: string): Change {
  return { kind: "value", root: "sources", id: `${source}/${key}`, value: { hash: hashOf(value) }, at };
}

function hashOf(value: Value): string {
  return hash("sha256", canonicalText(value) ?? JSON.stringify(value)).slice(0, 16);
}

function changesOf(
  kind: ObjectKind,
  fields: readonly string[],
  before: Value | undefined,
  after: Value | undefined,
): FieldChange[] {
  const [shownBefore, shownAfter] = [shown(kind, before), shown(kind, after)];
  return fields.map((field) => ({
    field,
    before: shownBefore[field] ?? null,
    after: shownAfter[field] ?? null,
  }));
}

/** The value without what is hidden in a channel. A channel that can't be read is not shown. */
function shown(kind: ObjectKind, value: Value | undefined): Value {
  if (kind !== "channel" || value === undefined) return value ?? {};
  const checked = checkChannel(value);
  return checked.ok ? withoutSecrets(checked.channel) : {};
}

function changedFields(before: Value, after: Value): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => !sameValue(before[name], after[name])).toSorted();
}
