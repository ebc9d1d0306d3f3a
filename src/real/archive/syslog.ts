/**
 * Outputs as syslog messages (RFC 5424) over TCP or TLS: one message for each line, and one that says how the run ended. Messages
 * are framed by octet counting (RFC 6587 §3.4.1, RFC 5425 §4.3), so that no line can look like another message.
 *
 * The connection is kept open. A server confirms nothing: what it had not read when a connection broke is lost without a trace, and
 * an output that was being sent then is sent again from its beginning.
 */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { runId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import type { Sent } from "./queue.ts";

/** How long a connection may take, and how long a server may read nothing, ms. */
const patienceMs = 20_000;
/**
 * The longest line, in bytes; what is longer is cut and marked. RFC 5424 wants receivers to take 2,048 bytes; servers in use take
 * 8 KiB.
 */
const lineBytes = 7_168;
/** How many bytes are handed to the connection at a time. */
const chunkBytes = 65_536;
/** cron's facility (RFC 5424 §6.2.1). */
const facility = 9;
const severities = { error: 3, notice: 5, info: 6 } as const;
/** Private enterprise number 32473 is the one that IANA keeps for examples; cicada has none of its own. */
const elementId = "cicada@32473";
const wellEnded: ReadonlySet<string> = new Set(["succeeded", "skipped"]);

export interface SyslogAddress {
  tls: boolean;
  host: string;
  port: number;
}

export class Syslog {
  readonly #address: SyslogAddress;
  readonly #host: string;
  #socket: Socket | undefined;

  /** `host`: this host's name, which each message carries */
  constructor(address: SyslogAddress, host: string) {
    this.#address = address;
    this.#host = host;
  }

  async send(record: RunRecord, output: Uint8Array): Promise<Sent> {
    const { host, port } = this.#address;
    try {
      const socket = await this.#connected();
      let chunk: Buffer[] = [];
      let bytes = 0;
      for (const message of messagesOf(record, output, this.#host)) {
        chunk.push(message);
        bytes += message.length;
        if (bytes < chunkBytes) continue;
        // oxlint-disable-next-line no-await-in-loop -- the server's reading sets the pace
        await write(socket, Buffer.concat(chunk));
        [chunk, bytes] = [[], 0];
      }
      await write(socket, Buffer.concat(chunk));
      return "sent";
    } catch (error) {
      this.close();
      const reason = error instanceof Error ? error.message : String(error);
      return { failed: `syslog server ${host}:${port}: ${reason}`, refused: false };
    }
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #connected(): Promise<Socket> {
    if (this.#socket !== undefined && !this.#socket.destroyed && this.#socket.writable) return this.#socket;
    const { tls, host, port } = this.#address;
    const socket = await new Promise<Socket>((done, fail) => {
      const opening: Socket = tls
        ? // An address that is a number can't be a server name (RFC 6066 §3); its certificate is checked all the same.
          connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}) }, () => done(opening))
        : connectTcp({ host, port }, () => done(opening));
      opening.setTimeout(patienceMs, () => opening.destroy(new Error("no connection")));
      opening.once("error", fail);
    });
    // From here on, what goes wrong shows when the next output is written.
    socket.setTimeout(0);
    socket.on("error", () => undefined);
    socket.once("close", () => {
      if (this.#socket === socket) this.#socket = undefined;
    });
    // When the server closes its half, the connection is ended. What the server sends is read and ignored.
    socket.once("end", () => socket.destroy());
    socket.resume();
    socket.unref();
    this.#socket = socket;
    return socket;
  }
}

/** Resolves once the bytes have been handed to the system, which takes them as the server reads. */
function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((done, fail) => {
    const late = setTimeout(
      () => socket.destroy(new Error(`it has read nothing for ${patienceMs / 1_000} s`)),
      patienceMs,
    );
    const failed = (error: Error) => finish(() => fail(error));
    const closed = () => finish(() => fail(new Error("the connection has ended")));
    const finish = (then: () => void) => {
      clearTimeout(late);
      socket.off("error", failed).off("close", closed);
      then();
    };
    socket.once("error", failed).once("close", closed);
    socket.write(bytes, (error) => (error ? failed(error) : finish(done)));
  });
}

/** One framed message for each line of the output, and one for the end of the run. */
export function* messagesOf(record: RunRecord, output: Uint8Array, host: string): Generator<Buffer> {
  const at = new Date(record.finishedAt ?? record.startedAt ?? record.due).toISOString();
  const run = runId(record);
  const head = (severity: number, kind: string, more: string) =>
    `<${facility * 8 + severity}>1 ${at} ${field(host, 255)} ${field(record.job, 48)} ${field(run, 128)} ${kind} ` +
    `[${elementId} run="${escape(run)}" tick="${escape(record.tick)}"${more}]`;
  const ofLine = head(severities.info, "output", "");
  for (const line of linesOf(output)) yield framed(ofLine, line);
  const { state, exitCode, reason, logTruncated } = record;
  const code = exitCode === undefined ? "" : ` exitCode="${exitCode}"`;
  const severity = wellEnded.has(state) ? severities.notice : severities.error;
  const cut = logTruncated === true ? "; its output was cut" : "";
  const text = `${run} ${state}${reason === undefined ? "" : `: ${reason}`}${cut}`;
  yield framed(head(severity, "end", ` state="${escape(state)}"${code}`), cleaned(text));
}

function framed(head: string, text: string): Buffer {
  const bytes = Buffer.from(text === "" ? head : `${head} ${text}`);
  return Buffer.concat([Buffer.from(`${bytes.length} `), bytes]);
}

/** The lines that hold something. A carriage return at the end belongs to the line break. */
function* linesOf(output: Uint8Array): Generator<string> {
  const bytes = Buffer.from(output.buffer, output.byteOffset, output.byteLength);
  let from = 0;
  while (from < bytes.length) {
    const found = bytes.indexOf(0x0a, from);
    const end = found === -1 ? bytes.length : found;
    const isCut = end - from > lineBytes;
    const text = new TextDecoder().decode(bytes.subarray(from, isCut ? from + lineBytes : end));
    // The cut may have gone through a character.
    const line = cleaned(isCut ? `${text.replace(/\uFFFD{1,3}$/, "")}…` : text.replace(/\r$/, ""));
    if (line.trim() !== "") yield line;
    from = end + 1;
  }
}

/** Without control characters, which a terminal that shows the log would carry out. Tabs stay. */
function cleaned(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replaceAll(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, " ");
}

/** A field of the head: printable ASCII without spaces, cut to its limit; `-` if nothing is left. */
function field(text: string, limit: number): string {
  return text.replaceAll(/[^!-~]/g, "").slice(0, limit) || "-";
}

/** RFC 5424 §6.3.3 */
function escape(value: string): string {
  return value.replaceAll(/["\\\]]/g, String.raw`\$&`);
}
