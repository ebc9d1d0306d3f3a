/**
 * The peer's view, with what the mesh, the archive and the program itself add to it: warnings, counters, and that the peer is
 * alone. A new peer that should join a mesh but has reached no member is not ready, because it has none of the mesh's jobs. A
 * peer that returns keeps the ticks that it knows.
 */
import type { Control, NotReady } from "../../ports/control.ts";
import { exitWarnings, type BrokenExit } from "./broken-exits.ts";
import type { Failures } from "./failures.ts";
import type { Joining } from "./joining.ts";

/** What a part of the program beside the peer finds: the mesh's port, the archive. */
interface Findings {
  warnings(): readonly string[];
  notReady?(): readonly NotReady[];
  counters(): Readonly<Record<string, number>>;
}

export function withOwnFindings(
  control: Control,
  parts: readonly Findings[],
  known: { failures: Readonly<Failures>; exits: readonly BrokenExit[] },
  whenAlone: "warning" | "not ready",
  joining: Joining,
): Control {
  return {
    ...control,
    view() {
      const view = control.view();
      const alone = joining.alone();
      const isUnready = alone !== undefined && whenAlone === "not ready";
      const isWarning = alone !== undefined && whenAlone === "warning";
      return {
        ...view,
        notReady: [
          ...view.notReady,
          ...parts.flatMap((part) => part.notReady?.() ?? []),
          ...(isUnready ? [{ code: "alone", message: alone } as const] : []),
        ],
        warnings: [
          ...view.warnings,
          ...parts.flatMap((part) => part.warnings()),
          ...exitWarnings(known.exits),
          ...(isWarning ? [alone] : []),
        ],
        counters: {
          ...view.counters,
          ...Object.assign({}, ...parts.map((part) => part.counters())),
          ...known.failures,
          broken_exits: known.exits.length,
        },
      };
    },
  };
}
