/**
 * The doors of a peer, as types. Behind each is the world (`real/`) or the simulator (`sim/`), and one contract suite per door
 * runs against both (test/kit/contract/).
 *
 * The rule of every door: a call returns at once, and its result is reported later through a callback, never within the call
 * itself. No promise crosses a door, so the simulator decides the order in which everything happens. The one exception is
 * Control (ports/control.ts), through which the API asks the peer: the simulator never calls it.
 */
import type { CicadaError } from "./errors.ts";
import type { Disk } from "./ports/disk.ts";
import type { PatternRule } from "./ports/patterns.ts";
import type { Scripts } from "./ports/scripts.ts";
import type { Secrets } from "./ports/secrets.ts";
import type { Notifier } from "./ports/notifier.ts";
import type { JobId, PeerId, RunId, TickId } from "./schema/ids.ts";
import type { Channel, Protocol, Topic } from "./schema/message.ts";

export type Cancel = () => void;

/** Wall time says when a tick is due; monotonic time measures how long something has lasted. Both in ms. */
export interface Now {
  wall: number;
  mono: number;
  /** the total time for which the host was suspended since this clock was opened, which `mono` does not count; ms */
  suspendedMs?: number;
  /** the host says that its wall clock follows a time server */
  synchronised?: boolean;
}

export interface Clock {
  now(): Now;
  /**
   * Rings once, at the monotonic instant or a little later. When the process was delayed and the alarm rings late, data that
   * has already arrived on the sockets is read first.
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
   * 16 hex digits that name the mesh, derived from its first cluster key: the same on all its peers, and after every rotation
   * of the key.
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
  /**
   * the members at the time of the rotation, which may get the key: so holding the old key is not enough to get the new one
   */
  heirs: readonly PeerId[];
  /** by fingerprint, for each older key that the sender knows: a proof that it does; base64url */
  proofs: Readonly<Record<string, string>>;
}

/** The cluster key, which can be rotated. Every change is durable before its `done`. */
export interface Keyring {
  /** The current key's fingerprint, 16 hex digits. */
  fingerprint(): string;
  /** When the current key was made; wall clock, ms; 0 = it is the mesh's first key. */
  madeAt(): number;
  /** Makes a new key, which becomes the current one. */
  rotate(change: Pick<KeyChange, "madeAt" | "oldUntil" | "heirs">, done: (error?: CicadaError) => void): void;
  /** Adopts another peer's change. BAD_KEY: its maker did not know the current key. */
  adopt(change: KeyChange, done: (error?: CicadaError) => void): void;
  /** The change that members still have to get: the last one, as long as older keys are accepted. */
  ongoingRotation(): KeyChange | undefined;
}

export interface MeshEvents {
  /** At least one connection to the peer is usable now. */
  linkUp(peer: PeerId): void;
  /** No connection is left: `closed` = it was closed properly, `reset` = it broke off. */
  linkDown(peer: PeerId, why: "closed" | "reset"): void;
  /** After a reset the peer was redialled, and its host answered that no process listens there. `times` counts from 1. */
  redialRefused(peer: PeerId, times: number): void;
  /**
   * A peer has turned this one away at its door, because the mesh has forgotten this peer's identity. `proof`: what that peer
   * showed for it (`Refusal`), not yet read; undefined = nothing.
   */
  turnedAway(by: PeerId, proof?: string): void;
  /**
   * A peer has proved that this peer's current cluster key was replaced by a rotation. Reported again at each attempt, every
   * few seconds, as long as that holds.
   */
  keySuperseded(by: PeerId): void;
  /** Authenticated as coming from `from`; not yet decoded. `by`: the neighbour that passed on this gossip; absent = `from`. */
  received(from: PeerId, channel: Channel, bytes: Uint8Array, by?: PeerId): void;
}

/** An identity that the mesh keeps out. `proof`: a person's signed statement about it, as a text that only peers read. */
export interface Refusal {
  readonly peer: PeerId;
  readonly proof: string;
}

/**
 * Finds every peer that it learns about, dials and redials it for ever, and remembers addresses. Delivery is best effort: a
 * message may be lost together with its link or, with gossip, while the mesh forms.
 */
