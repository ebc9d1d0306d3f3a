/** Drafts as the browser's storage has them: a few, none that seems to hold a credential, and none whose form is not known. */

/** A job's fields, as they are written to the API. */
export type Draft = Readonly<Record<string, unknown>>;

/** What a person has written in a form, as it differs from what the form began with. */
export interface Writing {
  /** the job's revision at which its edit began; undefined = a new job */
  revision?: string | undefined;
  fields: Draft;
  /** the names of fields that were taken out */
  removed: readonly string[];
  /** YAML that can't be read yet, and is in none of the fields */
  yaml?: string | undefined;
  /** what the YAML said when it could last be read */
  said?: Draft | undefined;
}

/** What was written over `before` to make it `after`. */
export function writtenOver(before: Draft, after: Draft): Pick<Writing, "fields" | "removed"> {
  const isSame = ([name, value]: [string, unknown]): boolean =>
    JSON.stringify(before[name]) === JSON.stringify(value);
  return {
    fields: Object.fromEntries(Object.entries(after).filter((field) => !isSame(field))),
    removed: Object.keys(before).filter((name) => !Object.hasOwn(after, name)),
  };
}

/** `before` with what was written over it, or over an earlier revision of it. */
export function withWritten(before: Draft, { fields, removed }: Pick<Writing, "fields" | "removed">): Draft {
  const kept = Object.entries(before).filter(([name]) => !removed.includes(name));
  return { ...Object.fromEntries(kept), ...fields };
}

/**
 * What the YAML says, with what was written in the fields since it said `before`. If a field was changed in both, the YAML
 * counts, because it was written last.
 */
export function withBoth(before: Draft, fields: Draft, yaml: Draft): Draft {
  const inYaml = writtenOver(before, yaml);
  const inFields = writtenOver(before, fields);
  const isFree = (name: string): boolean =>
    !Object.hasOwn(inYaml.fields, name) && !inYaml.removed.includes(name);
  return withWritten(yaml, {
    fields: Object.fromEntries(Object.entries(inFields.fields).filter(([name]) => isFree(name))),
    removed: inFields.removed.filter(isFree),
  });
}

/** A browser keeps about 5 million characters for all pages of an address. */
const charactersMax = 500_000;

/** Words that stand beside a credential in a name or a text, and a password in an address. */
const credential =
  /secret|token|passw|pwd|credential|authori[sz]ation|bearer|cookie|private|api.?key|[^a-z]key"?[:=]|:\/\/[^/\s"@]*:[^/\s"@]*@/i;

/** `drafts`: the last one written at the end; where there is too little room, the ones before it are left out. */
export function storableDrafts(drafts: ReadonlyMap<string, Writing>): string {
  const kept: [string, Writing][] = [];
  let left = charactersMax;
  for (const entry of [...drafts].toReversed()) {
    left -= JSON.stringify(entry).length;
    if (left < 0) break;
    if (!seemsSecret(entry[1])) kept.unshift(entry);
  }
  return JSON.stringify(kept);
}

/** A job's `secrets` are names only. */
function seemsSecret({ fields, yaml, said }: Writing): boolean {
  return credential.test(
    JSON.stringify([{ ...fields, secrets: undefined }, yaml, { ...said, secrets: undefined }]),
  );
}

export function storedDrafts(text: string | null): [string, Writing][] {
  try {
    const all = JSON.parse(text ?? "[]") as [string, Writing][];
    return all.filter(
      ([key, { fields, removed }]) =>
        typeof key === "string" && typeof fields === "object" && Array.isArray(removed),
    );
  } catch {
    return [];
  }
}
