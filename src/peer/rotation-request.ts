/**
 * What comes before a key rotation that a person asks for: the peers to be left out are forgotten, and nobody else gets
 * the key unasked who may be an intruder. Whoever has the old key is a member. So for each member that no person has
 * confirmed, or that came in lately, the person must have said that it gets the key; otherwise nothing is changed, and
 * the answer names these members.
 *
 * The members are judged twice: before anything is done, and again just before the key is made, because somebody may
 * come in while peers are being forgotten.
 */
import { CicadaError } from "../errors.ts";
import type { Answer, Command, Heir } from "../ports/control.ts";
import type { Forgotten } from "../schema/attribution.ts";
import { describeAmbiguous, describeMissing, findPeer } from "../schema/find-peer.ts";

export interface RotationDeps {
  heirs(): Heir[];
  forgotten(): readonly Forgotten[];
  forget(peer: string, by: string, answer: (answer: Answer) => void): void;
  rotate(graceMs: number, by: string, answer: (answer: Answer) => void): void;
}

export function requestRotation(
  { graceMs, without = [], accept = [], by }: Extract<Command, { kind: "rotate-key" }>,
  deps: RotationDeps,
  answer: (answer: Answer) => void,
): void {
  const leftOut = new Set<string>();
  for (const named of without) {
    const id = leftOutAs(named, deps);
    if (id instanceof CicadaError) return answer({ kind: "refused", error: id });
    leftOut.add(id);
  }
  const doubted = refuseDoubted(deps.heirs(), accept, leftOut);
  if (doubted !== undefined) return answer(doubted);
  forgetAll([...leftOut], by, deps, (refused) => {
    // The roster may take some seconds to change, in which somebody may have come in.
    const late = refused ?? refuseDoubted(deps.heirs(), accept, leftOut);
    return late === undefined ? deps.rotate(graceMs, by, answer) : answer(late);
  });
}

/** The id of the peer that is meant. */
function leftOutAs(named: string, deps: RotationDeps): string | CicadaError {
  const known = [...deps.heirs(), ...deps.forgotten().map(({ peer: id, name }) => ({ id, name }))];
  const found = findPeer(known, named);
  switch (found.kind) {
    case "one":
      return found.peer.id;
    case "none":
      return new CicadaError("PEER_NOT_FOUND", describeMissing(named, known));
    case "ambiguous":
      return new CicadaError("BAD_REQUEST", describeAmbiguous(named, found.candidates));
  }
}

function refuseDoubted(
  heirs: readonly Heir[],
  accept: readonly string[],
  leftOut: ReadonlySet<string>,
): Answer | undefined {
  const problems = heirs.flatMap(({ id, name, doubt }) =>
    doubt === undefined || accept.includes(id) || leftOut.has(id)
      ? []
      : { pointer: "/accept", message: `${name} (${id}): ${doubt}` },
  );
  if (problems.length === 0) return undefined;
  const detail = `${problems.length} of the members would get the new key and may be intruders`;
  return { kind: "refused", error: new CicadaError("UNCONFIRMED_PEERS", detail, problems) };
}

/** One after the other, because each changes the roster of voters on its own. */
function forgetAll(
  [first, ...others]: readonly string[],
  by: string,
  deps: RotationDeps,
  done: (refused?: Answer) => void,
): void {
  if (first === undefined) return done();
  deps.forget(first, by, (answer) => {
    if (answer.kind !== "refused") return forgetAll(others, by, deps, done);
    const { code, detail } = answer.error;
    const error = new CicadaError(code, `${detail}; so the key was not rotated`);
    return done({ kind: "refused", error });
  });
}
