/** Keeps rows where they are while a person points at them, has selected their text or is among them with the keyboard. */
import type { RefObject } from "preact";
import { useRef } from "preact/hooks";

/** How long after the last movement rows stay. Unit: ms. */
const heldMs = 4_000;

interface Held<Item> {
  /** for the element that holds the rows */
  ref: RefObject<HTMLDivElement | null>;
  onPointerMove: () => void;
  onPointerLeave: () => void;
  rows: readonly Item[];
}

/** While rows are held, a row that is gone stays as it was, and a new one comes last. */
export function useHeldRows<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
  scope: string,
): Held<Item> {
  const ref = useRef<HTMLDivElement>(null);
  const movedMs = useRef(-Infinity);
  const shown = useRef<{ scope: string; rows: readonly Item[] }>({ scope, rows: [] });
  const isHeld = shown.current.scope === scope && isInUse(ref.current, movedMs.current);
  const rows = isHeld ? inOldOrder(shown.current.rows, items, keyOf) : items;
  shown.current = { scope, rows };
  return {
    ref,
    rows,
    onPointerMove: () => {
      movedMs.current = performance.now();
    },
    onPointerLeave: () => {
      movedMs.current = -Infinity;
    },
  };
}

function isInUse(element: HTMLElement | null, movedMs: number): boolean {
  if (element === null) return false;
  if (performance.now() - movedMs < heldMs) return true;
  const selection = document.getSelection();
  const isSelected = selection !== null && !selection.isCollapsed && element.contains(selection.anchorNode);
  return isSelected || element.contains(document.activeElement);
}

function inOldOrder<Item>(
  old: readonly Item[],
  items: readonly Item[],
  keyOf: (item: Item) => string,
): readonly Item[] {
  const fresh = new Map(items.map((item) => [keyOf(item), item]));
  const rows = old.map((item) => {
    const found = fresh.get(keyOf(item)) ?? item;
    fresh.delete(keyOf(item));
    return found;
  });
  return [...rows, ...fresh.values()];
}
