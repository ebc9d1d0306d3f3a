/** Logging in and out at the peer that served the page. */
import { signal } from "@preact/signals";
import { ask, isLoggedIn, loginReason } from "./ask.ts";
import { go } from "./address.ts";
import { dropDrafts } from "./drafts.ts";

export interface LoginInfo {
  loggedIn: boolean;
  /** the peer's name */
  name: string;
  /** how to call its command line */
  program: string;
  tokenFile?: string;
}

export const loginInfo = signal<LoginInfo | undefined>(undefined);
const againMs = 2_000;

export async function readLogin(): Promise<void> {
  try {
    const { body } = await ask<LoginInfo>("/login");
    loginInfo.value = body;
    isLoggedIn.value = body.loggedIn;
    if (body.loggedIn) goBack();
  } catch {
    setTimeout(() => void readLogin(), againMs);
  }
}

export async function logIn(token: string): Promise<void> {
  await ask("/login", { method: "POST", body: { token } });
  isLoggedIn.value = true;
  loginReason.value = "";
  goBack();
}

export async function logOut(): Promise<void> {
  await ask("/logout", { method: "POST" });
  dropDrafts();
  isLoggedIn.value = false;
}

/** The documentation sends people here to log in, and says with `back` where they came from. */
function goBack(): void {
  const back = new URLSearchParams(location.search).get("back");
  if (back === null) return;
  const url = URL.parse(back, location.href);
  // Only to a page of this peer, never to another site.
  if (url?.origin !== location.origin) return go("/", "replace");
  if (url.pathname.startsWith("/docs")) location.replace(url);
  else go(url.href, "replace");
}
