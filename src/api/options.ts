/**
 * What the API needs: the peer that it speaks for, and a few pure decisions of core. They are passed in, so that this
 * folder knows the peer only as `Control`.
 */
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from "fastify";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Log } from "../ports.ts";
import type { Control } from "../ports/control.ts";
import type { PeerId } from "../schema/ids.ts";
import type { CheckedSpec, Problem } from "../schema/job.ts";
import type { SettingValues } from "../schema/setting.ts";
import type { RunRecord } from "../schema/run.ts";
import type { SocketLimits } from "./http/sockets.ts";
import type { Certificate } from "./http/tls.ts";

export interface PreviewRequest {
  schedule: string | readonly string[];
  timezone: string;
  /** what is left out */
  except: readonly string[];
  /** the job's id, from which `H` is computed */
  id: string;
  /** ms since the epoch; ticks are strictly after it */
  from: number;
  count: number;
  /** the calendars that `except` may name */
  calendars: SettingValues;
}

export interface PreviewTick {
  /** ms since the epoch */
  tick: number;
  /** what a clock in the zone shows */
  local: string;
  offset: string;
  /** what daylight saving does to this tick, as a code and in words */
  dst?: { kind: string; note: string };
}

export interface Decisions {
  /** core/checks/job.ts */
  checkJob(
    input: unknown,
  ): { ok: true; spec: CheckedSpec } | { ok: false; code: "INVALID_JOB"; problems: readonly Problem[] };
  /** core/job/calendars.ts */
  previewSchedule(
    request: PreviewRequest,
  ):
    | { ok: true; words: string; ticks: readonly PreviewTick[]; skipped: readonly PreviewTick[] }
    | { ok: false; problems: readonly Problem[] };
  /** core/time/units.ts; ms, undefined when the text is not a duration */
  parseDuration(text: string): number | undefined;
  /** core/records/records.ts */
  storyOf(records: readonly RunRecord[]): RunRecord | undefined;
  duplicatesIn(records: readonly RunRecord[]): readonly RunRecord[];
}

export interface ApiOptions {
  control: Control;
  decisions: Decisions;
  /** The text of this peer's `admin.token`: anyone who sends it may do everything here. It has at least 128 random bits. */
  token: string;
  /** Where a person finds the token. Only a peer on loopback shows it, on its login form. */
  tokenFile: string;
  /** The folder with the peer's data, of whose disk `/metrics` shows the free space. */
  dataFolder: string;
  self: { id: PeerId; name: string };
  version: string;
  /** How to call the command line where this peer runs, for lines to paste. */
  program: string;
  /** The accepted values of `Host`. A function, because the port is known only once it is open. */
  hosts: () => readonly string[];
  /** Behind a TLS proxy every Host is accepted, and the page's cookie is for https only. */
  behindTlsProxy: boolean;
  /** With it the API is served by https alone. */
  certificate?: Certificate | undefined;
  /** People whom the TLS proxy has logged in: by which headers it names them, and from which addresses these count. */
  trusted?: { userHeader: string; roleHeader: string | undefined; addresses: readonly string[] } | undefined;
  log: Log;
  /** ms since the epoch */
  startedAt: number;
  /** limits of the API's sockets; absent = those of http/sockets.ts */
  socketLimits?: SocketLimits;
}

/** What routes get: they reach the peer only as the caller of each request may (`request.control`). */
export type RouteOptions = Omit<ApiOptions, "control" | "token">;

export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** The `Host` values under which a listener on loopback may be called. */
export function loopbackHosts(port: number): string[] {
  const names = ["127.0.0.1", "localhost", "[::1]"];
  const withPort = names.map((name) => `${name}:${port}`);
  return port === 80 ? [...withPort, ...names] : withPort;
}
