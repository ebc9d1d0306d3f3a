/**
 * Coverage marks: a rare branch says its name when it is taken, and a hunt over many seeds tells which names it never
 * heard. Only the simulator listens (`Settings.marks`); for a real peer a mark is one look at an absent field.
 */
export const marks = [
  "step-in",
  "asked-first",
  "asked-and-yielded",
  "spoken-for",
  "told-it-is-over",
  "out-claimed",
  "claim-late",
  "claim-not-stored",
  "claim-pointless",
  "held-by-overlap",
  "skipped-by-overlap",
  "replaced",
  "held-by-capacity",
  "declined",
  "taken-by-the-first-of-the-full",
  "paused-tick-told",
  "caught-up",
  "missed",
  "no-quorum",
  "clock-passed-over",
  "paused",
  "settled-at-the-limit",
  "healing",
  "lost-declared",
  "lost-refuted",
  "earlier-life-lost",
  "earlier-life-withdrawn",
  "claim-of-the-dead-dropped",
  "launched-too-late",
  "doubtful-record",
  "records-fetched",
  "chosen-me",
  "chosen-other",
  "chosen-and-gone",
  "given-back",
  "stood-in-vain",
  "outbid",
  "value-inherited",
  "vote-not-stored",
  "barred-other-epoch",
  "barred-successor",
  "barred-memory",
  "barred-twin",
  "barred-from-too-early",
  "successor-recalled",
  "successor-finished",
  "epoch-adopted",
  "roster-told",
  "memory-lost",
  "twin-heard",
  "twin-told",
  "clock-ahead-refused",
] as const;

export type Mark = (typeof marks)[number];

export function mark({ settings }: { readonly settings: { readonly marks?: Set<Mark> } }, name: Mark): void {
  settings.marks?.add(name);
}
