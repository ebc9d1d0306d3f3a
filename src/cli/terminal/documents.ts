/** Objects from YAML or JSON files, with the place of each: a file may have several documents, and a document a list. */
import { parseAllDocuments } from "yaml";
import { contentOf } from "../../config/yaml.ts";
import { CicadaError } from "../../errors.ts";
import { readJsonText } from "../../schema/json.ts";
import { readTextFile } from "./text-file.ts";

export interface WrittenObject {
  value: Record<string, unknown>;
  /** `mesh.yaml, document 2` */
  where: string;
}

/** `-` reads standard input. Empty documents are passed over. */
export function readDocuments(path: string): WrittenObject[] {
  const source = path === "-" ? "standard input" : path;
  const text = readTextFile(path);
  const lines = jsonLines(text, source);
  if (lines !== undefined) return lines;
  const documents = parseAllDocuments(text, { logLevel: "error" });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document, index) => {
    const where = documents.length === 1 ? source : `${source}, document ${index + 1}`;
    const content: unknown = contentOf(document, where);
    return content === null ? [] : objectsIn(content, where);
  });
}

/** Objects in JSON, one a line, which are no YAML; undefined if the text is anything else. */
function jsonLines(text: string, source: string): WrittenObject[] | undefined {
  const lines = text.split("\n").flatMap((line, index) => (line.trim() === "" ? [] : [{ line, index }]));
  if (lines.length < 2 || !lines.every(({ line }) => line.startsWith("{"))) return undefined;
  const objects: WrittenObject[] = [];
  let fault: string | undefined;
  for (const { line, index } of lines) {
    const where = `${source}, line ${index + 1}`;
    const read = readJsonText(line);
    if (read.ok) objects.push(...objectsIn(read.value, where));
    else if (read.isJson) fault ??= `${where}: ${read.detail}`;
    else return undefined;
  }
  if (fault !== undefined) throw new CicadaError("BAD_FILE", fault);
  return objects;
}

/** An object, a list of objects, or what a command prints as a list. */
function objectsIn(content: unknown, where: string): WrittenObject[] {
  if (Array.isArray(content))
    return content.flatMap((one, index) => objectsIn(one, `${where}, item ${index + 1}`));
  if (!isObject(content))
    throw new CicadaError("BAD_FILE", `${where}: expected an object, with one field per line`);
  const { items } = content;
  return Array.isArray(items) && !("id" in content) ? objectsIn(items, where) : [{ value: content, where }];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
