/** Logging in and out at the peer that served the page. */
import { signal } from "@preact/signals";
import { ask, isLoggedIn, loginReason } from "./ask.ts";
import { go } from "./address.ts";

export interface Door {
  loggedIn: boolean;
  /** the peer's name */
  name: string;
  /** how to call its command line */
  program: string;
  tokenFile?: string;
}

export const door = signal<Door | undefined>(undefined);
const againMs = 2_000;

export async function knock(): Promise<void> {
  try {
    const { body } = await ask<Door>("/login");
    door.value = body;
    isLoggedIn.value = body.loggedIn;
    if (body.loggedIn) comeBack();
  } catch {
    setTimeout(() => void knock(), againMs);
  }
}

export async function logIn(token: string): Promise<void> {
  await ask("/login", { method: "POST", body: { token } });
  loginReason.value = "";
  isLoggedIn.value = true;
  comeBack();
}

export async function logOut(): Promise<void> {
  await ask("/logout", { method: "POST" });
  isLoggedIn.value = false;
}

/** The documentation sends people here to log in, and says with `back` where they came from. */
function comeBack(): void {
  const back = new URLSearchParams(location.search).get("back");
  if (back === null) return;
  const url = URL.parse(back, location.href);
  // Only to a page of this peer, never to another site.
  if (url?.origin !== location.origin) return go("/", "replace");
  if (url.pathname.startsWith("/docs")) location.replace(url);
  else go(url.href, "replace");
}
