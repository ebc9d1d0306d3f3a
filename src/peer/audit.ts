/**
 * Reads the audit of the whole mesh: this peer's own, and what the other living peers keep of what was asked of them. Each is asked
 * for its newest entries that fit, in one message; they are merged by their times. A peer that doesn't answer in time, or whose
 * version has no audit, is left out, and the answer says which peers it covers.
 */
import { CicadaError } from "../errors.ts";
import type { Cancel, Clock } from "../ports.ts";
import type { Disk } from "../ports/disk.ts";
import type { AuditEntry, AuditFound, AuditPage, AuditQuery } from "../schema/audit.ts";
import { auditRowsAsked } from "../schema/audit.ts";
import { sameValue } from "../schema/equal.ts";
import type { PeerId } from "../schema/ids.ts";
import { inParts, type Message, type MessageOf } from "../schema/message.ts";

/** How long a peer may take to answer. More makes a person wait for a peer that is about to be dead. */
const answerMs = 3_000;
/** How many pages are read for one peer at once. */
const givenAtOnce = 4;

interface AuditDeps {
  self: PeerId;
  clock: Clock;
  disk: Pick<Disk, "audit">;
  send(to: PeerId, message: Message): void;
  /** the living members, other than this peer, that have an audit */
  others(): PeerId[];
  count(name: string): void;
}

interface Waiting {
  from: PeerId;
  answer(page: AuditPage | undefined): void;
  giveUp: Cancel;
}

type AuditMessage = MessageOf<"audit-read" | "audit-page">;

export class AuditReader {
  readonly #deps: AuditDeps;
  readonly #waiting = new Map<number, Waiting>();
  readonly #giving = new Map<PeerId, number>();
  #nextId = 1;

  constructor(deps: AuditDeps) {
    this.#deps = deps;
  }

  /** A page, newest first. `cursor`: what the page before gave as `next`. */
  read(
    query: Omit<AuditQuery, "after">,
    cursor: string | undefined,
    done: (found: AuditFound | CicadaError) => void,
  ): void {
    const places = readPlaces(cursor);
    if (places instanceof CicadaError) return done(places);
    const { self } = this.#deps;
    const peers = [self, ...this.#deps.others()];
    const pages = new Map<PeerId, AuditPage>();
    let left = peers.length;
    let failure: CicadaError | undefined;
    const took = (peer: PeerId, page: AuditPage | CicadaError | undefined): void => {
      if (page instanceof CicadaError) failure = page;
      else if (page !== undefined) pages.set(peer, page);
      if (--left > 0) return;
      done(failure ?? merge(pages, places, query.limit));
    };
    for (const peer of peers) {
      const after = places.get(shortened(peer));
      const asked = { ...query, ...(after === undefined ? {} : { after }) };
      if (peer === self) this.#deps.disk.audit(asked, (page) => took(peer, page));
      else this.#ask(peer, asked, (page) => took(peer, page));
    }
  }

  #ask(to: PeerId, query: AuditQuery, done: (page: AuditPage | undefined) => void): void {
    const { clock } = this.#deps;
    const id = this.#nextId++;
    const giveUp = clock.alarm(clock.now().mono + answerMs, () => {
      this.#waiting.delete(id);
      done(undefined);
    });
    this.#waiting.set(id, { from: to, answer: done, giveUp });
    const limit = Math.min(query.limit, auditRowsAsked);
    const { groups, ...rest } = query;
    const asked = groups === undefined ? rest : { ...rest, groups: [...groups] };
    this.#deps.send(to, { kind: "audit-read", id, query: { ...asked, limit } });
  }

  heard(from: PeerId, message: AuditMessage): void {
    if (message.kind === "audit-read") return this.#give(from, message);
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined || waiting.from !== from) return;
    this.#waiting.delete(message.id);
    waiting.giveUp();
    waiting.answer(message.found ? { rows: message.rows, more: message.more } : undefined);
  }

  #give(to: PeerId, { id, query }: MessageOf<"audit-read">): void {
    const giving = this.#giving.get(to) ?? 0;
    if (giving >= givenAtOnce) return this.#deps.count("audit_reads_refused");
    this.#giving.set(to, giving + 1);
    this.#deps.disk.audit(query, (page) => {
      const left = (this.#giving.get(to) ?? 1) - 1;
      if (left > 0) this.#giving.set(to, left);
      else this.#giving.delete(to);
      const isRead = !(page instanceof CicadaError);
      const [rows = []] = isRead ? inParts(page.rows) : [];
      const more = isRead && (page.more || rows.length < page.rows.length);
      this.#deps.send(to, { kind: "audit-page", id, found: isRead, rows, more });
    });
  }
}

/**
 * The newest entries of all pages. Where a peer's page is used up and the peer has more, the merged page ends, because the next
 * of that peer may be newer than the next of the others. An entry that several peers have is shown once: a peer that was restored
 * from a backup has those of the peer that was backed up.
 */
function merge(
  pages: ReadonlyMap<PeerId, AuditPage>,
  before: ReadonlyMap<string, number>,
  limit: number,
): AuditFound {
  const places = new Map(before);
  const read = [...pages].map(([peer, page]) => ({ peer, ...page, next: 0 }));
  const entries: (AuditEntry & { peer: PeerId })[] = [];
  while (entries.length < limit) {
    if (read.some(({ rows, next, more }) => next >= rows.length && more)) break;
    const at = ({ rows, next }: (typeof read)[number]): number => rows[next]?.entry.at ?? -Infinity;
    const newest = read.reduce((best, one) => (at(one) > at(best) ? one : best), read[0] ?? nobody);
    const row = newest.rows[newest.next];
    if (row === undefined) break;
    entries.push({ ...row.entry, peer: newest.peer });
    for (const one of read) {
      const same = one.rows[one.next];
      if (same === undefined || !sameValue(same.entry, row.entry)) continue;
      places.set(shortened(one.peer), same.place);
      one.next++;
    }
  }
  const hasMore = read.some(({ rows, next, more }) => next < rows.length || more);
  return {
    entries,
    next: hasMore ? JSON.stringify(Object.fromEntries(places)) : null,
    covered: [...pages.keys()],
  };
}

const nobody = { peer: "" as PeerId, rows: [], more: false, next: 0 };

/** Ids begin alike, and a cursor has to fit into an address. */
function shortened(peer: PeerId): string {
  return peer.slice(-8);
}

/** By the shortened id of each peer: the place of its last entry that was shown. */
function readPlaces(cursor: string | undefined): Map<string, number> | CicadaError {
  if (cursor === undefined) return new Map();
  try {
    const read: unknown = JSON.parse(cursor);
    const places = typeof read === "object" && read !== null ? Object.entries(read) : [];
    if (places.every(([, place]) => Number.isSafeInteger(place)))
      return new Map(places as [string, number][]);
  } catch {
    // told below
  }
  return new CicadaError("UNPROCESSABLE", "cursor: give `nextCursor` of the previous page, unchanged");
}
