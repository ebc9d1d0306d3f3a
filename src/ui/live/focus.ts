/**
 * Keeps a place for the keyboard. When the element with the focus is removed, for example a receipt whose undo was pressed or a
 * row whose job is deleted, the focus moves to the beginning of the view, or into the open dialog.
 */
export function keepFocus(): void {
  let last: EventTarget | null = null;
  addEventListener("focusin", ({ target }) => {
    last = target;
  });
  new MutationObserver(() => {
    if (document.activeElement !== document.body || !(last instanceof Element) || last.isConnected) return;
    last = null;
    const place = document.querySelector<HTMLElement>("dialog[open]") ?? document.getElementById("main");
    place?.focus({ preventScroll: true });
  }).observe(document.body, { childList: true, subtree: true });
}
