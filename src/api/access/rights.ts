/**
 * Says which right each call needs, and whether a caller has it. Every route names its right (`config.right`). A route that names
 * none can't be registered, and then the program doesn't start. Commands to the peer are judged once more, each by itself
 * (judge.ts).
 */
import { CicadaError } from "../../errors.ts";
import { isAtLeast, type Role } from "../../schema/access.ts";
import type { Caller } from "./callers.ts";

export interface Right {
  readonly role: Role;
  /** `own`: within the groups of the caller; `all`: only for a caller that is not limited to groups */
  readonly groups: "own" | "all";
}

/** `everyone`: no token is needed. `any-token`: whatever its role. */
export type RouteRight = "everyone" | "any-token" | Right;

declare module "fastify" {
  interface FastifyContextConfig {
    /** A function decides for each request. */
    right?: RouteRight | ((request: FastifyRequest) => RouteRight);
  }
}

export function own(role: Role): Right {
  return { role, groups: "own" };
}

export function all(role: Role): Right {
  return { role, groups: "all" };
}

/** Why the caller doesn't have that right; undefined = it has it. */
export function refusalFor(caller: Caller, needed: Right): CicadaError | undefined {
  const isLimited = needed.groups === "all" && caller.groups !== undefined;
  if (isAtLeast(caller.role, needed.role) && !isLimited) return undefined;
  return forbidden(
    caller,
    `the role ${needed.role}${needed.groups === "all" ? ", not limited to groups" : ""}`,
  );
}

/** `needed` completes "this needs …". */
export function forbidden(caller: Caller, needed: string): CicadaError {
  const within = caller.groups === undefined ? "" : ` in ${caller.groups.join(", ")}`;
  return new CicadaError("FORBIDDEN", `this needs ${needed}; ${caller.name} is ${caller.role}${within}`);
}

export function hasGroup({ groups }: Caller, group: string): boolean {
  return groups === undefined || groups.includes(group);
}
