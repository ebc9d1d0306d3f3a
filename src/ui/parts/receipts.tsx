import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { isForHere } from "../live/address.ts";
import { carryOut, close, receipts, type Receipt } from "../live/receipts.ts";

/** A modal dialog is open: nothing outside of it can be read or clicked. */
export const isDialogOpen = signal(false);

/** Shows in a corner, for a while, what was done. `inDialog`: these are inside a dialog, which shows them while it is open. */
export function Receipts({ inDialog = false }: { inDialog?: boolean }): JSX.Element | null {
  if (isDialogOpen.value !== inDialog) return null;
  return (
    <div class="receipts" aria-live="polite" role="status">
      {receipts.value.map((receipt) => (
        <OneReceipt key={receipt.id} receipt={receipt} />
      ))}
    </div>
  );
}

function OneReceipt({ receipt: { id, tone, text, hint, link, undo } }: { receipt: Receipt }): JSX.Element {
  const takeBack = async (): Promise<void> => {
    close(id);
    await carryOut(async () => {
      await undo?.();
      return { text: "Undone." };
    });
  };
  return (
    <div class={`receipt ${tone}`}>
      <p>
        {text}{" "}
        {link !== undefined && (
          <a href={link.href} onClick={(event) => isForHere(event) && close(id)}>
            {link.text}
          </a>
        )}
        {hint !== undefined && <small>{hint}</small>}
      </p>
      {undo !== undefined && (
        <button class="plain" onClick={() => void takeBack()}>
          Undo
        </button>
      )}
      <button class="plain" aria-label="Close this message" onClick={() => close(id)}>
        ✕
      </button>
    </div>
  );
}
