/** Who is logged in, and what that token may do, so that the page offers nothing that would be refused. */
import { effect, signal } from "@preact/signals";
import { isLoggedIn } from "./ask.ts";
import { watch } from "./watch.ts";

const roles = ["metrics", "viewer", "operator", "editor", "admin"] as const;
type Role = (typeof roles)[number];

interface Me {
  name: string;
  /** its id */
  token: string;
  role: Role;
  /** null = all */
  groups: string[] | null;
}

export const me = signal<Me | undefined>(undefined);

/** Whether the token has at least this role. While that isn't known, nothing is hidden: the API decides in any case. */
export function may(role: Role): boolean {
  return me.value === undefined || roles.indexOf(me.value.role) >= roles.indexOf(role);
}

/** … and is not limited to groups. */
export function mayEverywhere(role: Role): boolean {
  return may(role) && (me.value === undefined || me.value.groups === null);
}

export function followMe(): void {
  effect(() => {
    me.value = undefined;
    if (isLoggedIn.value !== true) return undefined;
    let before = "";
    const watching = watch<Me>("/v1/me", { pollMs: 60_000 }, ({ body, text }) => {
      // Somebody else has logged in on another tab, so nothing that this tab shows is theirs.
      if (body.token !== (me.peek() ?? body).token) location.reload();
      else if (text !== before) me.value = body;
      before = text;
    });
    return () => watching.stop();
  });
}
