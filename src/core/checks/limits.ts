/** The limits of a job's processes: nice, memory, open files and processes, and what a host must be able to enforce. */
import type { ProcessLimits } from "../../ports.ts";
import type { JobSpec, Problem } from "../../schema/job.ts";
import { parseSize, sizeHint } from "../time/units.ts";
import { inside, text, type Fields } from "./fields.ts";

export function limitsOf({ limits }: Pick<JobSpec, "limits">): ProcessLimits | undefined {
  if (limits === undefined || Object.keys(limits).length === 0) return undefined;
  const { memory, ...others } = limits;
  const memoryBytes = memory === undefined ? undefined : parseSize(memory);
  return { ...others, ...(memoryBytes === undefined ? {} : { memoryBytes }) };
}

/** As in members/equipment.ts. The kernel's limit of processes doesn't hold for root, so a root peer's own runs have none. */
export function limitsEquipment({ limits = {}, user = "" }: Pick<JobSpec, "limits" | "user">): string[] {
  const names = Object.keys(limits).map((name) => `limits:${name}`);
  const isBelow0 = limits.nice !== undefined && limits.nice < 0;
  const isOwn = limits.processes !== undefined && user === "";
  return [
    ...names,
    ...(isBelow0 ? ["limits:nice-below-0"] : []),
    ...(isOwn ? ["limits:processes-of-own-user"] : []),
  ];
}

export function limitProblems(given: Fields): Problem[] {
  const memory = text(inside(given, "limits"), "memory");
  if (memory === undefined) return [];
  const bytes = parseSize(memory);
  if (bytes !== undefined && bytes > 0) return [];
  return [{ pointer: "/limits/memory", message: `${JSON.stringify(memory)} is not a size: ${sizeHint}` }];
}
