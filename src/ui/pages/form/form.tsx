/**
 * A job in a form and in YAML beside it, to make, edit or clone it. Both show the same job; either may be edited. The form is made
 * from the schema by which the API checks jobs.
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { jobLink, jobPath, query } from "../../live/address.ts";
import { me } from "../../live/me.ts";
import { useResource } from "../../live/resource.ts";
import type { Job } from "../../live/types.ts";
import { Pending } from "../../parts/parts.tsx";
import { fieldsOf } from "./job-draft.ts";
import { JobForm } from "./job-form.tsx";

/** A new job, with `?from=ID` a clone. */
export function NewJob(): JSX.Element {
  const from = query.value.get("from");
  const found = useResource<Job>(from === null ? undefined : jobPath(from));
  if (from !== null && found.body?.id !== from) return <Pending of={found} what="the job" />;
  if (me.value === undefined) return <UnknownPerson />;
  const { id: _, ...fields } = found.body === undefined ? { id: "" } : fieldsOf(found.body);
  const start = from === null ? { schedule: "@every 5m", command: "" } : { id: `${from}-copy`, ...fields };
  const form = from === null ? "/new" : `/new?from=${from}`;
  return (
    <>
      <div class="head">
        <div>
          <h1>New job</h1>
          {from !== null && <p class="under">a copy of {from}</p>}
        </div>
      </div>
      <JobForm key={form} form={form} start={start} />
    </>
  );
}

export function EditJob({ job }: { job: Job }): JSX.Element {
  return me.value === undefined ? <UnknownPerson /> : <Edit job={job} />;
}

function Edit({ job }: { job: Job }): JSX.Element {
  // The form keeps the job as it was when it was opened, so that somebody else's edit doesn't change it while a person writes.
  const [edited] = useState(job);
  return <JobForm form={jobLink(job.id)} start={fieldsOf(edited)} edited={edited} />;
}

/** Stands in place of the form until it is known who is logged in, and so whose drafts may be shown. */
function UnknownPerson(): JSX.Element {
  return <Pending of={{ refused: undefined }} what="the form" />;
}