export interface Mesh {
  start(events: MeshEvents): void;
  /** Sends to all. May be lost; never delivered to the publisher itself. */
  publish(topic: Topic, bytes: Uint8Array): void;
  /** Sends to one peer, in order per (peer, protocol). Dropped when there is no link. */
  send(to: PeerId, protocol: Protocol, bytes: Uint8Array): void;
  /**
   * From now on these identities are kept out: their links end, they are not dialled, their addresses are not passed on, and a
   * peer that dials with one of them is told that it has been forgotten, and shown the proof. The list replaces the one
   * before. May be called before `start`.
   */
  refuse(peers: readonly Refusal[]): void;
  /** Peers whose address was given or is remembered and whose id is known, linked or not. */
  known(): readonly PeerId[];
  /** How many addresses were given whose peer id is not known yet. */
  unresolved(): number;
  /** This peer's addresses, for others to dial. */
  addresses(): readonly string[];
  stop(done: () => void): void;
}

export interface ProcessLimits {
  readonly nice?: number;
  /** address space of each process */
  readonly memoryBytes?: number;
  readonly openFiles?: number;
  /** of the run's user */
  readonly processes?: number;
}

/** A program on this host, in its own process group. */
export interface ProcessAction {
  kind: "process";
  argv: readonly string[];
  /** the SHA-256 of the script whose file goes behind the first argument; undefined = it runs no script */
  script?: string | undefined;
  stdin: string;
  /** empty = the data folder's work/, or a separate folder for a process of another user */
  cwd: string;
  /** empty = the peer's own */
  user: string;
  umask: number;
  /** undefined = those of the peer */
  limits?: ProcessLimits | undefined;
  /** when its program ends by itself, what it has left running in its group goes on */
  leavesBackground?: boolean | undefined;
  /** between TERM and KILL, when the run is stopped or times out */
  killGraceMs: number;
}

/** A request over HTTP, sent once. */
export interface HttpAction {
  kind: "http";
  method: string;
  /** without a user and password, which are in `headers` */
  url: string;
  headers: Readonly<Record<string, string>>;
  body: string;
  /** any other status is a failure */
  expectStatus: readonly number[];
  followRedirects: boolean;
  /** accept any certificate */
  insecureTls: boolean;
}

/** What a run does. Behind the door there is one executor for each kind. */
export type RunAction = ProcessAction | HttpAction;

/** One run. Core decides every detail of it; an executor only carries it out. */
export interface RunSpec {
  run: RunId;
  job: JobId;
  tick: TickId;
  action: RunAction;
  /** the host's variables for every run; for a process of another user, HOME, USER and SHELL become that user's */
  hostEnv: Readonly<Record<string, string>>;
  /** the job's own variables, which win over the host's */
  env: Readonly<Record<string, string>>;
  /** names of secrets: the executor adds their values to the environment, or puts them into the request; absent = none */
  secrets?: readonly string[] | undefined;
  /** the text of the file $CICADA_PARENTS; absent = there is none */
  parents?: string | undefined;
  /** 0 = none */
  timeoutMs: number;
  /** it only decides whether the job is started: if it exits with 0, nothing of it is kept */
  isPrecheck?: boolean | undefined;
  /** what the output must be like if a process exits with one of these codes, or a request is answered as expected */
  patterns?: { readonly exitCodes: readonly number[]; readonly rules: readonly PatternRule[] } | undefined;
  logCapBytes: number;
  /** the last instant at which it may start; wall clock, ms; the executor checks it again just before the start */
  notAfter: number;
}

/** A run of a process. Its output is judged where it is kept. */
export type ProcessSpec = Omit<RunSpec, "patterns" | "isPrecheck" | "secrets"> & {
  readonly action: ProcessAction;
};
/** A run of a request. */
export type HttpSpec = Omit<RunSpec, "patterns" | "secrets"> & { readonly action: HttpAction };

/** What a process has written to the file $CICADA_OUTPUT. */
export interface Written {
  /** its beginning */
  text: string;
  /** there was more, and the last line of `text` may be cut off */
  isCut: boolean;
  /** why nothing could be read */
  fault?: string | undefined;
}

