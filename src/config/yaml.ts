/** The content of a YAML document: a settings file, or jobs that a person wrote. */
import type { Document } from "yaml";
import { CicadaError } from "../errors.ts";

/** How deep the content may nest. Nothing that a person writes needs ten; more can't be sent on as JSON. */
const depthCap = 100;

/**
 * Throws BAD_FILE, which says where and why. An alias without an anchor, or one that expands without end, only shows here. What
 * the library would pass over with a warning is refused too: a tag that it doesn't know (`!include FILE`) would leave the text
 * behind it as the value.
 */
export function contentOf(document: Document.Parsed, where: string): unknown {
  const [broken] = [...document.errors, ...document.warnings];
  if (broken !== undefined) throw new CicadaError("BAD_FILE", `${where}: ${firstLine(broken.message)}`);
  let content: unknown;
  try {
    content = document.toJS();
  } catch (error) {
    throw new CicadaError("BAD_FILE", `${where}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (isTooDeep(content, depthCap)) {
    throw new CicadaError(
      "BAD_FILE",
      `${where}: its lists and mappings are nested more than ${depthCap} deep, or it contains itself`,
    );
  }
  return content;
}

/** A value that contains itself by an alias has no end, so it is too deep. */
function isTooDeep(content: unknown, levels: number): boolean {
  if (typeof content !== "object" || content === null) return false;
  return levels === 0 || Object.values(content).some((value) => isTooDeep(value, levels - 1));
}

/** Leaves out the drawing of the place in the text, which needs several lines. */
function firstLine(message: string): string {
  return (message.split("\n", 1)[0] ?? message).replace(/:$/, "");
}
