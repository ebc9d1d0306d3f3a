/** Lists with a head, whose rows become cards on a phone, and the line below a list that is shown in part. */
import type { ComponentChildren, JSX } from "preact";

interface Column {
  name: string;
  class?: string;
  /** The name is for screen readers only. */
  isUnseen?: boolean;
  /** in place of the name */
  content?: JSX.Element;
}

interface TableProps {
  columns: readonly (string | Column)[];
  /** what the table is called; or: */
  name?: string;
  /** the id of the heading that names it */
  titledBy?: string;
  class?: string;
  /** The whole head is for screen readers only. */
  hidesHead?: boolean;
  /** the rows */
  children: ComponentChildren;
}

/** The roles are written out: rows that are laid out as cards lose those of their elements. */
export function Table({
  columns,
  name,
  titledBy,
  class: look = "cards",
  hidesHead = false,
  children,
}: TableProps): JSX.Element {
  return (
    <table class={look} role="table" aria-label={name} aria-labelledby={titledBy}>
      <thead role="rowgroup" class={hidesHead ? "unseen" : undefined}>
        <tr role="row">
          {columns.map((column, index) => {
            const head: Column = typeof column === "string" ? { name: column } : column;
            return (
              <th key={index} role="columnheader" scope="col" class={head.class}>
                {head.content ??
                  (head.isUnseen === true ? <span class="unseen">{head.name}</span> : head.name)}
              </th>
            );
          })}
        </tr>
      </thead>
      <tbody role="rowgroup">{children}</tbody>
    </table>
  );
}

interface ListEndProps {
  /** There is more than the list shows. */
  hasMore: boolean;
  limit: number;
  limitMax: number;
  setLimit: (limit: number) => void;
  /** how much of it is shown */
  children?: ComponentChildren;
}

/** Says where a list is not whole, and shows more of it when asked to. */
export function ListEnd({ hasMore, limit, limitMax, setLimit, children }: ListEndProps): JSX.Element | null {
  if (!hasMore && children === undefined) return null;
  return (
    <p class="list-end quiet small">
      {children}
      {hasMore &&
        (limit < limitMax ? (
          <button onClick={() => setLimit(Math.min(limitMax, limit * 3))}>Show more</button>
        ) : (
          <span>The page lists no more than these.</span>
        ))}
    </p>
  );
}
