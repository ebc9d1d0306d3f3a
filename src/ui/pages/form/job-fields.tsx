/** The fields of a job in their groups, with what the schedule means between them. */
import type { JSX } from "preact";
import type { Draft } from "../../live/stored-drafts.ts";
import { Field, type Problem } from "./fields.tsx";
import { SchedulePreview } from "./preview.tsx";
import type { Schema } from "./schema.ts";

const first: readonly string[] = ["id", "schedule", "timezone", "command", "description"];
const groups: readonly (readonly [string, readonly string[]])[] = [
  [
    "What runs",
    [
      "argv",
      "http",
      "script",
      "executor",
      "stdin",
      "env",
      "cwd",
      "user",
      "umask",
      "params",
      "secrets",
      "limits",
      "background",
    ],
  ],
  ["When", ["startsAt", "endsAt", "except", "jitter", "enabled", "after", "catchUp"]],
  ["Where", ["target", "pool", "weight", "partition", "overlap"]],
  [
    "When it goes wrong",
    [
      "timeout",
      "killGrace",
      "retry",
      "precheck",
      "success",
      "pauseAfterFailures",
      "notify",
      "longAfter",
      "ping",
    ],
  ],
  ["Ownership", ["group", "labels", "owner", "keep"]],
];

interface Props {
  /** of the job's schema */
  properties: Readonly<Record<string, Schema>>;
  draft: Draft;
  problems: readonly Problem[];
  /** True for an edit, in which the job's id can't change. */
  isEdit: boolean;
  change: (name: string, value: unknown) => void;
}

export function JobFields({ properties, draft, problems, isEdit, change }: Props): JSX.Element {
  const field = (name: string): JSX.Element | null => {
    const schema = properties[name];
    if (schema === undefined || (name === "id" && isEdit)) return null;
    return (
      <Field
        key={name}
        name={name}
        pointer={`/${name}`}
        schema={schema}
        value={draft[name]}
        problems={problems}
        isRequired={name === "id"}
        onChange={(value) => change(name, value)}
      />
    );
  };
  return (
    <>
      <div class="fields">{first.map(field)}</div>
      <h2 class="sub-title">What the schedule means</h2>
      <SchedulePreview
        id={typeof draft["id"] === "string" ? draft["id"] : ""}
        schedule={draft["schedule"]}
        timezone={draft["timezone"]}
        except={draft["except"]}
      />
      {groups.map(([title, names]) => (
        <details
          key={title}
          class="group"
          open={names.some((name) => problems.some(({ pointer }) => pointer.startsWith(`/${name}`)))}
        >
          <summary>
            {title}
            <span class="quiet small">{names.filter((name) => draft[name] !== undefined).join(", ")}</span>
          </summary>
          <div class="fields">{names.map(field)}</div>
        </details>
      ))}
    </>
  );
}
