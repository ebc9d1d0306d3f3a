/**
 * Mail by SMTP. Its Message-ID comes from the notice's key, so a mail program shows a repeated mail once. nodemailer encodes
 * every header, so no name of a job can add one; it is loaded when the first mail is sent.
 */
import { hash } from "node:crypto";
import { hostname } from "node:os";
import type { Delivered, Delivery } from "../../ports/notifier.ts";
import type { ChannelOf } from "../../schema/channel.ts";
import { cut, linkOf, oneLine, textOf, titleOf } from "./message.ts";

const subjectCap = 200;
const textCap = 100_000;

export async function sendMail(
  { server, user, secret, from, to, link }: ChannelOf<"email">,
  { notices, id }: Delivery,
  limitMs: number,
): Promise<Delivered> {
  const { createTransport } = await import("nodemailer");
  const { protocol, hostname: host, port } = new URL(server);
  const isSecure = protocol === "smtps:";
  const transport = createTransport({
    host,
    port: Number(port || (isSecure ? 465 : 587)),
    secure: isSecure,
    connectionTimeout: limitMs / 2,
    greetingTimeout: limitMs / 2,
    socketTimeout: limitMs,
    name: hostname(),
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(user === undefined
      ? {}
      : { auth: { user, pass: secret ?? "" }, requireTLS: !isSecure && secret !== undefined }),
  });
  const address = linkOf(link, notices);
  const more = address === undefined ? "" : `\n\n${address}`;
  try {
    const { rejected } = await transport.sendMail({
      from,
      to,
      subject: cut(`[cicada] ${oneLine(titleOf(notices))}`, subjectCap),
      text: textOf(notices, textCap) + more,
      messageId: `<${hash("sha256", id, "hex").slice(0, 32)}@cicada>`,
      headers: { "Auto-Submitted": "auto-generated", "X-Cicada-Key": id },
    });
    if (rejected.length === 0) return { ok: true };
    // The other recipients have the mail, so another try would send it to them again.
    const refused = rejected.join(", ");
    return { ok: false, isFinal: true, why: `${host}: accepted, but not for ${oneLine(refused)}` };
  } catch (error) {
    return { ok: false, isFinal: isRefusal(error), why: `${host}: ${formatError(error)}` };
  } finally {
    transport.close();
  }
}

/** A reply of 5xx (RFC 5321 §4.2.1): the server will not take this mail. A wrong password is one too. */
function isRefusal(error: unknown): boolean {
  const code =
    typeof error === "object" && error !== null && "responseCode" in error ? error.responseCode : 0;
  return typeof code === "number" && code >= 500;
}

function formatError(error: unknown): string {
  return error instanceof Error ? oneLine(error.message) : String(error);
}
