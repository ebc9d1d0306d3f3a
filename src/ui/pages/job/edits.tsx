/** Who changed a job, when and what, and the way back to each of these states. */
import type { JSX } from "preact";
import { jobPath } from "../../live/address.ts";
import { revert } from "../../live/job-actions.ts";
import { may } from "../../live/me.ts";
import { useResource } from "../../live/resource.ts";
import type { List, Revision } from "../../live/types.ts";
import { Differences } from "../../parts/differences.tsx";
import { Empty, Pending } from "../../parts/parts.tsx";
import { At, AwayBeside } from "../../parts/times.tsx";

interface Props {
  id: string;
  /** the revision that the job is at; null = it is deleted */
  current: string | null;
  reload: () => void;
}

export function Edits({ id, current, reload }: Props): JSX.Element | null {
  const found = useResource<List<Revision>>(`${jobPath(id)}/history?limit=50`, {
    on: ["job"],
    about: id,
  });
  if (found.body === undefined)
    return found.refused?.status === 404 ? null : <Pending of={found} what="its edits" />;
  const { items } = found.body;
  if (items.length === 0) return <Empty title="No edit of it is kept on this peer." />;
  const back = async (revision: string): Promise<void> => {
    await revert(id, revision);
    reload();
    found.reload();
  };
  return (
    <ol class="card ticks">
      {items.map((one) => (
        <li key={one.revision}>
          <div class="tick-head">
            <At at={one.at} />
            <strong>{one.change ?? "seen first"}</strong>
            <span class="quiet">{one.by === null ? "" : `by ${one.by}`}</span>
            <span class="quiet small end">
              {one.revision === current ? (
                "as it is now"
              ) : one.change === "deleted" ? (
                <AwayBeside at={one.at} />
              ) : !may("editor") ? null : (
                <button
                  class="plain"
                  aria-label={`Revert to this revision, of ${one.at}`}
                  onClick={() => void back(one.revision)}
                >
                  Revert to this
                </button>
              )}
            </span>
          </div>
          {one.change !== "created" && <Differences fields={one.fields} />}
        </li>
      ))}
    </ol>
  );
}
