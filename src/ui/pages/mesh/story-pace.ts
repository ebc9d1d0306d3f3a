/** How often the page asks for the story of a split. */

interface StoryPace {
  on: readonly ("peer" | "run")[];
  everyMs: number;
  pollMs: number;
}

/** How long after a split its peers may still tell each other of its runs, and start its last ticks. Unit: ms. */
const finalAfterMs = 600_000;

/** How often the story of a split is asked for: it costs the peer thousands of records, and an old one hardly changes. */
export function storyPace({ to }: { to: string | null }, nowMs: number): StoryPace {
  const isFinal = to !== null && nowMs - Date.parse(to) > finalAfterMs;
  return isFinal
    ? { on: ["peer"], everyMs: 60_000, pollMs: 600_000 }
    : { on: ["peer", "run"], everyMs: 15_000, pollMs: 60_000 };
}
