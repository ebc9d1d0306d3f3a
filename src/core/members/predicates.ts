/** Says the same of one peer or of several: "ada is drained", "ada, bob and carol are drained". */
import { listSome } from "../../schema/listed.ts";

export interface Predicate {
  one: string;
  many: string;
}

/** A peer's shown name, and what is to be said of it. */
export interface Said extends Predicate {
  name: string;
}

/** How many peers and how many different things are named in one sentence. */
const shownMax = 5;

export const has = (rest: string): Predicate => ({ one: `has ${rest}`, many: `have ${rest}` });
export const is = (rest: string): Predicate => ({ one: `is ${rest}`, many: `are ${rest}` });
export const doesnt = (rest: string): Predicate => ({ one: `doesn't ${rest}`, many: `don't ${rest}` });
export const runs = (rest: string): Predicate => ({ one: `runs ${rest}`, many: `run ${rest}` });
export const cant = (rest: string): Predicate => ({ one: `can't ${rest}`, many: `can't ${rest}` });

export function both(predicates: readonly Predicate[]): Predicate {
  return {
    one: predicates.map(({ one }) => one).join(", and "),
    many: predicates.map(({ many }) => many).join(", and "),
  };
}

/** What is said of several peers is said once. */
export function formatSaid(all: readonly Said[]): string {
  const groups = [...Map.groupBy(all, ({ one }) => one).values()];
  const clauses = groups.slice(0, shownMax).map((said) => {
    const [{ name, one, many } = { name: "", one: "", many: "" }] = said;
    if (said.length === 1) return `${name} ${one}`;
    const names = said.map((peer) => peer.name);
    return `${listSome(names, shownMax)} ${many}`;
  });
  const left = groups.slice(shownMax).flat().length;
  // Names are separated by commas.
  const separator = groups.length < all.length ? "; " : ", ";
  return clauses.join(separator) + (left > 0 ? `${separator}and ${left} more` : "");
}
