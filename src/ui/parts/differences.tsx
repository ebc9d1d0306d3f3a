/** What an edit changed, field by field. */
import type { JSX } from "preact";
import type { Revision } from "../live/types.ts";

export function Differences({ fields }: Pick<Revision, "fields">): JSX.Element | null {
  if (fields.length === 0) return null;
  return (
    <dl class="diff">
      {fields.map(({ pointer, before, after }) => [
        <dt key={pointer}>{pointer.slice(1)}</dt>,
        <dd key={`${pointer} values`}>
          {before !== null && <del>{textOf(before)}</del>}
          {before !== null && after !== null && " "}
          {after !== null && <ins>{textOf(after)}</ins>}
        </dd>,
      ])}
    </dl>
  );
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
