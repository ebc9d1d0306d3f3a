/**
 * Logs what keeps a peer from being ready, and its warnings, as `/readyz?verbose` has them: once when they have lasted for a
 * moment, again at intervals while they last, and when they are over. Otherwise a fault would be logged only when it begins, and
 * a person who reads the log later would not see that it goes on.
 */
import type { Log } from "../../ports.ts";
import type { View } from "../../ports/control.ts";

/** How often the peer is checked; also how long a finding has lasted before it is logged. Unit: ms. */
export const checkEveryMs = 30_000;
/** More says less often that a fault still lasts; less fills the log. Unit: checks, so a quarter of an hour. */
const repeatEveryChecks = 30;
/** How many warnings are logged at once. A peer with hundreds of runs that can't be ended has hundreds of warnings. */
const warningsMax = 20;

interface Finding {
  code: string;
  why: string;
}

export class ReadinessLog {
  readonly #log: Log;
  readonly #view: () => Pick<View, "notReady" | "warnings">;
  /** how many checks have found it, by key */
  #lasting = new Map<string, { checks: number; finding: Finding }>();

  constructor(log: Log, view: () => Pick<View, "notReady" | "warnings">) {
    this.#log = log;
    this.#view = view;
  }

  /** Checks the peer until `stop` is called. */
  begin(): () => void {
    const timer = setInterval(() => this.check(), checkEveryMs).unref();
    return () => clearInterval(timer);
  }

  check(): void {
    const { notReady, warnings } = this.#view();
    const found: Finding[] = [
      ...notReady.map(({ code, message }) => ({ code, why: message })),
      ...warnings.map((why) => ({ code: "warning", why })),
    ];
    const lasting = new Map<string, { checks: number; finding: Finding }>();
    for (const [place, finding] of found.entries()) {
      const key = keyOf(finding);
      const isShown = place < notReady.length + warningsMax;
      const checks = (this.#lasting.get(key)?.checks ?? 0) + (isShown ? 1 : 0);
      lasting.set(key, { checks, finding });
      // It is not logged, but kept, because it isn't over.
      if (!isShown) continue;
      if (checks === 2) this.#write(finding, 0);
      else if (checks > 2 && (checks - 2) % repeatEveryChecks === 0) this.#write(finding, checks);
    }
    for (const [key, { checks, finding }] of this.#lasting) {
      if (checks >= 2 && !lasting.has(key)) this.#over(finding);
    }
    this.#lasting = lasting;
  }

  #write({ code, why }: Finding, checks: number): void {
    const still = checks === 0 ? "" : "still ";
    const fields = checks === 0 ? { why } : { why, forMin: Math.round((checks * checkEveryMs) / 60_000) };
    if (code === "warning") this.#log.warn(`this peer ${still}has a warning`, fields);
    else this.#log.warn(`this peer is ${still}not ready`, { code, ...fields });
  }

  #over({ code, why }: Finding): void {
    if (code === "warning") this.#log.info("a warning of this peer is over", { why });
    else this.#log.info("a reason for which this peer was not ready is over", { code });
  }
}

/**
 * Not-ready reasons differ by their code. Numbers in a warning's text change while it lasts: an offset, a count. Those in names
 * don't: `node-1` and `node-2` have a warning each.
 */
function keyOf({ code, why }: Finding): string {
  return code === "warning"
    ? `warning ${why.replaceAll(/(?<![\w@#~:.-])\d+(?:\.\d+)?(?![\w-])/gu, "#")}`
    : code;
}
