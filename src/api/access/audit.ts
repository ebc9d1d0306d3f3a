/**
 * Notes what callers have changed, and what they had no right to do. A change that the peer itself refuses (a conflict, a bad
 * value) is not noted. One whose outcome is not known is.
 */
import type { CicadaError } from "../../errors.ts";
import { errorTable } from "../../errors/table.ts";
import type { Log } from "../../ports.ts";
import type { Control } from "../../ports/control.ts";
import type { AuditEntry } from "../../schema/audit.ts";
import type { Caller } from "./callers.ts";
import type { Trail } from "./trail.ts";

/** How many refusals of one token are noted in a minute. More lets one token fill the places of all others' refusals sooner. */
const refusalsPerMinute = 60;

export class Audit {
  readonly #control: Pick<Control, "noteAudit">;
  readonly #log: Log;
  readonly #now: () => number;
  /** refusals of this minute, by token */
  readonly #refusals = new Map<string, number>();
  #minute = 0;

  constructor(control: Pick<Control, "noteAudit">, log: Log, now: () => number) {
    this.#control = control;
    this.#log = log;
    this.#now = now;
  }

  /** Makes the entries for something that was done. */
  entriesOf(caller: Caller, trails: readonly Trail[]): AuditEntry[] {
    return trails.map((trail) => this.#entryOf(caller, trail, "done", undefined));
  }

  /** Something was done. Resolves when the entries are durable. */
  async note(caller: Caller, trails: readonly Trail[]): Promise<void> {
    await this.store(this.entriesOf(caller, trails));
  }

  /** Something was not done, or its outcome is not known. `isNoted`: the audit says already that it was done. */
  async failed(
    caller: Caller,
    trails: readonly Trail[],
    error: CicadaError,
    isNoted: boolean,
  ): Promise<void> {
    if (errorTable[error.code].status < 500 && !isNoted) return;
    await this.store(trails.map((trail) => this.#entryOf(caller, trail, "failed", error)));
  }

  /** The caller doesn't have the right. */
  async refused(caller: Caller, trails: readonly Trail[], error: CicadaError): Promise<void> {
    const minute = Math.floor(this.#now() / 60_000);
    if (minute !== this.#minute) this.#refusals.clear();
    this.#minute = minute;
    const before = this.#refusals.get(caller.token) ?? 0;
    if (before >= refusalsPerMinute) return;
    this.#refusals.set(caller.token, before + 1);
    // One refused object refuses its whole set. To note the first objects of the set is enough.
    const some = trails.slice(0, refusalsPerMinute);
    await this.store(some.map((trail) => this.#entryOf(caller, trail, "refused", error)));
  }

  #entryOf(
    { actor, token, role }: Caller,
    trail: Trail,
    outcome: AuditEntry["outcome"],
    error: CicadaError | undefined,
  ): AuditEntry {
    const code = error === undefined ? {} : { code: error.code };
    return { at: this.#now(), actor, token, role, ...trail, outcome, ...code };
  }

  /** The change stands even if its entry can't be stored, so a failure is only logged. */
  async store(entries: readonly AuditEntry[]): Promise<void> {
    if (entries.length === 0) return;
    try {
      await this.#control.noteAudit(entries);
    } catch (error) {
      this.#log.error("the audit could not be stored", {
        entries: JSON.stringify(entries),
        error: String(error),
      });
    }
  }
}
