/** Reads the beginning of an answer to `fetch`, and says why there is none. */

/**
 * Says why a `fetch` failed, for people: the error itself only says "fetch failed", and its cause says why. `limitMs`: how long
 * the answer was waited for.
 */
export function describeFetchFailure(error: unknown, limitMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer within ${limitMs / 1_000} s`;
  const { cause } = error;
  return cause instanceof Error && cause.message !== "" ? cause.message : error.message;
}

/**
 * The beginning of an answer, as text: at least `chars` UTF-16 units of it, or all of a shorter one. The rest is not read,
 * because a service may answer without an end. Throws what reading the body throws.
 */
export async function readSome({ body }: Response, chars: number): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of body ?? []) {
    text += decoder.decode(piece, { stream: true });
    if (text.length >= chars) break;
  }
  return text;
}
