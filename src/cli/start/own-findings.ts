/**
 * The peer's view, with what the mesh and the program itself add to it: warnings, counters, and that the peer is alone. A new
 * peer that should join a mesh but has reached no member is not ready, because it has none of the mesh's jobs. A peer that
 * returns keeps the ticks that it knows.
 */
import type { Control } from "../../ports/control.ts";
import { exitWarnings, type BrokenExit } from "./broken-exits.ts";
import type { Failures } from "./failures.ts";
import type { Joining } from "./joining.ts";

interface MeshFindings {
  warnings(): readonly string[];
  counters(): Readonly<Record<string, number>>;
}

export function withOwnFindings(
  control: Control,
  mesh: MeshFindings,
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
        notReady: isUnready ? [...view.notReady, { code: "alone", message: alone }] : view.notReady,
        warnings: [
          ...view.warnings,
          ...mesh.warnings(),
          ...exitWarnings(known.exits),
          ...(isWarning ? [alone] : []),
        ],
        counters: {
          ...view.counters,
          ...mesh.counters(),
          ...known.failures,
          broken_exits: known.exits.length,
        },
      };
    },
  };
}
