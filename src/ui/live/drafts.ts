/**
 * Jobs that are being written. A person who comes back to a form, after a link, a new login or a reload, continues with what they
 * had written. Another person who logs in on the same tab sees none of it, and a logout drops all of this tab.
 *
 * They are kept in this tab only. A draft that seems to hold a credential is kept in memory alone, so it doesn't survive a
 * reload.
 */
import { me } from "./me.ts";
import { storableDrafts, storedDrafts, type Writing } from "./stored-drafts.ts";
const storageKey = "cicada drafts";
/** How many are kept: those that were written last. */
const draftsMax = 8;

/** by person and form, the last one written at the end */
const drafts = new Map(storedDrafts(stored()));

function stored(): string | null {
  try {
    return sessionStorage.getItem(storageKey);
  } catch {
    return null; // the browser lets this page store nothing
  }
}

function keyOf(form: string): string | undefined {
  return me.peek() && JSON.stringify([me.peek()?.token, form]);
}

/** What the person who is logged in was writing in this form. */
export function draftOf(form: string): Writing | undefined {
  return drafts.get(keyOf(form) ?? "");
}

/** Keeps what is written in this form; undefined: it is saved, cancelled or as it was at first. */
export function keepDraft(form: string, writing: Writing | undefined): void {
  const key = keyOf(form);
  if (key === undefined) return;
  drafts.delete(key);
  if (writing !== undefined) drafts.set(key, writing);
  for (const oldest of [...drafts.keys()].slice(0, -draftsMax)) drafts.delete(oldest);
  try {
    sessionStorage.setItem(storageKey, storableDrafts(drafts));
  } catch {
    // The browser has no room for them, so they don't survive a reload.
  }
}

/** For a logout. */
export function dropDrafts(): void {
  drafts.clear();
  try {
    sessionStorage.removeItem(storageKey);
  } catch {
    // The browser lets this page store nothing.
  }
}
