/** What jobs share: pools, calendars, maintenances, groups and channels. Each is a name and a few fields, edited as YAML. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ask } from "../../live/ask.ts";
import { may, mayEverywhere } from "../../live/me.ts";
import { carryOut, addRefusal } from "../../live/receipts.ts";
import { useResource } from "../../live/resource.ts";
import type { List } from "../../live/types.ts";
import { Nothing, Pending, Question } from "../../parts/parts.tsx";
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
  const { path, title, one, about, example, isOfGroups } = kind;
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
  const edit = async (name: string): Promise<void> => {
    try {
      setEdited(written(kind, (await ask<Setting>(pathOf(kind, name))).body));
    } catch (error) {
      addRefusal(error);
    }
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
              aria-label={`New ${one}`}
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
              <SettingRow
                key={item.name}
                kind={kind}
                item={item}
                mayWrite={mayWrite}
                onEdit={() => void edit(item.name)}
                onRemove={() => setRemoved(item.name)}
              />
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
        <RemoveDialog
          kind={kind}
          name={removed}
          onClose={() => setRemoved(undefined)}
          onDone={found.reload}
        />
      )}
    </section>
  );
}

interface RowProps {
  kind: Kind;
  item: Setting;
  mayWrite: boolean;
  onEdit: () => void;
  onRemove: () => void;
}

function SettingRow({ kind, item, mayWrite, onEdit, onRemove }: RowProps): JSX.Element {
  const { name } = item;
  return (
    <tr role="row">
      <th role="rowheader" scope="row">
        {name}
      </th>
      <td role="cell" class="whole">
        <SettingText item={item} kind={kind} />
      </td>
      <td role="cell" class="end number">
        {mayWrite && (
          <span class="row-actions">
            {kind.path === "channels" && (
              <button aria-label={`Test ${name}`} onClick={() => void test(name)}>
                Test
              </button>
            )}
            <button aria-label={`Edit ${name}`} onClick={onEdit}>
              Edit
            </button>
            <button class="danger" aria-label={`Remove ${name}`} onClick={onRemove}>
              Remove
            </button>
          </span>
        )}
      </td>
    </tr>
  );
}

interface RemoveProps {
  kind: Kind;
  name: string;
  onClose: () => void;
  onDone: () => void;
}

function RemoveDialog({ kind, name, onClose, onDone }: RemoveProps): JSX.Element {
  const act = (): void => {
    onClose();
    void remove(kind, name, onDone);
  };
  return (
    <Question title={`Remove ${name}?`} no="Keep it" yes="Remove it" onClose={onClose} onYes={act}>
      <p>This removes it on every peer. It can't be removed while jobs use it.</p>
    </Question>
  );
}

function pathOf({ path }: Kind, name: string): string {
  return `/v1/${path}/${encodeURIComponent(name)}`;
}

/** Without the fields that only cicada writes. */
function written({ readOnly }: Kind, item: Setting): Setting {
  const own = Object.entries(item).filter(([field]) => !readOnly.includes(field));
  return { ...Object.fromEntries(own), name: item.name };
}

function remove(kind: Kind, name: string, onDone: () => void): Promise<boolean> {
  const path = pathOf(kind, name);
  return carryOut(async () => {
    const { name: _, ...value } = written(kind, (await ask<Setting>(path)).body);
    await ask(path, { method: "DELETE" });
    onDone();
    const text = `${name} is removed.`;
    // A hidden secret can't be put back.
    if (kind.path === "channels") return { text };
    const undo = async (): Promise<void> => {
      await ask(path, { method: "PUT", body: value });
      onDone();
    };
    return { text, undo };
  });
}

function test(name: string): Promise<boolean> {
  return carryOut(async () => {
    await ask(`/v1/channels/${encodeURIComponent(name)}/test`, { method: "POST" });
    return { text: `${name} accepted a test notice.` };
  });
}
