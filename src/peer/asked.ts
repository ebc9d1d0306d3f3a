/**
 * The commands that wait for their answers, with what the audit notes of each. A note is stored in one transaction with the
 * change that its command makes, so a peer that dies before it answers has both or neither. A change that no transaction of the
 * disk can hold, such as a file or another peer's run, is noted before it is made. If a command fails after that, its caller
 * notes so; a command that changes nothing is noted by its caller, too, when the answer is there.
 */
import type { Effect } from "../core/events.ts";
import type { Doors } from "../ports.ts";
import type { Answer } from "../ports/command.ts";
import type { Write } from "../ports/disk.ts";
import type { AuditEntry } from "../schema/audit.ts";

/** `isNoted`: what the audit notes of the command was stored with its change. */
export type Answered = (answer: Answer, isNoted: boolean) => void;

interface Asked {
  answer: Answered;
  entries: readonly AuditEntry[];
  isNoted: boolean;
}

export class AskedCommands {
  readonly #byToken = new Map<number, Asked>();
  #next = 1;

  /** Returns the command's token. */
  enter(answer: Answered, entries: readonly AuditEntry[]): number {
    const token = this.#next++;
    this.#byToken.set(token, { answer, entries, isNoted: false });
    return token;
  }

  /** What is to be stored together with the effect's own writes. */
  notesOf({ command }: Extract<Effect, { kind: "store" | "edit" }>): Write[] {
    const asked = command === undefined ? undefined : this.#byToken.get(command);
    if (asked === undefined || asked.entries.length === 0) return [];
    asked.isNoted = true;
    return asked.entries.map((entry) => ({ kind: "audit", entry }));
  }

  answer({ token, answer }: Extract<Effect, { kind: "answer" }>): void {
    const asked = this.#byToken.get(token);
    this.#byToken.delete(token);
    asked?.answer(answer, asked.isNoted);
  }
}

/** The change is made, whether its entries can be stored or not: so a failure is only logged. */
export function noteFirst(
  { disk, log }: Pick<Doors, "disk" | "log">,
  entries: readonly AuditEntry[],
  done: () => void,
): void {
  if (entries.length === 0) return done();
  const writes = entries.map((entry) => ({ kind: "audit", entry }) as const);
  disk.store(writes, (error) => {
    if (error !== undefined)
      log.error("the audit could not be stored", { entries: JSON.stringify(entries), error: error.detail });
    done();
  });
}
