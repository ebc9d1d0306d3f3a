/** What a schedule means, while it is written: in words, its next ticks, and what is left out. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ask, Refused } from "../../live/ask.ts";
import { AwayBeside } from "../../parts/times.tsx";
import { sentence, wholeText } from "../../words.ts";

interface Preview {
  words: string;
  ticks: string[];
  skipped: string[];
  marks: { tick: string; local: string; mark: string; note: string }[];
}

interface Props {
  id: string;
  schedule: unknown;
  timezone: unknown;
  except: unknown;
}

const shown = 8;
/** How long typing must pause before the peer is asked. Unit: ms. */
const pauseMs = 250;

export function SchedulePreview({ id, schedule, timezone, except }: Props): JSX.Element | null {
  const [found, setFound] = useState<Preview | string | undefined>();
  const asked = JSON.stringify({ schedule, timezone, except, id, count: shown });
  useEffect(() => {
    if (schedule === undefined) {
      setFound(undefined);
      return undefined;
    }
    const aborted = new AbortController();
    const timer = setTimeout(() => {
      void (async () => {
        try {
          const answer = await ask<Preview>("/v1/schedules/preview", {
            method: "POST",
            body: JSON.parse(asked) as unknown,
            signal: aborted.signal,
          });
          setFound(answer.body);
        } catch (error) {
          if (!aborted.signal.aborted)
            setFound(
              error instanceof Refused
                ? (error.problems[0]?.message ?? error.message)
                : "The peer does not answer.",
            );
        }
      })();
    }, pauseMs);
    return () => {
      clearTimeout(timer);
      aborted.abort();
    };
  }, [asked]);
  if (schedule === undefined)
    return <p class="quiet">Without a schedule it runs by hand, or after other jobs.</p>;
  if (found === undefined) return <p class="quiet">…</p>;
  if (typeof found === "string")
    return (
      <p class="problem" role="status">
        {found}
      </p>
    );
  const zone = typeof timezone === "string" ? timezone : "UTC";
  const skipped = new Set(found.skipped);
  const marks = new Map(found.marks.map((one) => [one.tick, one]));
  const ticks = [...found.ticks, ...found.skipped].toSorted();
  return (
    <div role="status" aria-label="What the schedule means">
      <p class="words">{sentence(`${found.words} (${zone})`)}</p>
      {ticks.length === 0 && <p class="problem">It has no further tick.</p>}
      <ol class="preview">
        {ticks.map((tick) => (
          <li key={tick} class={skipped.has(tick) ? "is-skipped" : ""}>
            <span class="when">{wholeText(Date.parse(tick), zone).replace(zone, "")}</span>
            {skipped.has(tick) ? (
              <span>left out</span>
            ) : (
              <span class="quiet">
                <AwayBeside at={tick} />
              </span>
            )}
            {marks.has(tick) && <span class="odd">{marks.get(tick)?.note}</span>}
          </li>
        ))}
      </ol>
    </div>
  );
}
