import type { JSX } from "preact";
import { carryOut, close, receipts, type Receipt } from "../live/receipts.ts";

/** What was done, in a corner, for a while. */
export function Receipts(): JSX.Element {
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
        {text} {link !== undefined && <a href={link.href}>{link.text}</a>}
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
