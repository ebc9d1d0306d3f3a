/** A run's output, live while it runs. Only the lines in view are in the document, so that 100 MB scroll smoothly. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { lostSince } from "../../live/ask.ts";
import { Lines } from "./lines.ts";

/** As in output.css. Unit: px. */
const lineHeight = 20;
/** Up to this many lines, the box is as tall as its lines. */
const linesOfSmall = 12;
/** Lines beyond those in view, above and below. */
const margin = 20;
/** Browsers can't lay out taller elements. Beyond it, a scrolled pixel stands for more than a pixel of lines. */
const tallest = 15_000_000;

type Following = "live" | "ended" | "gone" | "none";

interface Props {
  /** the run's id */
  run: string;
  /** what is shown below the output once it has ended */
  end: JSX.Element | string;
}

interface Followed {
  lines: Lines;
  state: Following;
  /** why it can't be read any further */
  gone: string;
  /** how many lines have come */
  count: number;
}

/** Follows the output as the peer sends it, and renders its caller again when lines have come. */
function useOutput(path: string): Followed {
  const lines = useRef(new Lines());
  const version = useSignal(0);
  const state = useSignal<Following>("live");
  const gone = useSignal("");
  useEffect(() => {
    let frame = 0;
    const show = (): void => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        version.value++;
      });
    };
    const source = new EventSource(`${path}/stream`);
    source.addEventListener("output", ({ data }: MessageEvent<string>) => {
      lines.current.add((JSON.parse(data) as { text: string }).text);
      show();
    });
    const finish = (how: Following, why = ""): void => {
      source.close();
      state.value = how;
      gone.value = why;
    };
    source.addEventListener("end", () => finish("ended"));
    source.addEventListener("gone", ({ data }: MessageEvent<string>) =>
      finish("gone", (JSON.parse(data) as { detail: string }).detail),
    );
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) finish("none");
    });
    return () => {
      cancelAnimationFrame(frame);
      source.close();
    };
  }, [path]);
  // Reading the version makes the caller render again.
  const count = version.value >= 0 ? lines.current.count : 0;
  return { lines: lines.current, state: state.value, gone: gone.value, count };
}

