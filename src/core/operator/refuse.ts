/** The answer to a command that is refused. `detail`: what is wrong, and what to do. */
import type { Answer } from "../../ports/command.ts";
import { CicadaError } from "../../errors.ts";
import type { ErrorCode } from "../../errors/table.ts";

export function refuse(code: ErrorCode, detail: string): Answer {
  return { kind: "refused", error: new CicadaError(code, detail) };
}
