/**
 * How large other peers may make the table: how many clients, roots and ids under each root an update may bring, and how large
 * the whole table may become. Every peer keeps the whole table in memory and on its disk, and a Yjs document remembers every id
 * for ever, so without limits one member could fill all of them.
 *
 * A peer's own edits keep a margin to the limits, so that no peer makes a table that its neighbours refuse, also if others
 * write at the same time. Only the remedies have no limit of their own. What is on a peer's own disk has none either. A member
 * that lies can fill two peers with different things up to a limit. They then refuse each other's tables, and say so; an honest
 * mesh is far below each limit.
 */
import { Buffer } from "node:buffer";
import * as Y from "yjs";
import { isRevocation } from "../schema/access.ts";
import type { TableEdit } from "../schema/job.ts";
import {
  jobsRoot,
  laterRoot,
  laterRootsCap,
  membershipRoot,
  peersRoot,
  tokensRoot,
  type Root,
} from "./roots.ts";
import { updateCapBytes, type Inspection } from "./update.ts";

/** The table's encoded size: it has to fit into one update, for the peers that join. */
const tableCapBytes = updateCapBytes;
/**
 * The size is only estimated between two counts, which read the whole table. It is counted again when it may have grown by this
 * much.
 */
const countAgainBytes = tableCapBytes / 8;

/** The part of each limit that a peer's own edits leave free, for what others have written and what is still on its way. */
const marginPart = 1 / 8;

/** What an edit takes in the document beside twice its text: stamps, keys and names of peers. */
const editOverheadBytes = 4_096;

type Fitting = Extract<Inspection, { kind: "fits" }>;
type RootType = NonNullable<ReturnType<Y.Doc["share"]["get"]>>;

export class TableCaps {
  readonly #rows: readonly Root[];
  /** The table's size is at most this: what was written over and removed still counts. */
  #bytesMost = 0;
  #bytesCounted = 0;

  constructor(rows: readonly Root[]) {
    this.#rows = rows;
  }

  /** An update with that many bytes has changed the table. */
  grown(bytes: number): void {
    this.#bytesMost += bytes;
  }

  /** Which limit the update would exceed, in words; undefined = none. */
  exceededBy(
    { ends, ids }: Fitting,
    updateBytes: number,
    newClientsMax: number,
    doc: Y.Doc,
  ): string | undefined {
    let newClients = 0;
    for (const [client, end] of ends) if (end > 0 && Y.getState(doc.store, client) === 0) newClients++;
    if (newClients > newClientsMax) return "edits of too many new clients";
    let newRoots = 0;
    for (const [name, named] of ids) {
      const held = doc.share.get(name);
      if (held === undefined) newRoots++;
      if (this.#hasTooManyIds(name, named, held)) return `too many ids under ${name}`;
    }
    const rootsCap = this.#rows.length + laterRootsCap;
    if (newRoots > 0 && doc.share.size + newRoots > rootsCap) return "too many roots";
    return this.#isTooLarge(updateBytes, doc) ? "the table would become too large" : undefined;
  }

  /**
   * Which limit this peer's own edits would exceed, in words; undefined = none. Deletions, forgetting a peer and revoking a token
   * exceed none: they are a person's remedies, and a member that fills the table must not be safe from being forgotten.
   */
  exceededByOwn(
    edits: readonly TableEdit[],
    addsId: (edit: TableEdit) => boolean,
    doc: Y.Doc,
  ): string | undefined {
    const more = edits.filter((one) => !isRemedy(one));
    if (more.length === 0) return undefined;
    const newIds = Map.groupBy(more.filter(addsId), (one) => (one.kind === "set" ? one.root : jobsRoot.name));
    for (const [name, { length }] of newIds) {
      const held = doc.share.get(name);
      const known = held === undefined ? 0 : idsUnder(held).size;
      const most = Math.floor(this.#idsCap(name) * (1 - marginPart));
      if (known + length > most) return `it has had ${known} ids under "${name}", and the maximum is ${most}`;
    }
    const text = more.reduce((sum, one) => sum + 2 * Buffer.byteLength(JSON.stringify(one)), 0);
    const bytes = text + more.length * editOverheadBytes;
    if (!this.#isTooLarge(bytes + tableCapBytes * marginPart, doc)) return undefined;
    return `it takes ${mebibytes(this.#bytesMost)} MiB, and the maximum is ${mebibytes(tableCapBytes * (1 - marginPart))} MiB`;
  }

  #idsCap(name: string): number {
    return (this.#rows.find((root) => root.name === name) ?? laterRoot).idsCap;
  }

  #hasTooManyIds(name: string, named: ReadonlySet<string>, held: RootType | undefined): boolean {
    const idsCap = this.#idsCap(name);
    const known = held === undefined ? noIds : idsUnder(held);
    let newIds = 0;
    for (const id of named) if (!known.has(id)) newIds++;
    return newIds > 0 && known.size + newIds > idsCap;
  }

  #isTooLarge(updateBytes: number, doc: Y.Doc): boolean {
    if (this.#bytesMost + updateBytes <= tableCapBytes) return false;
    if (this.#bytesMost - this.#bytesCounted >= countAgainBytes) {
      this.#bytesMost = Y.encodeStateAsUpdate(doc).length;
      this.#bytesCounted = this.#bytesMost;
    }
    return this.#bytesMost + updateBytes > tableCapBytes;
  }
}

function isRemedy(edit: TableEdit): boolean {
  if (edit.kind === "set") {
    // A token is revoked by removing it, and by an entry that says so.
    const isRevoked = edit.root === tokensRoot.name && (edit.value === null || isRevocation(edit.id));
    return isRevoked || edit.root === peersRoot.name || edit.root === membershipRoot.name;
  }
  return edit.kind === "delete" || edit.kind === "resume" || edit.kind === "unskip";
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 1_048_576);
}

const noIds: ReadonlyMap<string, unknown> = new Map();

/** All ids that the root has ever had: those that were removed take memory as well. */
function idsUnder(root: RootType): ReadonlyMap<string, unknown> {
  // oxlint-disable-next-line no-underscore-dangle -- Yjs shows removed ids only here
  return root._map;
}
