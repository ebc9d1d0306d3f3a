/**
 * I14, authority: forged bytes change neither a peer's job table nor its roster, and a record that its writer has not
 * signed reaches no disk. (A crash ends the world, and is reported by the code that runs it.)
 */
import type { Breach, Evidence } from "../world/truth.ts";

export function checkAuthority(evidence: Evidence): Breach[] {
  const changed = (evidence.garbage ?? []).filter(({ before, after }) => before !== after);
  return [
    ...changed.map(({ peer, at, what, before, after }) => {
      const breach = `${peer} accepted garbage (${what}): it held ${before}, and then ${after}`;
      return { rule: "I14" as const, at, what: breach };
    }),
    ...(evidence.forged ?? []).map((what) => ({ rule: "I14" as const, at: evidence.to, what })),
  ];
}
