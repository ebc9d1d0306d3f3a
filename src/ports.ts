/**
 * The doors of a peer, as types. Behind each stands the world (`real/`) or the simulator (`sim/`), and one
 * contract suite per door runs against both (test/kit/contract/).
 *
 * The rule of every door: a call takes its arguments, returns nothing (or at once), and what comes of it is
 * reported later through a callback, never within the call itself. No promise crosses a door, so the
 * simulator decides the order in which everything happens. The one exception is Control (ports/control.ts), by which the
 * API asks the peer: the simulator never calls it.
 */
import type { CicadaError } from "./errors.ts";
import type { Disk } from "./ports/disk.ts";
import type { JobId, PeerId, RunId, TickId } from "./schema/ids.ts";
import type { Channel, Protocol, Topic } from "./schema/message.ts";

export type Cancel = () => void;

/** Wall time says when a tick is due; monotonic time measures how long something has lasted. Both in ms. */
export interface Now {
  wall: number;
  mono: number;
  /** for how long altogether the host was suspended since this clock was opened, which `mono` does not count; ms */
  suspendedMs?: number;
  /** the host says that its wall clock follows a time server */
  synchronised?: boolean;
}

export interface Clock {
  now(): Now;
  /**
   * Rings once, at the monotonic instant or a little later. A ring that comes late (the process was held up)
   * lets what has already arrived on the sockets be read first.
   */
  alarm(atMono: number, ring: () => void): Cancel;
}

export interface Random {
  /** 0 ≤ x < 1 */
  next(): number;
  bytes(length: number): Uint8Array;
}

