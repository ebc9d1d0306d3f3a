/**
 * A day of the month AND a weekday. Cron fields would mean one OR the other, so the weekday stays open in the schedule, and the
 * ticks on the other weekdays are left out by `except`, at the same times.
 */

/** Cron's fields as text; `second` is "0" for a schedule without seconds. */
export interface TimeFields {
  second: string;
  minute: string;
  hour: string;
  day: string;
  month: string;
  /** 0 = Sunday; empty or all seven = any */
  weekdays: readonly number[];
}

export interface Times {
  schedule: string;
  except?: string[];
}

export const dayAndWeekday =
  "it asks for a day AND a weekday, and cron fields mean one or the other. The other weekdays are left out by `except`: check its times, then enable it";

export function timesOf({ second, minute, hour, day, month, weekdays }: TimeFields): Times {
  const clock = `${second === "0" ? "" : `${second} `}${minute} ${hour}`;
  const wanted = new Set(weekdays);
  const isAny = wanted.size === 0 || wanted.size === 7;
  if (isAny || day === "*") {
    return { schedule: `${clock} ${day} ${month} ${isAny ? "*" : listed([...wanted])}` };
  }
  const others = [0, 1, 2, 3, 4, 5, 6].filter((one) => !wanted.has(one));
  return { schedule: `${clock} ${day} ${month} *`, except: [`${clock} * * ${listed(others)}`] };
}

/** `1-5`, `0,6`: numbers as a field of cron. */
export function listed(numbers: readonly number[]): string {
  const sorted = [...new Set(numbers)].toSorted((a, b) => a - b);
  const ranges: [number, number][] = [];
  for (const one of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === one - 1) last[1] = one;
    else ranges.push([one, one]);
  }
  return ranges
    .flatMap(([from, to]) =>
      from === to ? [`${from}`] : to === from + 1 ? [`${from}`, `${to}`] : [`${from}-${to}`],
    )
    .join(",");
}
