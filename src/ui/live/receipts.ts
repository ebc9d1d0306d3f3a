/** The page's answer to what a person has done: a receipt with a link or an undo, or why it was refused. */
import { effect, signal } from "@preact/signals";
import { sentence } from "../words.ts";
import { isLoggedIn, Refused } from "./ask.ts";

export interface Receipt {
  id: number;
  tone: "done" | "refused";
  text: string;
  hint?: string;
  link?: { href: string; text: string };
  undo?: () => Promise<void>;
}

export const receipts = signal<readonly Receipt[]>([]);
let count = 0;
/** How long a receipt stays. Unit: ms. One with an undo stays longer; a refusal stays until it is closed. */
const shownMs = 8_000;
const undoMs = 20_000;
const atOnce = 4;

// The next login may be that of another person.
effect(() => {
  if (isLoggedIn.value === false) receipts.value = [];
});

export function addReceipt(receipt: Omit<Receipt, "id">): void {
  const id = count++;
  receipts.value = [...receipts.value.slice(1 - atOnce), { ...receipt, id }];
  if (receipt.tone === "done") setTimeout(() => close(id), receipt.undo === undefined ? shownMs : undoMs);
}

export function close(id: number): void {
  receipts.value = receipts.value.filter((one) => one.id !== id);
}

/** Says why something could not be done. */
export function addRefusal(error: unknown): void {
  if (error instanceof Refused) {
    const [first] = error.problems;
    const text = first === undefined ? error.message : `${first.pointer} ${first.message}`.trim();
    addReceipt({ tone: "refused", text: sentence(text), ...(error.hint === "" ? {} : { hint: error.hint }) });
  } else addReceipt({ tone: "refused", text: error instanceof Error ? error.message : String(error) });
}

/** Carries something out and gives a receipt; a refusal becomes a receipt, too. Resolves to whether it was done. */
export async function carryOut(act: () => Promise<Omit<Receipt, "id" | "tone">>): Promise<boolean> {
  try {
    addReceipt({ tone: "done", ...(await act()) });
    return true;
  } catch (error) {
    addRefusal(error);
    return false;
  }
}
