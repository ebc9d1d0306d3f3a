/** Which jobs are listed, and in which order. All of it is in the address. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { dropFromQuery, query, setQuery } from "../../live/address.ts";
import { summary } from "../../live/mesh.ts";
import type { JobState } from "../../live/types.ts";

const orders: Readonly<Record<string, string>> = {
  attention: "needs attention first",
  next: "next due first",
  id: "by name",
};
/** States that need a person come first. A state that no job is in has no chip. */
const chipOrder: readonly JobState[] = [
  "failing",
  "blocked",
  "invalid",
  "running",
  "waiting",
  "paused",
  "scheduled",
  "manual",
  "disabled",
  "ended",
];

/** How long typing must pause before jobs are searched for. Unit: ms. */
const typingMs = 200;

export function Filters(): JSX.Element {
  const filter = query.value;
  const groups = summary.value?.groups ?? [];
  const field = useRef<HTMLInputElement>(null);
  const typed = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => {
    if (!filter.has("find")) return;
    setQuery({ find: undefined });
    field.current?.focus();
  }, []);
  const wanted = filter.get("q") ?? "";
  // A link, or the browser's Back, also changes the search. What a person is typing stays.
  useEffect(() => {
    const { current } = field;
    if (current !== null && typed.current === undefined && current.value.trim() !== wanted)
      current.value = wanted;
  }, [wanted]);
  useEffect(() => () => clearTimeout(typed.current), []);
  const search = (text: string): void => {
    clearTimeout(typed.current);
    typed.current = setTimeout(() => {
      typed.current = undefined;
      setQuery({ q: text.trim() });
    }, typingMs);
  };
  return (
    <div class="filters" role="search">
      <input
        ref={field}
        type="search"
        aria-label="Find jobs"
        placeholder="Find by name, text, command …"
        defaultValue={wanted}
        onInput={({ currentTarget }) => search(currentTarget.value)}
      />
      {groups.length > 1 && (
        <select
          aria-label="Group"
          value={filter.get("group") ?? ""}
          onChange={({ currentTarget }) => setQuery({ group: currentTarget.value })}
        >
          <option value="">all groups</option>
          {groups.map(({ name, jobs }) => (
            <option key={name} value={name}>
              {name} ({jobs})
            </option>
          ))}
        </select>
      )}
      <select
        aria-label="Order"
        value={filter.get("sort") ?? "attention"}
        onChange={({ currentTarget: { value } }) =>
          setQuery({ sort: value === "attention" ? undefined : value })
        }
      >
        {Object.entries(orders).map(([order, words]) => (
          <option key={order} value={order}>
            {words}
          </option>
        ))}
      </select>
      {filter.getAll("label").map((label) => (
        <button key={label} class="chip" aria-pressed="true" onClick={() => dropFromQuery("label", label)}>
          {label} ✕
        </button>
      ))}
    </div>
  );
}

/** `note`: what stands in their place while the list waits for the states. */
export function StateChips({ note }: { note: string | undefined }): JSX.Element | null {
  const states = summary.value?.states;
  if (states === undefined || note !== undefined)
    return (
      <p class="chips small quiet" role="status">
        {note}
      </p>
    );
  const chosen = query.value.get("state");
  const shown = chipOrder.filter((state) => (states[state] ?? 0) > 0 || state === chosen);
  if (shown.length < 2) return null;
  return (
    <div class="chips" role="group" aria-label="State">
      {shown.map((state) => (
        <button
          key={state}
          class="chip"
          aria-pressed={state === chosen}
          onClick={() => setQuery({ state: state === chosen ? undefined : state })}
        >
          {state} <b>{states[state] ?? 0}</b>
        </button>
      ))}
    </div>
  );
}
