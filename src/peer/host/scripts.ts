/**
 * Scripts (DESIGN §10): every peer keeps the bytes of the scripts that jobs name. When such a job arrives in the table, they
 * are fetched from a peer that has them, one piece on each request, and checked by their name; so they are here before the
 * job's next tick. Until then, and while the host lacks a job's interpreter, this peer doesn't run the job and says so.
 *
 * A script that no job has named for a day is removed. Not promised: a script whose only holder is gone.
 */
import type { Cancel, Clock } from "../../ports.ts";
import type { Scripts } from "../../ports/scripts.ts";
import { CicadaError } from "../../errors.ts";
import { scriptName } from "../../core/checks/script.ts";
import { memberHashesOf, rankKey } from "../../core/job/rank.ts";
import type { AuditEntry } from "../../schema/audit.ts";
import { parseRunReference, type JobId, type PeerId, type RunId } from "../../schema/ids.ts";
import type { Job } from "../../schema/job.ts";
import type { Message, MessageOf } from "../../schema/message.ts";
import { scriptCapBytes, scriptsCapBytes, type ScriptUse } from "../../schema/script.ts";
import { encodeBytes, pieceBytes } from "../messages/pieces.ts";

/** How long a peer may take to answer before the next one is asked. */
const answerMs = 3_000;
/**
 * A piece that isn't the last one is no shorter than this. With less, a peer that sends byte after byte could keep a script from
 * being fetched for weeks; with more, a later version has less choice.
 */
const pieceLeastBytes = pieceBytes / 2;
/** When no peer in reach had a script, it is asked for again after this time. */
const askAgainMs = 5_000;
/** More holds more bytes in memory; less is slower when many jobs arrive at once. */
const fetchedAtOnce = 4;
/** Pieces read for one peer at once. An honest one asks for `fetchedAtOnce`. */
const givenAtOnce = 16;
/** How often it is checked which interpreters are installed, and which scripts are unused. */
const checkEveryMs = 60_000;
const unusedKeptMs = 86_400_000;

interface ScriptDeps {
  door: Scripts;
  clock: Clock;
  send(to: PeerId, message: Message): void;
  /** the living members other than this peer */
  living(): PeerId[];
  /** what jobs need and is not here */
  lacks(items: readonly string[]): void;
  count(name: string): void;
  /** Stores entries of the audit, if the disk takes them. */
  note(entries: readonly AuditEntry[], done: () => void): void;
}

interface Fetch {
  /** the peers that have not been asked yet */
  rest: PeerId[];
  from: PeerId;
  id: number;
  parts: Uint8Array[];
  bytes: number;
  giveUp: Cancel;
}

type Found = (bytes: Uint8Array | undefined) => void;

export class ScriptStore {
  readonly #deps: ScriptDeps;
  /** names and sizes; undefined = not read yet */
  #kept: Map<string, number> | undefined;
  readonly #uses = new Map<JobId, ScriptUse>();
  /** the interpreters that were missing at the last check; undefined = there was none yet */
  #missing: ReadonlySet<string> | undefined;
  #reported = "";
  #checks = 0;
  readonly #fetches = new Map<string, Fetch>();
  /** when a script that no peer had is asked for again; monotonic, ms */
  readonly #askAgainAt = new Map<string, number>();
  readonly #waiting = new Map<string, Found[]>();
  readonly #giving = new Map<PeerId, number>();
  /** since when no job names a script; monotonic, ms */
  readonly #unusedSince = new Map<string, number>();
  #checkAt = -Infinity;
  #nextId = 1;

  constructor(deps: ScriptDeps, jobs: Iterable<Job>) {
    this.#deps = deps;
    for (const job of jobs) this.#note(job.id, job);
  }

