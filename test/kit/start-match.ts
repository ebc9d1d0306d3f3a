/**
 * Which starts belong to which times at which a job was due, where a start doesn't say so itself: not every scheduler tells a job
 * its tick.
 */

export interface Matched {
  /** of each time that had a start, how late it was, ms */
  late: number[];
  missed: number;
  /** starts beyond the one that each time is due */
  doubled: number;
}

/**
 * `dues` and `starts`: ascending, ms. A start is of the last time before it. If that had one already, it is a late one of the
 * oldest time that had none and is no more than `graceMs` ago; if there is none, it is one too many.
 */
export function matchStarts(dues: readonly number[], starts: readonly number[], graceMs: number): Matched {
  const startOf = new Map<number, number>();
  let doubled = 0;
  for (const start of starts) {
    const past = dues.filter((due) => due <= start && start - due <= graceMs);
    const last = past.at(-1);
    if (last === undefined) continue;
    const due = startOf.has(last) ? past.find((one) => !startOf.has(one)) : last;
    if (due === undefined) doubled++;
    else startOf.set(due, start);
  }
  const late = [...startOf].map(([due, start]) => start - due);
  return { late, missed: dues.length - startOf.size, doubled };
}
