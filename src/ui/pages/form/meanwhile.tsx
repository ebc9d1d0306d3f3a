/** Shows what others have changed in a job while a person was writing an edit of it. */
import type { JSX } from "preact";
import { jobPath } from "../../live/address.ts";
import { useResource } from "../../live/resource.ts";
import type { List, Revision } from "../../live/types.ts";
import { Differences } from "../../parts/differences.tsx";
import { At } from "../../parts/times.tsx";

interface Props {
  id: string;
  /** the revision at which the edit began */
  since: string;
  /** the revision that the form changes; undefined: an entry that can't be read */
  shown: string | undefined;
  /** the names of the fields that this edit changes */
  written: readonly string[];
  /** makes the form change the newest revision */
  readAgain: () => void;
}

export function Meanwhile({ id, since, shown, written, readAgain }: Props): JSX.Element {
  const found = useResource<List<Revision>>(`${jobPath(id)}/history?limit=50`, {
    on: ["job"],
    about: id,
  });
  const revisions = found.body?.items ?? [];
  const count = revisions.findIndex(({ revision }) => revision === since);
  // Edits that came after that one are not in the form.
  const later = Math.max(
    0,
    revisions.findIndex(({ revision }) => revision === shown),
  );
  const changes = revisions.slice(later, Math.max(later, count));
  const changed = changes.flatMap(({ fields }) => fields.map(({ pointer }) => pointer.split("/")[1] ?? ""));
  const both = written.filter((name) => changed.includes(name));
  return (
    <div class="notice">
      <p>
        <strong>Somebody has changed this job since your edit began.</strong> Nothing of yours is saved yet.
        The form shows the job with their changes, and yours on top. Save keeps both; Cancel drops yours.
      </p>
      {changes.map(({ revision, at, by, change, fields }) => (
        <div key={revision}>
          <p>
            {change ?? "changed"}
            {by !== null && ` by ${by}`}, <At at={at} />
          </p>
          <Differences fields={fields} />
        </div>
      ))}
      {both.length > 0 && (
        <p>
          You have changed <strong>{both.join(", ")}</strong>, too: saving replaces theirs.
        </p>
      )}
      {later > 0 && (
        <p>
          <strong>It has been changed again since</strong>, which the form doesn't show yet.{" "}
          <button type="button" class="plain" onClick={readAgain}>
            Show it in the form
          </button>
        </p>
      )}
      {found.body !== undefined && count < 0 && (
        <p>
          This peer no longer knows what they changed. <a href="?tab=edits">Show all edits</a>
        </p>
      )}
    </div>
  );
}
