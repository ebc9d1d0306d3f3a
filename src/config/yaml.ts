/** The content of a YAML document: a settings file, or jobs that a person wrote. */
import type { Document } from "yaml";
import { CicadaError } from "../errors.ts";

/**
 * Throws BAD_FILE, which says where and why. An alias without an anchor, or one that expands without end, only shows
 * here.
 */
export function contentOf(document: Document.Parsed, where: string): unknown {
  const [broken] = document.errors;
  if (broken !== undefined) throw new CicadaError("BAD_FILE", `${where}: ${firstLine(broken.message)}`);
  try {
    return document.toJS();
  } catch (error) {
    throw new CicadaError("BAD_FILE", `${where}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Without the picture of the place below it, which one line can't show. */
function firstLine(message: string): string {
  return (message.split("\n", 1)[0] ?? message).replace(/:$/, "");
}
