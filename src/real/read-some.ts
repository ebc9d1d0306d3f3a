/**
 * The beginning of an answer, as text: at least `chars` UTF-16 units of it, or all of a shorter one. The rest is not read, for a
 * service may answer without an end. Throws what reading the body throws.
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
