/** Drafts as the browser's storage has them: a few, none that seems to hold a credential, and none whose form is not known. */
import type { Job } from "./types.ts";

export type Draft = Readonly<Record<string, unknown>>;

export interface Writing {
  draft: Draft;
  /** the job as it was when its edit began; undefined = a new one */
  edits?: Job | undefined;
  /** YAML that can't be read yet, and is no part of the draft */
  yaml?: string | undefined;
}

/** A browser keeps about 5 million characters for all pages of an address. */
const charactersMax = 500_000;

/** In a name or a text, what stands beside a credential; and a password in an address. */
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
function seemsSecret({ draft, edits, yaml }: Writing): boolean {
  const fields = [draft, edits].map((job) => ({ ...job, secrets: undefined }));
  return credential.test(JSON.stringify([fields, yaml]));
}

export function storedDrafts(text: string | null): [string, Writing][] {
  try {
    const all = JSON.parse(text ?? "[]") as [string, Writing][];
    return all.filter(([key, { draft }]) => typeof key === "string" && typeof draft === "object");
  } catch {
    return [];
  }
}
