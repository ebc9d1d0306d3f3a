/** Tokens: who may do what, until when. A new one is shown once. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ask } from "../../live/ask.ts";
import { carryOut } from "../../live/receipts.ts";
import { useResource } from "../../live/resource.ts";
import type { List } from "../../live/types.ts";
import { Nothing, Pending, Question } from "../../parts/parts.tsx";
import { ListEnd, Table } from "../../parts/table.tsx";
import { At, Away } from "../../parts/times.tsx";
import { NewToken } from "./new-token.tsx";

interface Token {
  id: string;
  name: string;
  role: string;
  groups: string[] | null;
  expires: string | null;
  expired: boolean;
  createdAt: string;
  createdBy: string;
}

const tokensAtOnce = 100;
const tokensMax = 1_000;

export function Tokens(): JSX.Element {
  const [limit, setLimit] = useState(tokensAtOnce);
  const found = useResource<List<Token>>(`/v1/tokens?limit=${limit}`, { pollMs: 10_000 });
  const [open, setOpen] = useState<"new" | Token | undefined>();
  const [made, setMade] = useState<string | undefined>();
  const items = found.body?.items ?? [];
  const revoke = (token: Token): void => {
    setOpen(undefined);
    void carryOut(async () => {
      await ask(`/v1/tokens/${encodeURIComponent(token.id)}`, { method: "DELETE" });
      found.reload();
      return { text: `${token.name} is revoked, and its open streams end.` };
    });
  };
  return (
    <section aria-labelledby="tokens-title">
      <header>
        <h2 id="tokens-title">Tokens</h2>
        <span class="more">
          <button class="plain" onClick={() => setOpen("new")}>
            New token
          </button>
        </span>
      </header>
      {made !== undefined && (
        <div class="notice">
          <p>This is the token. Copy it now: it is not shown again.</p>
          <p class="mono values">{made}</p>
          <button class="plain" onClick={() => setMade(undefined)}>
            Hide it
          </button>
        </div>
      )}
      {found.body === undefined ? (
        <Pending of={found} what="the tokens" />
      ) : items.length === 0 ? (
        <Nothing>None yet, besides each peer's own admin.token.</Nothing>
      ) : (
        <div class="table-wrap">
          <Table
            titledBy="tokens-title"
            columns={["Name", "Role", "Groups", "Expires", "Created", { name: "Actions", isUnseen: true }]}
          >
            {items.map((token) => (
              <TokenRow key={token.id} token={token} onRevoke={() => setOpen(token)} />
            ))}
          </Table>
          <ListEnd
            hasMore={found.body.nextCursor !== null}
            limit={limit}
            limitMax={tokensMax}
            setLimit={setLimit}
          />
        </div>
      )}
      {open === "new" && (
        <NewToken
          onClose={() => setOpen(undefined)}
          onMade={(token) => {
            setOpen(undefined);
            setMade(token);
            found.reload();
          }}
        />
      )}
      {typeof open === "object" && (
        <Question
          title={`Revoke ${open.name}?`}
          no="Keep it"
          yes="Revoke it"
          onClose={() => setOpen(undefined)}
          onYes={() => revoke(open)}
        >
          <p>Every peer refuses it within seconds. This can't be undone.</p>
        </Question>
      )}
    </section>
  );
}

function TokenRow({ token, onRevoke }: { token: Token; onRevoke: () => void }): JSX.Element {
  return (
    <tr role="row">
      <th role="rowheader" scope="row">
        {token.name}
        <span class="under mono">{token.id}</span>
      </th>
      <td role="cell" class="nowrap">
        {token.role}
      </td>
      <td role="cell">{token.groups?.join(", ") ?? "all"}</td>
      <td role="cell" class={token.expired ? "bad" : ""}>
        {token.expires === null ? "no expiry" : <At at={token.expires} />}
        {token.expired && " (expired)"}
      </td>
      <td role="cell">
        <Away at={token.createdAt} /> <span class="quiet">by {token.createdBy}</span>
      </td>
      <td role="cell" class="end number">
        <span class="row-actions">
          <button class="danger" aria-label={`Revoke ${token.name}`} onClick={onRevoke}>
            Revoke
          </button>
        </span>
      </td>
    </tr>
  );
}