export interface Keys {
  readonly self: PeerId;
  /**
   * 16 hex digits that name the mesh, made of its first cluster key: equal for all who may talk to each other, and the
   * same after the key has been rotated.
   */
  readonly cluster: string;
  sign(bytes: Uint8Array): Uint8Array;
  verify(peer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean;
}

/** A new cluster key on its way to a member. */
export interface KeyChange {
  key: Uint8Array;
  /** wall ms: of two changes the later one counts */
  madeAt: number;
  /** wall ms: until then the keys before it are accepted */
  oldUntil: number;
  /** whom it may be handed to: the members of that day, so that who holds but the old key does not get the new one */
  heirs: readonly PeerId[];
  /** for each older key that the sender knows, by fingerprint, that it does: base64url */
  proofs: Readonly<Record<string, string>>;
}

/** The cluster key, which may be another one tomorrow. Every change is durable before its `done`. */
export interface Keyring {
  /** of the present key, 16 hex digits */
  fingerprint(): string;
  /** wall ms; 0 = the mesh's first key */
  madeAt(): number;
  /** Makes a new key and takes it for the present one. */
  rotate(change: Pick<KeyChange, "madeAt" | "oldUntil" | "heirs">, done: (error?: CicadaError) => void): void;
  /** Takes over another peer's change. BAD_KEY: whoever made it did not know the present key. */
  adopt(change: KeyChange, done: (error?: CicadaError) => void): void;
  /** The change that members still have to be given: the last one, as long as older keys are accepted. */
  ongoingRotation(): KeyChange | undefined;
}

export interface MeshEvents {
  /** At least one connection to the peer is usable now. */
  linkUp(peer: PeerId): void;
  /** None is left: `closed` = said goodbye, `reset` = broke off. */
  linkDown(peer: PeerId, why: "closed" | "reset"): void;
  /** After a reset: redialled, and the host answered that nobody listens there. `times` counts from 1. */
  redialRefused(peer: PeerId, times: number): void;
  /** A peer has turned this one away at its door: the mesh has forgotten this peer's identity. */
  turnedAway(by: PeerId): void;
  /**
   * A peer has proved that it holds this peer's present cluster key as one that was rotated away. Comes again at each try,
   * every few seconds, for as long as it is so.
   */
  keySuperseded(by: PeerId): void;
  /** Authenticated as coming from `from`; not yet decoded. */
  received(from: PeerId, channel: Channel, bytes: Uint8Array): void;
}

/**
 * Finds, dials and redials for ever, by itself, every peer that it learns of, and remembers addresses.
 * Delivery is best effort: a message may be lost with its link or, by gossip, while the mesh forms.
 */
export interface Mesh {
  start(events: MeshEvents): void;
  /** To all. May be lost; never delivered to the publisher itself. */
  publish(topic: Topic, bytes: Uint8Array): void;
  /** To one, in order per (peer, protocol). Dropped when there is no link. */
  send(to: PeerId, protocol: Protocol, bytes: Uint8Array): void;
  /**
   * From now on these identities are kept out: their links end, they are neither dialled nor told of, and whoever
   * knocks as one of them is told that it has been forgotten. The list is the whole of them; may be called before
   * `start`.
   */
  refuse(peers: readonly PeerId[]): void;
  /** Peers that were named or remembered and that should be there, linked or not (ids as far as known). */
  known(): readonly PeerId[];
  /** How many addresses were named whose peer id is not known yet. */
  unresolved(): number;
  /** Own addresses, for others to dial. */
  addresses(): readonly string[];
  stop(done: () => void): void;
}

/** A program on this host, in a process group of its own. */
export interface ProcessAction {
  kind: "process";
  argv: readonly string[];
  stdin: string;
  /** empty = the data folder's work/, or a folder of its own for a process of another user */
  cwd: string;
  /** empty = the peer's own */
  user: string;
  umask: number;
  /** between TERM and KILL, when the run is stopped or times out */
  killGraceMs: number;
}

/** What a run does. Behind the door stands one executor for each kind. */
export type RunAction = ProcessAction;

/** One run, decided by core in every detail, so that an executor only obeys. */
export interface RunSpec {
  run: RunId;
  job: JobId;
  tick: TickId;
  action: RunAction;
  /** what the peer's host gives every run; for a process of another user, HOME, USER and SHELL become that user's */
  hostEnv: Readonly<Record<string, string>>;
  /** what is asked for: the job's own variables, which win over the host's */
  env: Readonly<Record<string, string>>;
  /** 0 = none */
  timeoutMs: number;
  logCapBytes: number;
  /** wall clock, ms: too late to start after this; the executor checks it once more just before the start */
  notAfter: number;
}

export type ChildOutcome =
  | { kind: "exited"; exitCode: number; logBytes: number; logTruncated: boolean }
  | { kind: "signalled"; signal: string; logBytes: number; logTruncated: boolean }
  | { kind: "timeout"; logBytes: number; logTruncated: boolean }
  | { kind: "cancelled"; logBytes: number; logTruncated: boolean }
  /**
   * Never started. `late`: after notAfter; `error`: the job's fault (no such program, user, folder …); `host`: a fault of
   * this host (no room for a process, a full disk under the peer's own files …), which says nothing about the job.
   */
  | { kind: "not-started"; why: "late" | "error" | "host"; reason: string };

export interface ExecutorEvents {
  childStarted(run: RunId, at: number): void;
  /** It was to be ended and can't be: it stays open until it is gone. */
  childStuck(run: RunId, reason: string): void;
  /** The child and its process group are gone. Instants are wall clock, ms. */
  childEnded(run: RunId, outcome: ChildOutcome, at: number): void;
}

export interface LogPiece {
  bytes: Uint8Array;
  offset: number;
  size: number;
  /** no more will be written */
  complete: boolean;
}

/**
 * Runs programs and keeps their outputs: in a file while the run is on, and from its end on in a file or, up to
 * `smallOutputBytes`, in the database, where it is durable no later than the run's end. A reader can't tell the difference.
 */
export interface Executor {
  start(events: ExecutorEvents): void;
  launch(spec: RunSpec): void;
  /** TERM to the group, KILL after the run's grace. */
  stop(run: RunId): void;
  /**
   * After a restart: ends whatever still runs of an earlier life of this peer, and reports which runs of that life
   * had been started (they have an output, which may be empty), so that core can tell `lost` from `withdrawn`.
   */
  sweep(runs: readonly RunId[], done: (started: ReadonlySet<RunId>) => void): void;
  /** The output as kept here, own or a copy; undefined = none is kept. */
  readLog(run: RunId, offset: number, length: number, done: (piece: LogPiece | undefined) => void): void;
  /**
   * The whole output, gzipped, for a copy elsewhere. `too-large`: that takes more than the cap. Undefined: there is none.
   */
  packLog(run: RunId, capBytes: number, done: (gzip: Uint8Array | "too-large" | undefined) => void): void;
  /** Keeps a copy of another peer's output. */
  keepLog(run: RunId, gzip: Uint8Array): void;
  /** Removes the files of outputs and copies. Those in the database go with their records (`Disk.prune`). */
  dropLogs(runs: readonly RunId[]): void;
  /** How much all outputs and copies take that are files. */
  logBytes(done: (bytes: number) => void): void;
  /** Ends every child group (TERM, then KILL after its grace) and then itself. */
  close(done: () => void): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface Doors {
  clock: Clock;
  random: Random;
  keys: Keys;
  keyring: Keyring;
  mesh: Mesh;
  disk: Disk;
  executor: Executor;
  log: Log;
}
