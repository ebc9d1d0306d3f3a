/** Which entries of the audit are those of an actor that is asked for. */

/** Whether a whole actor is asked for, and not a part of one. */
export function isWholeActor(asked: string): boolean {
  return /.@./.test(asked);
}

/** `asked`: a whole actor (NAME@PEER), or a part of one. */
export function isByActor({ actor }: { readonly actor: string }, asked: string): boolean {
  return isWholeActor(asked) ? actor === asked : actor.includes(asked);
}