  begin(): void {
    this.#refresh();
    this.#deps.door.list((kept) => {
      this.#kept = new Map([...(this.#kept ?? []), ...kept]);
      this.#refresh();
    });
  }

  jobsChanged(changes: Iterable<{ id: JobId; job: Job | undefined }>): void {
    let isConcerned = false;
    let isNewInterpreter = false;
    for (const { id, job } of changes) {
      const before = this.#uses.get(id);
      this.#note(id, job);
      const now = this.#uses.get(id);
      if (before !== undefined || now !== undefined) isConcerned = true;
      if (now !== undefined && now.interpreter !== before?.interpreter) isNewInterpreter = true;
    }
    if (isNewInterpreter) this.#checkInterpreters();
    if (isConcerned) this.#refresh();
  }

  /** Whether the host is being asked for the job's interpreter. */
  isChecking(id: JobId): boolean {
    return this.#checks > 0 && this.#uses.has(id);
  }

  /** Called about once a second. */
  woke(mono: number): void {
    if (mono >= this.#checkAt) {
      this.#checkAt = mono + checkEveryMs;
      if (this.#uses.size > 0) this.#checkInterpreters();
      this.#removeUnused(mono);
    }
    if (this.#askAgainAt.size > 0) this.#fetchMissing();
  }

  /** Stores a script that a person brings. `created`: it was not here before. */
  put(
    bytes: Uint8Array,
    entriesOf: (sha256: string) => readonly AuditEntry[],
    done: (stored: { sha256: string; created: boolean } | CicadaError) => void,
  ): void {
    const sha256 = scriptName(bytes);
    if (this.#kept?.has(sha256) === true) return done({ sha256, created: false });
    if (!this.#makeRoom(bytes.length)) {
      const detail = `scripts that jobs use take nearly ${scriptsCapBytes} bytes on this peer`;
      return done(new CicadaError("SCRIPTS_FULL", detail));
    }
    // The note is stored first. If the peer died between the two and the script were sent again, it would be no change any
    // more, and nothing would be noted.
    this.#deps.note(entriesOf(sha256), () =>
      this.#store(sha256, bytes, (error) => done(error ?? { sha256, created: true })),
    );
  }

  /** Reads a script from here or from another peer. */
  get(sha256: string, done: Found): void {
    if (this.#kept?.has(sha256) === true) return this.#read(sha256, done);
    this.#waiting.set(sha256, [...(this.#waiting.get(sha256) ?? []), done]);
    this.#fetch(sha256);
  }

  /** The run could not be started: its job's script may be damaged, which is found by reading it. */
  checkOf(run: RunId): void {
    const job = parseRunReference(run)?.job;
    const use = job === undefined ? undefined : this.#uses.get(job);
    if (use !== undefined && this.#kept?.has(use.sha256) === true) this.#read(use.sha256, () => undefined);
  }

  heard(from: PeerId, message: MessageOf<"blob-read" | "blob-piece">): void {
    if (message.kind === "blob-read") this.#give(from, message);
    else this.#taken(from, message);
  }

  #note(id: JobId, job: Job | undefined): void {
    const script = job?.spec.script;
    if (script === undefined) this.#uses.delete(id);
    else this.#uses.set(id, script);
  }

  #isUsed(sha256: string): boolean {
    for (const use of this.#uses.values()) if (use.sha256 === sha256) return true;
    return false;
  }

  #read(sha256: string, done: Found): void {
    this.#deps.door.read(sha256, (bytes) => {
      if (bytes === undefined) {
        this.#kept?.delete(sha256);
        this.#refresh();
      }
      done(bytes);
    });
  }

  #checkInterpreters(): void {
    const names = [...new Set([...this.#uses.values()].map(({ interpreter }) => interpreter))];
    this.#checks++;
    this.#deps.door.missingInterpreters(names, (missing) => {
      this.#checks--;
      this.#missing = new Set(missing);
      this.#refresh();
    });
  }

  /** Says what is missing, if that has changed, and fetches the scripts among it. */
  #refresh(): void {
    const items = new Set<string>();
    for (const { sha256, interpreter } of this.#uses.values()) {
      if (this.#kept?.has(sha256) !== true) items.add(`script:${sha256}`);
      if (this.#missing?.has(interpreter) !== false) items.add(`interpreter:${interpreter}`);
    }
    const lacks = [...items].toSorted();
    if (lacks.join() !== this.#reported) {
      this.#reported = lacks.join();
      this.#deps.lacks(lacks);
    }
    this.#fetchMissing();
  }

  // ------------------------------------------------------------------------------------------- fetching

  #fetchMissing(): void {
    if (this.#kept === undefined) return;
    for (const { sha256 } of this.#uses.values()) if (!this.#kept.has(sha256)) this.#fetch(sha256);
  }

  #fetch(sha256: string): void {
    const { mono } = this.#deps.clock.now();
    const isAsked = this.#waiting.has(sha256);
    if (this.#fetches.has(sha256) || (!isAsked && mono < (this.#askAgainAt.get(sha256) ?? -Infinity))) return;
    if (this.#fetches.size >= fetchedAtOnce && !isAsked) return void this.#askAgainAt.set(sha256, mono);
    this.#askNext(sha256, rankKey(sha256, memberHashesOf(this.#deps.living())));
  }

  #askNext(sha256: string, peers: readonly PeerId[]): void {
    const [from, ...rest] = peers;
    if (from === undefined) return this.#notFound(sha256);
    this.#request(sha256, { rest, from, parts: [], bytes: 0 });
  }

  #request(sha256: string, fetch: Omit<Fetch, "id" | "giveUp">): void {
    const { clock } = this.#deps;
    const id = this.#nextId++;
    const giveUp = clock.alarm(clock.now().mono + answerMs, () => this.#tryNext(sha256));
    this.#fetches.set(sha256, { ...fetch, id, giveUp });
    this.#deps.send(fetch.from, { kind: "blob-read", id, sha256, offset: fetch.bytes });
  }

  #tryNext(sha256: string): void {
    const fetch = this.#fetches.get(sha256);
    fetch?.giveUp();
    this.#fetches.delete(sha256);
    this.#askNext(sha256, fetch?.rest ?? []);
  }

  #taken(from: PeerId, { id, sha256, offset, bytes, size }: MessageOf<"blob-piece">): void {
    const fetch = this.#fetches.get(sha256);
    if (fetch === undefined || fetch.from !== from || fetch.id !== id) return;
    const part = Buffer.from(bytes, "base64");
    const total = fetch.bytes + part.length;
    const isNext = offset === fetch.bytes && size <= scriptCapBytes && total <= size;
    const isTooShort = total < size && part.length < pieceLeastBytes;
    if (!isNext || isTooShort) return this.#tryNext(sha256);
    fetch.giveUp();
    const parts = [...fetch.parts, part];
    if (total < size) return this.#request(sha256, { ...fetch, parts, bytes: total });
    const whole = Buffer.concat(parts);
    if (scriptName(whole) !== sha256) {
      this.#deps.count("scripts_damaged");
      return this.#tryNext(sha256);
    }
    if (!this.#makeRoom(whole.length)) {
      this.#deps.count("scripts_refused");
      return this.#notFound(sha256, whole);
    }
    this.#store(sha256, whole, (error) => {
      if (error !== undefined) return this.#notFound(sha256, whole);
      this.#fetches.delete(sha256);
      this.#deps.count("scripts_fetched");
      this.#answerWaiting(sha256, whole);
      this.#fetchMissing();
    });
  }

  /** Called when the script can't be kept here now. `bytes`: they came, and could not be stored. */
  #notFound(sha256: string, bytes?: Uint8Array): void {
    this.#fetches.delete(sha256);
    if (this.#isUsed(sha256)) this.#askAgainAt.set(sha256, this.#deps.clock.now().mono + askAgainMs);
    this.#answerWaiting(sha256, bytes);
  }

  #answerWaiting(sha256: string, bytes: Uint8Array | undefined): void {
    const waiting = this.#waiting.get(sha256) ?? [];
    this.#waiting.delete(sha256);
    for (const done of waiting) done(bytes);
  }

  #store(sha256: string, bytes: Uint8Array, done: (error?: CicadaError) => void): void {
    this.#deps.door.store(sha256, bytes, (error) => {
      if (error === undefined) {
        this.#kept = new Map([...(this.#kept ?? []), [sha256, bytes.length]]);
        this.#askAgainAt.delete(sha256);
        this.#refresh();
      }
      done(error);
    });
  }

  // -------------------------------------------------------------------------------------------- keeping

  #give(to: PeerId, { id, sha256, offset }: MessageOf<"blob-read">): void {
    const giving = this.#giving.get(to) ?? 0;
    if (giving >= givenAtOnce) return this.#deps.count("script_reads_refused");
    this.#giving.set(to, giving + 1);
    const answer: Found = (bytes) => {
      const left = (this.#giving.get(to) ?? 1) - 1;
      if (left > 0) this.#giving.set(to, left);
      else this.#giving.delete(to);
      const part = bytes?.subarray(offset, offset + pieceBytes);
      // For a script that isn't here, the piece is empty and the size is the largest: the asker sees that nothing came.
      this.#deps.send(to, {
        kind: "blob-piece",
        id,
        sha256,
        offset,
        size: bytes?.length ?? scriptCapBytes,
        bytes: part === undefined ? "" : encodeBytes(part),
      });
    };
    if (this.#kept?.has(sha256) === true) this.#read(sha256, answer);
    else answer(undefined);
  }

  /** False if the scripts in use leave no room. Unused ones are removed first, the oldest before the others. */
  #makeRoom(bytes: number): boolean {
    const kept = this.#kept ?? new Map<string, number>();
    let total = bytes;
    for (const size of kept.values()) total += size;
    const unused = [...kept].filter(([sha256]) => !this.#isUsed(sha256));
    unused.sort(
      ([a], [b]) => (this.#unusedSince.get(a) ?? Infinity) - (this.#unusedSince.get(b) ?? Infinity),
    );
    for (const [sha256, size] of unused) {
      if (total <= scriptsCapBytes) return true;
      this.#remove(sha256);
      total -= size;
    }
    return total <= scriptsCapBytes;
  }

  #removeUnused(mono: number): void {
    const used = new Set([...this.#uses.values()].map(({ sha256 }) => sha256));
    for (const sha256 of this.#askAgainAt.keys()) if (!used.has(sha256)) this.#askAgainAt.delete(sha256);
    for (const sha256 of this.#kept?.keys() ?? []) {
      if (used.has(sha256)) this.#unusedSince.delete(sha256);
      else if (mono - (this.#unusedSince.get(sha256) ?? mono) >= unusedKeptMs) this.#remove(sha256);
      else if (!this.#unusedSince.has(sha256)) this.#unusedSince.set(sha256, mono);
    }
  }

  #remove(sha256: string): void {
    this.#kept?.delete(sha256);
    this.#unusedSince.delete(sha256);
    this.#deps.door.remove(sha256);
  }
}
