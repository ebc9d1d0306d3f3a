/** Jobs as text: YAML or JSON files with one or several jobs. */
import { isCollection, parseAllDocuments } from "yaml";
import { contentOf } from "../../config/yaml.ts";
import { CicadaError } from "../../errors.ts";
import { readTextFile } from "./text-file.ts";

/** One job as it was written, and where it was found: `jobs.yaml, document 2`. */
export interface WrittenJob {
  job: Record<string, unknown>;
  where: string;
}

/** All jobs of a file; `-` reads standard input. A file may hold several documents, each a job or a list of jobs. */
export function readJobs(path: string): WrittenJob[] {
  return parseJobs(readTextFile(path), path === "-" ? "standard input" : path);
}

export function parseJobs(text: string, source: string): WrittenJob[] {
  const documents = parseAllDocuments(text, { logLevel: "error" });
  const found: WrittenJob[] = [];
  if (!Array.isArray(documents)) return refuseEmpty(source);
  for (const [index, document] of documents.entries()) {
    const where = documents.length === 1 ? source : `${source}, document ${index + 1}`;
    const content = contentOf(document, where);
    if (!isCollection(document.contents)) {
      if (content === null && documents.length > 1) continue;
      throw new CicadaError("BAD_FILE", `${where}: expected a job, with one field per line`);
    }
    found.push(...jobsOf(content, where));
  }
  return found.length === 0 ? refuseEmpty(source) : found;
}

/** A job, a list of jobs, or what `jobs ls -o yaml` prints. */
function jobsOf(content: unknown, where: string): WrittenJob[] {
  if (isRecord(content) && Array.isArray(content["items"]) && !("id" in content)) {
    return jobsOf(content["items"], where);
  }
  if (!Array.isArray(content)) return [{ job: asRecord(content, where), where }];
  return content.map((job: unknown, index) => {
    const place = `${where}, item ${index + 1}`;
    return { job: asRecord(job, place), where: place };
  });
}

function refuseEmpty(source: string): never {
  throw new CicadaError("BAD_FILE", `${source}: it contains no job`);
}

function asRecord(value: unknown, where: string): Record<string, unknown> {
  if (isRecord(value)) return withoutKind(value, where);
  throw new CicadaError("BAD_FILE", `${where}: expected a job, with one field per line`);
}

/** An export says that a job is one. */
function withoutKind({ kind, ...fields }: Record<string, unknown>, where: string): Record<string, unknown> {
  if (kind === undefined || kind === "job") return fields;
  throw new CicadaError(
    "BAD_FILE",
    `${where}: it is a ${JSON.stringify(kind)}, not a job: use \`cicada apply -f\``,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
