/**
 * Reads the JSON of a body, a file or an argument exactly as it was written, or refuses it and names the place of the mistake.
 * JSON.parse alone would change it: bytes that are not UTF-8 become U+FFFD, and only the last of two equal keys counts. It
 * would also accept a lone surrogate, on which peers could not agree, and any depth, which is not written again.
 */
import { readUtf8 } from "./text.ts";

/** How deep lists and objects may nest. Nothing that is read here needs ten; what is very deep can't be written again. */
export const jsonDepthCap = 100;
/** How much of a place a refusal quotes: keys have any length. */
const placeCap = 200;

/** `isJson`: the refused text is JSON nevertheless, only of a kind that isn't accepted. */
export type ReadJson =
  | { ok: true; text: string; value: unknown }
  | { ok: false; detail: string; isJson: boolean };

/** The value of the JSON; undefined if there are no bytes. The cost is proportional to their number. */
export function readJson(bytes: Buffer): ReadJson {
  const read = readUtf8(bytes);
  if (!read.ok) return refused(`line ${read.line}, byte ${read.column} is not UTF-8`, false);
  return read.text === "" ? { ok: true, text: "", value: undefined } : readJsonText(read.text);
}

/** The same of a text that is not empty. */
export function readJsonText(text: string): ReadJson {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return refused(error instanceof Error ? error.message : "it can't be read", false);
  }
  const problem = problemIn(text);
  return problem === undefined ? { ok: true, text, value } : refused(problem, true);
}

function refused(detail: string, isJson: boolean): ReadJson {
  return { ok: false, detail, isJson };
}

/** A list or an object that is open at the present place of the text; for an object, its keys so far. */
interface Open {
  readonly keys: Set<string> | undefined;
  /** the key or index of the present value */
  at: string | number;
}

const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{},:]/g;

/** The problem in a text that JSON.parse has accepted, or undefined. */
function problemIn(text: string): string | undefined {
  const open: Open[] = [];
  const place = (): string => {
    const path = `/${open.map(({ at }) => at).join("/")}`;
    return path.length > placeCap ? `${path.slice(0, placeCap)}…` : path;
  };
  let isKey = false;
  for (const [part] of text.matchAll(token)) {
    const inside = open.at(-1);
    if (part.startsWith('"')) {
      const content = String(JSON.parse(part));
      if (isKey && inside?.keys !== undefined) {
        inside.at = content;
        if (content === "__proto__") return `${place()}: no key may be named __proto__`;
        if (inside.keys.has(content)) return `${place()} is given twice`;
        inside.keys.add(content);
      }
      if (!content.isWellFormed())
        return `${place()}: half a surrogate pair (\\ud800 to \\udfff) is not text`;
      isKey = false;
    } else if (part === "{" || part === "[") {
      open.push({ keys: part === "{" ? new Set() : undefined, at: part === "{" ? "" : 0 });
      isKey = part === "{";
      if (open.length > jsonDepthCap)
        return `its lists and objects are nested more than ${jsonDepthCap} deep`;
    } else if (part === "}" || part === "]") {
      open.pop();
    } else if (part === "," && inside !== undefined) {
      isKey = inside.keys !== undefined;
      if (typeof inside.at === "number") inside.at++;
    }
  }
  return undefined;
}
