/**
 * Jobs that are being written. Whoever comes back to a form, after a link, a new login or a reload, goes on with what they had
 * written. Another person who logs in on the same tab sees none of it, and a logout drops all of this tab.
 *
 * They are kept in this tab only. What seems to hold a credential is kept in memory, and not stored: it doesn't survive a reload.
 */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { me } from "./me.ts";
import { storableDrafts, storedDrafts, type Writing } from "./stored-drafts.ts";
const storageKey = "cicada drafts";
/** How many are kept: those that were written last. */
const draftsMax = 8;

/** by whose it is and the address of its form, the last one written at the end */
const drafts = new Map(storedDrafts(stored()));

function stored(): string | null {
  try {
    return sessionStorage.getItem(storageKey);
  } catch {
    return null; // the browser lets this page store nothing
  }
}

function keyHere(address: string): string | undefined {
  return me.peek() && JSON.stringify([me.peek()?.token, address]);
}

/** What the person who is logged in was writing at this address. */
export function draftHere(): Writing | undefined {
  return drafts.get(keyHere(location.href) ?? "");
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

function store(): void {
  for (const oldest of [...drafts.keys()].slice(0, -draftsMax)) drafts.delete(oldest);
  try {
    sessionStorage.setItem(storageKey, storableDrafts(drafts));
  } catch {
    // The browser has no room for them, so they don't survive a reload.
  }
}

/** Keeps what is written, from the first change on. Returns how to drop it: it is saved, or cancelled. */
export function useDraft({ draft, edits, yaml }: Writing): () => void {
  const [first] = useState({ draft, yaml });
  const [address] = useState(() => location.href);
  const isDropped = useRef(false);
  const owner = me.value?.token;
  useLayoutEffect(() => {
    const key = keyHere(address);
    if (isDropped.current || key === undefined || (draft === first.draft && yaml === first.yaml)) return;
    drafts.delete(key);
    drafts.set(key, { draft, edits, yaml });
    store();
  }, [draft, yaml, owner]);
  return () => {
    isDropped.current = true;
    drafts.delete(keyHere(address) ?? "");
    store();
  };
}
