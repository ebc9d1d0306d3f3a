/** Who hears whom, as a table: a row hears a column. If a peer itself is not heard, nobody knows whom it hears. */
import type { JSX } from "preact";
import type { MeshPeer } from "../../live/mesh.ts";
import { Table } from "../../parts/table.tsx";

/** More can't be read. */
const peersMax = 24;

export function WhoHears({ peers }: { peers: readonly MeshPeer[] }): JSX.Element | null {
  if (peers.length < 2 || peers.length > peersMax) return null;
  return (
    <section aria-labelledby="hears-title">
      <header>
        <h2 id="hears-title">Who hears whom</h2>
        <span class="more">each row hears the peers with a dot</span>
      </header>
      <div class="table-wrap" tabIndex={0}>
        <Table
          class="who-hears"
          titledBy="hears-title"
          columns={[{ name: "Peer", isUnseen: true }, ...peers.map(({ name }) => name)]}
        >
          {peers.map((row) => (
            <tr key={row.id} role="row">
              <th role="rowheader" scope="row">
                {row.name}
              </th>
              {peers.map((column) => (
                <td key={column.id} role="cell">
                  {cellOf(row, column)}
                </td>
              ))}
            </tr>
          ))}
        </Table>
      </div>
    </section>
  );
}

function cellOf(row: MeshPeer, column: MeshPeer): JSX.Element {
  if (row.id === column.id) return <span class="quiet">–</span>;
  if (!row.self && row.state !== "alive") return <span class="quiet small">not known</span>;
  const hears = row.self ? column.state === "alive" : row.hears.includes(column.id);
  return hears ? (
    <span class="good">
      ● <span class="hears-word">hears</span>
    </span>
  ) : (
    <span class="bad">
      ✕ <span class="hears-word">not heard</span>
    </span>
  );
}
