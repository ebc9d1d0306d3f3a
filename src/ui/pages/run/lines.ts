/**
 * The lines of an output, taken in piece by piece. Lines stay as they came; only those that are shown are looked at further, so
 * that 100 MB are taken in as fast as they arrive.
 */
import { hasCodes, readLine, withoutCodes, type Look } from "./ansi.ts";

/** Characters of one line that are shown. A browser can't lay out much longer ones. */
const shownLength = 5_000;

export class Lines {
  readonly #lines: string[] = [];
  /** line → the look with which it begins, where that isn't plain */
  readonly #looks = new Map<number, Look>();
  #look: Look = "";
  /** the end of the text, which has no line break yet */
  #rest = "";
  characters = 0;

  get count(): number {
    return this.#lines.length + (this.#rest === "" ? 0 : 1);
  }

  add(text: string): void {
    this.characters += text.length;
    const pieces = (this.#rest + text).split("\n");
    this.#rest = pieces.pop() ?? "";
    for (const line of pieces) {
      if (this.#look !== "") this.#looks.set(this.#lines.length, this.#look);
      if (hasCodes(line)) this.#look = readLine(line, this.#look).after;
      this.#lines.push(line);
    }
  }

  /** A line as it is shown, in spans. */
  at(index: number): { text: string; look: Look }[] {
    const { spans } = readLine(
      visible(this.#raw(index)),
      this.#looks.get(index) ?? (index === this.#lines.length ? this.#look : ""),
    );
    return spans;
  }

  /** The first line from `from` on, in the direction, that has the text (lower case); undefined = none has. */
  find(wanted: string, from: number, step: 1 | -1): number | undefined {
    const { count } = this;
    for (let looked = 0, at = from; looked < count; looked++, at += step) {
      const index = ((at % count) + count) % count;
      if (withoutCodes(this.#raw(index)).toLowerCase().includes(wanted)) return index;
    }
    return undefined;
  }

  #raw(index: number): string {
    return this.#lines[index] ?? (index === this.#lines.length ? this.#rest : "");
  }
}

/** What a terminal would show of a line: a carriage return begins it anew. */
function visible(line: string): string {
  const whole = line.endsWith("\r") ? line.slice(0, -1) : line;
  const text = whole.slice(whole.lastIndexOf("\r") + 1);
  return text.length <= shownLength
    ? text
    : `${text.slice(0, shownLength)} … (${text.length - shownLength} more characters)`;
}
