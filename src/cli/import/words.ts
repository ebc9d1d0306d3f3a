/** Splits a command into words as a shell does, without filling anything in; undefined if a quote is never closed. */
export function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  const pattern = /\s*((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])+)/gsy;
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    end = match.index + match[0].length;
    words.push(
      (match[1] ?? "").replaceAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/gs, (_, double, single, escaped) =>
        double === undefined ? String(single ?? escaped) : String(double).replaceAll(/\\(["\\$`])/g, "$1"),
      ),
    );
  }
  return text.slice(end).trim() === "" ? words : undefined;
}
