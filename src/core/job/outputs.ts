/**
 * The outputs of a run: the `KEY=VALUE` lines that its process wrote to the file $CICADA_OUTPUT. They are part of the run's
 * record. What is no such line, or too much, is left out, and a note says so; the run's end doesn't change.
 */
import type { Written } from "../../ports.ts";
import { outputsMaxBytes, type RunRecord } from "../../schema/run.ts";

/** Names of shell variables, and those with `.` and `-` in addition. */
const keyText = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;
/** With more keys than this, the file is slow to read, and outputs are not meant for so much. */
export const outputKeysMax = 1_000;

export function readOutputs(written: Written | undefined): Pick<RunRecord, "outputs" | "notes"> {
  if (written === undefined) return {};
  const notes: string[] = [];
  if (written.fault !== undefined) notes.push(`$CICADA_OUTPUT is not used: ${written.fault}`.slice(0, 256));
  const lines = written.text.split("\n").map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  // The last line may be cut off in the middle.
  if (written.isCut) lines.pop();
  const kept = new Map<string, string>();
  const bad: number[] = [];
  let leftOut = 0;
  let bytes = 2;
  for (const [place, line] of lines.entries()) {
    if (line.trim() === "") continue;
    const [key, value] = keyAndValue(line);
    if (key === undefined || value === undefined) {
      bad.push(place + 1);
      continue;
    }
    const before = kept.get(key);
    const more = bytesOf(key, value) - (before === undefined ? 0 : bytesOf(key, before));
    if (bytes + more > outputsMaxBytes || (before === undefined && kept.size >= outputKeysMax)) {
      leftOut++;
      continue;
    }
    bytes += more;
    kept.set(key, value);
  }
  if (written.isCut || leftOut > 0) notes.push(tooMuch(written.isCut, leftOut));
  if (bad.length > 0) notes.push(badLines(bad));
  return {
    ...(kept.size === 0 ? {} : { outputs: Object.fromEntries(kept) }),
    ...(notes.length === 0 ? {} : { notes }),
  };
}

function keyAndValue(line: string): [key?: string, value?: string] {
  const at = line.indexOf("=");
  const key = line.slice(0, Math.max(0, at));
  // The door writes U+FFFD for bytes that are not UTF-8: another value than the run's.
  const isWhole = !line.includes("\ufffd");
  return isWhole && keyText.test(key) && key !== "__proto__" ? [key, line.slice(at + 1)] : [];
}

/** In the record's JSON, where a control character takes up to six bytes. */
function bytesOf(key: string, value: string): number {
  return Buffer.byteLength(JSON.stringify({ [key]: value }));
}

function tooMuch(isCut: boolean, leftOut: number): string {
  const limits = `outputs can have at most ${outputsMaxBytes / 1_024} KiB and ${outputKeysMax} keys`;
  const lines = leftOut === 1 ? "1 line" : `${leftOut} lines`;
  return isCut
    ? `${limits}: what $CICADA_OUTPUT holds beyond that is left out`
    : `${limits}: ${lines} of $CICADA_OUTPUT left out`;
}

function badLines(bad: readonly number[]): string {
  const [first] = bad;
  const rest = "KEY=VALUE in UTF-8, with a key of letters, digits, _, . and -";
  return bad.length === 1
    ? `line ${first} of $CICADA_OUTPUT is left out: it is not ${rest}`
    : `${bad.length} lines of $CICADA_OUTPUT are left out, the first is line ${first}: they are not ${rest}`;
}
