/**
 * Durations (`90s`, `1h30m`) and sizes (`64KiB`) as people write them.
 *
 * A number without a unit is refused, because it would mean seconds to one reader and milliseconds to another. Only 0 needs no
 * unit.
 */

const durationUnits = [
  ["w", 604_800_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

/** 100 years of 365 days: longer durations are typing errors. With this limit sums stay far below 2^53. */
const longestDurationMs = 100 * 365 * 86_400_000;

/** For messages: how to write a duration. */
export const durationHint = "write a number and a unit, such as 500ms, 90s, 1h30m or 30d";

/** Why `parseDuration` gives undefined, in words that follow the text. */
export function whyNoDuration(value: string): string {
  return readDuration(value) === undefined
    ? `is not a duration: ${durationHint}`
    : `is too long: a duration is at most ${formatDuration(longestDurationMs)}`;
}

/**
 * Whole milliseconds; units from the largest to the smallest, each once. Undefined when it is no duration, or longer than 100
 * years.
 */
export function parseDuration(value: string | 0): number | undefined {
  const durationMs = readDuration(value);
  return durationMs === undefined || durationMs > longestDurationMs ? undefined : durationMs;
}

function readDuration(value: string | 0): number | undefined {
  if (value === 0 || value === "0") return 0;
  const pattern = /(\d+(?:\.\d+)?)(ms|[wdhms])/y;
  let total = 0;
  let rank = -1;
  while (pattern.lastIndex < value.length) {
    const match = pattern.exec(value);
    if (match === null) return undefined;
    const [, amount, unit] = match;
    const unitRank = durationUnits.findIndex(([name]) => name === unit);
    if (unitRank <= rank) return undefined;
    rank = unitRank;
    total += Number(amount) * (durationUnits[unitRank]?.[1] ?? 0);
  }
  // 0.1h is 360000.00000000006 ms in binary: rounding removes the error of the arithmetic.
  const whole = Math.round(total);
  if (rank === -1 || Math.abs(total - whole) > 1e-6) return undefined;
  return whole;
}

/** The shortest exact text, such as `1h30m`, which `parseDuration` reads back. Weeks are written as days. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 0) return `-${formatDuration(-durationMs)}`;
  let rest = Math.round(durationMs);
  let text = "";
  for (const [unit, unitMs] of durationUnits) {
    if (unit === "w") continue;
    const count = Math.floor(rest / unitMs);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * unitMs;
  }
  return text === "" ? "0s" : text;
}

const sizeUnits: ReadonlyMap<string, number> = new Map([
  ["GiB", 1_073_741_824],
  ["MiB", 1_048_576],
  ["KiB", 1_024],
  ["GB", 1_000_000_000],
  ["MB", 1_000_000],
  ["kB", 1_000],
  ["KB", 1_000],
  ["B", 1],
]);

/** For messages: how to write a size. */
export const sizeHint = "write a number and a unit, such as 512B, 64KiB or 1MiB";

/** Whole bytes; `KiB` is 1024 of them and `kB` 1000. Undefined when it is no size. */
export function parseSize(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?([kKMG]?i?B)$/.exec(text) ?? [];
  const unitBytes = unit === undefined ? undefined : sizeUnits.get(unit);
  if (unitBytes === undefined) return undefined;
  const bytes = Number(amount) * unitBytes;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** In the largest binary unit that is exact, such as `64KiB`; `parseSize` reads it back. */
export function formatSize(bytes: number): string {
  for (const [unit, unitBytes] of sizeUnits) {
    if (unit.includes("i") && bytes >= unitBytes && bytes % unitBytes === 0)
      return `${bytes / unitBytes}${unit}`;
  }
  return `${bytes}B`;
}
