/**
 * People whom a TLS proxy has logged in (oauth2-proxy, Authelia, Tailscale): it names them in a header. The header counts only on a
 * connection from the proxy's own address, because anybody can send one; a token that is sent along counts before it.
 */
import type { FastifyRequest } from "fastify";
import { roles, type Role } from "../../schema/access.ts";
import type { ApiOptions } from "../options.ts";
import type { Caller } from "./callers.ts";

/**
 * Names of people and mail addresses. Longer ones, and ones with other characters, are refused, because they would be shown in
 * lists.
 */
const nameForm = /^[\p{L}\p{N}._@+ -]{1,128}$/u;

/** The person, or why nobody is trusted, in words; undefined = the request names nobody. */
export function personNamed(
  request: FastifyRequest,
  { trusted, self }: Pick<ApiOptions, "trusted" | "self">,
): Caller | string | undefined {
  const named = trusted === undefined ? undefined : request.headers[trusted.userHeader];
  if (trusted === undefined || named === undefined) return undefined;
  const address = (request.raw.socket.remoteAddress ?? "").replace(/^::ffff:/, "");
  if (!trusted.addresses.includes(address)) {
    return `the header ${trusted.userHeader} counts only from the proxy's address, and this request came from ${address}`;
  }
  const name = Buffer.from(String(named), "latin1").toString().trim();
  if (!nameForm.test(name)) return `the header ${trusted.userHeader} names nobody`;
  const role = roleNamed(trusted.roleHeader === undefined ? undefined : request.headers[trusted.roleHeader]);
  if (role === undefined) return `the header ${trusted.roleHeader ?? ""} is not one of ${roles.join(", ")}`;
  return {
    token: `user:${name}`,
    name,
    role,
    groups: undefined,
    expires: undefined,
    actor: `${name}@${self.name}`,
  };
}

/** Undefined for a text that is no role. A person without a role may only read. */
function roleNamed(header: string | readonly string[] | undefined): Role | undefined {
  const text = String(header ?? "")
    .trim()
    .toLowerCase();
  return text === "" ? "viewer" : roles.find((role) => role === text);
}
