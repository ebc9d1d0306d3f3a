/**
 * Finds the word that a person probably meant.
 *
 * The word only appears in messages and is never acted upon, so a wrong guess costs nothing.
 */
import { distance } from "fastest-levenshtein";

/** The nearest of `known` whose distance is within a third of the word's length (at least 1 letter), ignoring case. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const lower = word.slice(0, longestWord).toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(lower.length / 3)) + 1;
  for (const candidate of known) {
    const found = distance(lower, candidate.toLowerCase());
    if (found >= bestDistance) continue;
    best = candidate;
    bestDistance = found;
  }
  return best;
}

/** Letters that are compared. The cost grows with the product of both lengths. */
const longestWord = 128;

/** `": did you mean \"command\"?"`, or nothing when no known word is near. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const found = nearest(word, known);
  return found === undefined ? "" : `: did you mean ${JSON.stringify(found)}?`;
}
