/**
 * What comes before a key rotation: the peers to be left out are forgotten, and no possible intruder gets the new key without
 * a person's consent. Every peer with the old key is a member. So the person must have accepted by name each member that no
 * person has confirmed, or that joined recently; otherwise nothing is changed, and the answer names these members.
 *
 * The members are checked twice: before anything is done, and again just before the key is made, because a peer may join while
 * others are being forgotten.
 */
import { CicadaError } from "../errors.ts";
import type { Answer, Command } from "../ports/command.ts";
import type { Heir } from "../ports/control.ts";
import type { Forgotten } from "../schema/attribution.ts";
import { describeAmbiguous, describeMissing, findPeer } from "../schema/find-peer.ts";

export interface RotationDeps {
  /** no member is linked */
  isAlone(): boolean;
  /** a member has proved that this peer's key was replaced */
  isSuperseded(): boolean;
  heirs(): Heir[];
  forgotten(): readonly Forgotten[];
  /** Nothing is changed before it calls back. */
  begin(begun: () => void): void;
  forget(peer: string, by: string, answer: (answer: Answer) => void): void;
  rotate(graceMs: number, by: string, answer: (answer: Answer) => void): void;
}

export function requestRotation(
  { graceMs, without = [], accept = [], by }: Extract<Command, { kind: "rotate-key" }>,
  deps: RotationDeps,
  answer: (answer: Answer) => void,
): void {
  // While members are linked, a rotation is allowed: it is the remedy if a thief of the key claimed that it was replaced.
  if (deps.isAlone() && deps.isSuperseded()) {
    const error = new CicadaError("KEY_SUPERSEDED", "a key made here would be another mesh's");
    return answer({ kind: "refused", error });
  }
  const leftOut = new Set<string>();
  for (const named of without) {
    const id = leftOutAs(named, deps);
    if (id instanceof CicadaError) return answer({ kind: "refused", error: id });
    leftOut.add(id);
  }
  const doubted = refuseDoubted(deps.heirs(), accept, leftOut);
  if (doubted !== undefined) return answer(doubted);
  deps.begin(() =>
    forgetAll([...leftOut], by, deps, (refused) => {
      // Changing the roster may have taken some seconds, in which a peer may have joined.
      const late = refused ?? refuseDoubted(deps.heirs(), accept, leftOut);
      return late === undefined ? deps.rotate(graceMs, by, answer) : answer(late);
    }),
  );
}

/** The id of the peer to be left out. */
function leftOutAs(named: string, deps: RotationDeps): string | CicadaError {
  const known = [...deps.heirs(), ...deps.forgotten().map(({ peer: id, name }) => ({ id, name }))];
  const found = findPeer(known, named);
  switch (found.kind) {
    case "one":
      return found.peer.id;
    case "none":
      return new CicadaError("PEER_NOT_FOUND", describeMissing(named, known));
    case "ambiguous":
      return new CicadaError("UNPROCESSABLE", describeAmbiguous(named, found.candidates));
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
  const detail = `${problems.length} of the members that would get the new key may be intruders`;
  return { kind: "refused", error: new CicadaError("UNCONFIRMED_PEERS", detail, problems) };
}

/** Forgets the peers one after the other, because each may change the roster of voters. */
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
