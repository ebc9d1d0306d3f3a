/** What jobs share: pools, calendars, maintenances, groups and channels. Each is a name and a few fields, edited as YAML. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ask } from "../../live/ask.ts";
import { may, mayEverywhere } from "../../live/me.ts";
import { carryOut, addRefusal } from "../../live/receipts.ts";
import { useResource } from "../../live/resource.ts";
import type { List } from "../../live/types.ts";
import { Dialog, Nothing, Pending } from "../../parts/parts.tsx";
import { ListEnd, Table } from "../../parts/table.tsx";
import { EditSetting } from "./edit-setting.tsx";
import { kinds, type Kind, type Setting } from "./kinds.ts";
import { SettingText } from "./setting-text.tsx";

const itemsAtOnce = 100;
const itemsMax = 1_000;

export function Settings(): JSX.Element {
  return (
    <>
      <div class="head">
        <h1>Settings</h1>
      </div>
      {kinds.map((kind) => (
        <SettingsOf key={kind.path} kind={kind} />
      ))}
    </>
  );
}

function SettingsOf({ kind }: { kind: Kind }): JSX.Element {
  const { path, title, about, example, readOnly, isOfGroups } = kind;
  const mayWrite = isOfGroups ? may("editor") : mayEverywhere("editor");
  const [limit, setLimit] = useState(itemsAtOnce);
  const found = useResource<List<Setting>>(`/v1/${path}?limit=${limit}`, {
    on: ["job", "run"],
    everyMs: 5_000,
    pollMs: 10_000,
  });
  const [edited, setEdited] = useState<Setting | undefined>();
  const [removed, setRemoved] = useState<string | undefined>();
  const items = found.body?.items ?? [];
  const written = (item: Setting): Setting => ({
    ...Object.fromEntries(Object.entries(item).filter(([name]) => !readOnly.includes(name))),
    name: item.name,
  });
  const edit = async (name: string): Promise<void> => {
    try {
      setEdited(written((await ask<Setting>(`/v1/${path}/${encodeURIComponent(name)}`)).body));
    } catch (error) {
      addRefusal(error);
    }
  };
  const remove = (name: string): void => {
    setRemoved(undefined);
    const url = `/v1/${path}/${encodeURIComponent(name)}`;
    void carryOut(async () => {
      const { body } = await ask<Setting>(url);
      await ask(url, { method: "DELETE" });
      found.reload();
      const { name: _, ...value } = written(body);
      // A hidden secret can't be put back.
      return path === "channels"
        ? { text: `${name} is removed.` }
        : {
            text: `${name} is removed.`,
            undo: async () => {
              await ask(url, { method: "PUT", body: value });
              found.reload();
            },
          };
    });
  };
  return (
    <section aria-labelledby={`${path}-title`}>
      <header>
        <h2 id={`${path}-title`}>{title}</h2>
        <span class="more">
          {about}{" "}
          {mayWrite && (
            <button
              class="plain"
              aria-label={`New in ${title}`}
              onClick={() => setEdited({ name: "", ...example })}
            >
              New
            </button>
          )}
        </span>
      </header>
      {found.body === undefined ? (
        <Pending of={found} what={title.toLowerCase()} />
      ) : items.length === 0 ? (
        <Nothing>None yet.</Nothing>
      ) : (
        <div class="table-wrap">
          <Table titledBy={`${path}-title`} columns={["Name", "Value", "Actions"]} hidesHead>
            {items.map((item) => (
              <tr key={item.name} role="row">
                <th role="rowheader" scope="row">
                  {item.name}
                </th>
                <td role="cell" class="whole">
                  <SettingText item={item} kind={kind} />
                </td>
                <td role="cell" class="end number">
                  {mayWrite && (
                    <span class="row-actions">
                      {path === "channels" && (
                        <button aria-label={`Test ${item.name}`} onClick={() => void test(item.name)}>
                          Test
                        </button>
                      )}
                      <button aria-label={`Edit ${item.name}`} onClick={() => void edit(item.name)}>
                        Edit
                      </button>
                      <button
                        class="danger"
                        aria-label={`Remove ${item.name}`}
                        onClick={() => setRemoved(item.name)}
                      >
                        Remove
                      </button>
                    </span>
                  )}
                </td>
              </tr>
            ))}
          </Table>
          <ListEnd
            hasMore={found.body.nextCursor !== null}
            limit={limit}
            limitMax={itemsMax}
            setLimit={setLimit}
          />
        </div>
      )}
      {edited !== undefined && (
        <EditSetting
          kind={kind}
          setting={edited}
          onClose={() => setEdited(undefined)}
          onDone={found.reload}
        />
      )}
      {removed !== undefined && (
        <Dialog title={`Remove ${removed}?`} onClose={() => setRemoved(undefined)}>
          <p>This removes it on every peer. It can't be removed while jobs name it.</p>
          <div class="actions">
            <button onClick={() => setRemoved(undefined)} autoFocus>
              Keep it
            </button>
            <button class="danger" onClick={() => remove(removed)}>
              Remove it
            </button>
          </div>
        </Dialog>
      )}
    </section>
  );
}

function test(name: string): Promise<boolean> {
  return carryOut(async () => {
    await ask(`/v1/channels/${encodeURIComponent(name)}/test`, { method: "POST" });
    return { text: `${name} has taken a test notice.` };
  });
}
