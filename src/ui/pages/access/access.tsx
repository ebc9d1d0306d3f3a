/** Who may do what, and who has done what: tokens and the audit. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { jobLink, query, runLink, setQuery } from "../../live/address.ts";
import { useResource } from "../../live/resource.ts";
import { Empty, Pending } from "../../parts/parts.tsx";
import { ListEnd, Table } from "../../parts/table.tsx";
import { At, AwayBeside } from "../../parts/times.tsx";
import { mayEverywhere, me } from "../../live/me.ts";
import { mesh } from "../../live/mesh.ts";
import { auditText } from "./audit-words.ts";
import { Tokens } from "./tokens.tsx";

interface Entry {
  at: string;
  actor: string;
  role: string;
  action: string;
  kind: string;
  name: string;
  job?: string;
  outcome: "done" | "failed" | "refused";
  code?: string;
}

interface Found {
  items: Entry[];
  nextCursor: string | null;
  peers: { id: string; name: string; covered: boolean }[];
}

const entriesAtOnce = 50;
const entriesMax = 1_000;

export function Access(): JSX.Element {
  return (
    <>
      <div class="head">
        <div>
          <h1>Access</h1>
          {me.value !== undefined && (
            <p class="under">
              You are {me.value.name}
              {me.value.name !== me.value.role && `, with the role ${me.value.role}`}
              {me.value.groups !== null && ` in ${me.value.groups.join(", ")}`}.
            </p>
          )}
        </div>
      </div>
      {mayEverywhere("admin") && <Tokens />}
      <Audit />
    </>
  );
}

/** The thing that the action was done to. For a peer, the audit has the id, and the page knows the name. */
function Subject({ entry: { kind, name, job } }: { entry: Entry }): JSX.Element {
  const peer = kind === "peer" ? mesh.value?.items.find(({ id }) => id === name) : undefined;
  return (
    <>
      {kind !== "key" && kind !== "call" && <span class="quiet small">{kind} </span>}
      {job !== undefined ? (
        <a href={kind === "run" ? runLink(name) : jobLink(job)}>{name}</a>
      ) : peer === undefined ? (
        name
      ) : (
        <span title={name}>{peer.name}</span>
      )}
    </>
  );
}

function Audit(): JSX.Element {
  const [limit, setLimit] = useState(entriesAtOnce);
  const job = query.value.get("job") ?? "";
  const wanted = new URLSearchParams({ limit: String(limit), ...(job === "" ? {} : { job }) });
  const found = useResource<Found>(`/v1/audit?${wanted}`, { on: ["job"], everyMs: 2_000, pollMs: 10_000 });
  const others = (found.body?.peers ?? []).filter(({ covered }) => !covered);
  return (
    <section aria-labelledby="audit-title">
      <header>
        <h2 id="audit-title">Audit</h2>
        <span class="more">
          {others.length > 0 && `without the entries of ${others.map(({ name }) => name).join(", ")}`}
        </span>
      </header>
      <div class="filters" role="search">
        <input
          type="search"
          aria-label="Job"
          placeholder="Job …"
          value={job}
          onChange={({ currentTarget }) => setQuery({ job: currentTarget.value.trim() })}
        />
      </div>
      {found.body === undefined ? (
        <Pending of={found} what="the audit" />
      ) : found.body.items.length === 0 ? (
        <Empty title={job === "" ? "Nobody has changed anything yet." : "No entry matches."} />
      ) : (
        <>
          <div class="table-wrap">
            <Table
              titledBy="audit-title"
              class="cards audit"
              columns={["When", "Who", "What", "On", "Outcome"]}
            >
              {found.body.items.map((entry, index) => (
                <tr key={`${entry.at} ${index}`} role="row">
                  <th role="rowheader" scope="row" class="plain-head">
                    <At at={entry.at} />{" "}
                    <span class="quiet small">
                      <AwayBeside at={entry.at} />
                    </span>
                  </th>
                  <td role="cell" class="who">
                    {entry.actor} <span class="quiet small">{entry.role}</span>
                  </td>
                  <td role="cell" class="nowrap what" title={entry.action}>
                    {auditText(entry.action)}
                  </td>
                  <td role="cell" class="values">
                    <Subject entry={entry} />
                  </td>
                  <td role="cell" class={entry.outcome === "done" ? "quiet off-card" : "bad"}>
                    {entry.outcome}
                    {entry.code !== undefined && ` (${entry.code})`}
                  </td>
                </tr>
              ))}
            </Table>
          </div>
          <ListEnd
            hasMore={found.body.nextCursor !== null}
            limit={limit}
            limitMax={entriesMax}
            setLimit={setLimit}
          />
        </>
      )}
    </section>
  );
}