export type ChildOutcome =
  /**
   * `broken`: which rule of `patterns` its output breaks, in words; `hostFault`: why this host could not tell; `leftRunning`: how
   * many processes it had left in its group, which were then ended
   */
  | {
      kind: "exited";
      exitCode: number;
      broken?: string | undefined;
      hostFault?: string | undefined;
      leftRunning?: number | undefined;
      written?: Written | undefined;
      logBytes: number;
      logTruncated: boolean;
    }
  /** of a request: it was answered as the job expects, or the reason why not, or why this host could not send it or tell */
  | {
      kind: "answered";
      failure?: string | undefined;
      hostFault?: string | undefined;
      logBytes: number;
      logTruncated: boolean;
    }
  | {
      kind: "signalled";
      signal: string;
      leftRunning?: number | undefined;
      written?: Written | undefined;
      logBytes: number;
      logTruncated: boolean;
    }
  /** `exitCode`: it exited by itself after it was told to end */
  | {
      kind: "timeout";
      exitCode?: number | undefined;
      reason?: string | undefined;
      written?: Written | undefined;
      logBytes: number;
      logTruncated: boolean;
    }
  | { kind: "cancelled"; written?: Written | undefined; logBytes: number; logTruncated: boolean }
  /**
   * It never started. `late`: it was after `notAfter`; `error`: the job's fault (no such program, user, folder …); `host`: a
   * fault of this host (no room for a process, a full disk under the peer's own files …) that has nothing to do with the job.
   */
  | { kind: "not-started"; why: "late" | "error" | "host"; reason: string };

export interface ExecutorEvents {
  childStarted(run: RunId, at: number): void;
  /** The run should end and can't be ended: it stays open until its processes are gone. */
  childStuck(run: RunId, reason: string): void;
  /** The child and its process group are gone. Instants are wall clock, ms. */
  childEnded(run: RunId, outcome: ChildOutcome, at: number): void;
}

export interface LogPiece {
  bytes: Uint8Array;
  offset: number;
  size: number;
  /** nothing more will be written */
  complete: boolean;
}

/**
 * Carries out runs and keeps their outputs: in a file during the run, and after its end in a file or, up to
 * `smallOutputBytes`, in the database, where it is durable no later than the run's end. A reader can't tell the difference.
 */
export interface Executor {
  start(events: ExecutorEvents): void;
  launch(spec: RunSpec): void;
  /** Sends TERM to the run's process group, and KILL after its grace; breaks off its request. */
  stop(run: RunId): void;
  /**
   * After a restart: reports which of these runs of an earlier life had been started (they have an output, which may be empty),
   * so that core can tell `lost` from `withdrawn`. Puts the outputs that it left behind where outputs are kept.
   */
  findStarted(runs: readonly RunId[], done: (started: ReadonlySet<RunId>) => void): void;
  /** Ends all processes on this host that are left of these runs of an earlier life. */
  sweep(runs: readonly RunId[]): void;
  /** Reads an output that is kept here, of an own run or as a copy; undefined = none is kept. */
  readLog(run: RunId, offset: number, length: number, done: (piece: LogPiece | undefined) => void): void;
  /**
   * The whole output, gzipped, for a copy on another peer. `too-large`: it has more bytes than the cap. Undefined: there is
   * none.
   */
  packLog(run: RunId, capBytes: number, done: (gzip: Uint8Array | "too-large" | undefined) => void): void;
  /** Keeps a copy of another peer's output. */
  keepLog(run: RunId, gzip: Uint8Array): void;
  /** Removes the files of outputs and copies. Those in the database are removed with their records (`Disk.prune`). */
  dropLogs(runs: readonly RunId[]): void;
  /** The total size of the outputs and copies that are files. */
  logBytes(done: (bytes: number) => void): void;
  /** Removes the oldest of these files, those of runs in progress excepted, until so many bytes are free. `freed`: how many are. */
  freeLogs(bytes: number, done: (freed: number) => void): void;
  /** Ends every child's process group (TERM, then KILL after its grace) and then itself. */
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
  scripts: Scripts;
  secrets: Secrets;
  notifier: Notifier;
  log: Log;
}