export function Output({ run, end }: Props): JSX.Element {
  const path = `/v1/runs/${encodeURIComponent(run)}/log`;
  const { lines, state, gone, count } = useOutput(path);
  const box = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const follows = useSignal(true);
  const wanted = useSignal("");
  const foundAt = useSignal<number | undefined>(undefined);

  const whole = count * lineHeight;
  const tall = Math.min(whole, tallest);
  const viewed = box.current?.clientHeight ?? 400;
  const scale = tall > viewed ? (whole - viewed) / (tall - viewed) : 1;
  useEffect(() => {
    if (follows.value && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [count, follows.value]);

  const first = Math.max(0, Math.floor((top.value * scale) / lineHeight) - margin);
  const last = Math.min(count, first + Math.ceil(viewed / lineHeight) + 2 * margin);
  const shift = first * lineHeight - top.value * scale + top.value;

  const scroll = (): void => {
    const { current } = box;
    if (current === null) return;
    const isAtEnd = current.scrollHeight - current.scrollTop - current.clientHeight < 30;
    // The box stops following when a person scrolls up, and not because lines have come since it was scrolled to its end.
    follows.value = isAtEnd || (follows.value && current.scrollTop >= top.value);
    top.value = current.scrollTop;
  };
  const find = (step: 1 | -1): void => {
    const text = wanted.value.toLowerCase();
    if (text === "") return;
    const from =
      foundAt.value === undefined ? Math.floor((top.value * scale) / lineHeight) : foundAt.value + step;
    const found = lines.find(text, from, step);
    foundAt.value = found ?? -1;
    if (found === undefined || box.current === null) return;
    follows.value = false;
    box.current.scrollTop = (found * lineHeight - viewed / 3) / scale;
  };

  return (
    <div class="output">
      <OutputBar
        path={path}
        follows={state === "live" ? follows.value : undefined}
        wanted={wanted.value}
        isMissed={foundAt.value === -1}
        onFollow={(on) => {
          follows.value = on;
        }}
        onWanted={(text) => {
          wanted.value = text;
          foundAt.value = undefined;
        }}
        onFind={find}
      />
      <div
        class={count > linesOfSmall ? "output-box is-tall" : "output-box"}
        ref={box}
        onScroll={scroll}
        tabIndex={0}
        role="region"
        aria-label="Output"
      >
        <div class="output-all" style={{ height: `${Math.max(tall, lineHeight)}px` }}>
          <pre style={{ transform: `translateY(${shift}px)` }}>
            {Array.from({ length: Math.max(0, last - first) }, (_, index) => (
              <Line
                key={first + index}
                spans={lines.at(first + index)}
                wanted={wanted.value.toLowerCase()}
                isFound={first + index === foundAt.value}
              />
            ))}
          </pre>
        </div>
      </div>
      <p class="output-end small quiet" role="status">
        {endWords(state, gone, count)} {state === "ended" && end}
      </p>
    </div>
  );
}

interface BarProps {
  path: string;
  /** undefined: no more lines come */
  follows: boolean | undefined;
  wanted: string;
  /** the last search found nothing */
  isMissed: boolean;
  onFollow: (on: boolean) => void;
  onWanted: (text: string) => void;
  onFind: (step: 1 | -1) => void;
}

/** What stands above an output: a search, whether the box follows it, and a link to it as text. */
function OutputBar({ path, follows, wanted, isMissed, onFollow, onWanted, onFind }: BarProps): JSX.Element {
  return (
    <div class="output-bar">
      <form
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          onFind(1);
        }}
      >
        <input
          type="search"
          aria-label="Find in the output"
          placeholder="Find in the output …"
          onInput={({ currentTarget: { value } }) => onWanted(value)}
        />
        <button aria-label="Next match" disabled={wanted === ""}>
          ↓
        </button>
        <button type="button" aria-label="Previous match" disabled={wanted === ""} onClick={() => onFind(-1)}>
          ↑
        </button>
        {isMissed && <span class="small quiet">no match</span>}
      </form>
      {follows !== undefined && (
        <label class="follow small">
          <input
            type="checkbox"
            checked={follows}
            onChange={({ currentTarget: { checked } }) => onFollow(checked)}
          />
          Follow
        </label>
      )}
      <a class="small" href={path} target="_blank" rel="noopener">
        Open as text
      </a>
    </div>
  );
}

function endWords(state: Following, why: string, count: number): string {
  switch (state) {
    case "live":
      // What was written since is not here.
      if (lostSince.value !== undefined) return "Not live while this peer does not answer.";
      return count === 0 ? "Live. Nothing has been written yet." : "Live.";
    case "ended":
      return count === 0 ? "It wrote nothing." : "";
    case "gone":
      return `The output can't be read any further: ${why}.`;
    case "none":
      return "No reachable peer has this output.";
  }
}

interface LineProps {
  spans: { text: string; look: string }[];
  wanted: string;
  isFound: boolean;
}

function Line({ spans, wanted, isFound }: LineProps): JSX.Element {
  return (
    <div class={isFound ? "line found" : "line"}>
      {spans.map(({ text, look }, index) => (
        <span key={index} class={look}>
          {wanted === "" ? text : marked(text, wanted)}
        </span>
      ))}
      {"\n"}
    </div>
  );
}

function marked(text: string, wanted: string): (string | JSX.Element)[] {
  const parts: (string | JSX.Element)[] = [];
  const lower = text.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    parts.push(text.slice(from, at), <mark key={at}>{text.slice(at, at + wanted.length)}</mark>);
    from = at + wanted.length;
  }
  return [...parts, text.slice(from)];
}
