/** Tokens: who may do what, until when. A new one is shown once. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ask, Refused } from "../../live/ask.ts";
import { carryOut } from "../../live/receipts.ts";
import { useResource } from "../../live/resource.ts";
import type { List } from "../../live/types.ts";
import { Dialog, Nothing, Pending, textIn } from "../../parts/parts.tsx";
import { ListEnd, Table } from "../../parts/table.tsx";
import { At, Away } from "../../parts/times.tsx";
import { sentence } from "../../words.ts";

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

const roles: readonly (readonly [string, string])[] = [
  ["viewer", "reads"],
  ["operator", "also runs, cancels, pauses and skips"],
  ["editor", "also writes jobs"],
  ["admin", "everything"],
  ["metrics", "reads /metrics only"],
];

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
              <tr key={token.id} role="row">
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
                    <button class="danger" aria-label={`Revoke ${token.name}`} onClick={() => setOpen(token)}>
                      Revoke
                    </button>
                  </span>
                </td>
              </tr>
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
        <Dialog title={`Revoke ${open.name}?`} onClose={() => setOpen(undefined)}>
          <p>Every peer refuses it within seconds. This can't be undone.</p>
          <div class="actions">
            <button onClick={() => setOpen(undefined)} autoFocus>
              Keep it
            </button>
            <button class="danger" onClick={() => revoke(open)}>
              Revoke it
            </button>
          </div>
        </Dialog>
      )}
    </section>
  );
}

function NewToken({
  onClose,
  onMade,
}: {
  onClose: () => void;
  onMade: (token: string) => void;
}): JSX.Element {
  const [problem, setProblem] = useState("");
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const groups = textIn(form, "groups")
      .split(/[\s,]+/)
      .filter((name) => name !== "");
    const until = textIn(form, "until");
    const body = {
      name: textIn(form, "name").trim(),
      role: textIn(form, "role"),
      ...(groups.length === 0 ? {} : { groups }),
      ...(until === "" ? {} : { expires: new Date(until).toISOString() }),
    };
    try {
      onMade((await ask<{ token: string }>("/v1/tokens", { method: "POST", body })).body.token);
    } catch (error) {
      const [first] = error instanceof Refused ? error.problems : [];
      setProblem(
        sentence(first === undefined ? (error as Error).message : `${first.pointer} ${first.message}`),
      );
    }
  };
  return (
    <Dialog title="New token" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <div class="field">
          <label for="token-name">Name</label>
          <input id="token-name" name="name" required autoFocus autoComplete="off" />
        </div>
        <div class="field">
          <label for="token-role">Role</label>
          <select id="token-role" name="role">
            {roles.map(([role, words]) => (
              <option key={role} value={role}>
                {role}: {words}
              </option>
            ))}
          </select>
        </div>
        <div class="field">
          <label for="token-groups">Groups</label>
          <input id="token-groups" name="groups" placeholder="all" autoComplete="off" />
          <small>The groups that it is limited to, separated by commas.</small>
        </div>
        <div class="field">
          <label for="token-until">Expires</label>
          <input id="token-until" name="until" type="datetime-local" />
          <small>In this browser's zone. Empty: never.</small>
        </div>
        {problem !== "" && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <div class="actions">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button class="primary">Create token</button>
        </div>
      </form>
    </Dialog>
  );
}
