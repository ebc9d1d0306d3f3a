/**
 * Tokens for the API, and who calls. A token's text is shown once, when it is made. The table keeps only its hash, so every peer
 * accepts the token. A revocation is final.
 */
import { Type, type Static } from "typebox";
import { CicadaError } from "../../errors.ts";
import type { Change } from "../../ports/command.ts";
import {
  adminsAmong,
  livingTokens,
  revocationOf,
  roles,
  TokenEntrySchema,
  tokensMax,
  type Revocation,
  type Role,
  type TokenEntry,
} from "../../schema/access.ts";
import type { Callers } from "../access/callers.ts";
import { all } from "../access/rights.ts";
import type { ScopedControl } from "../access/scoped-control.ts";
import { hashOfToken, makeToken } from "../access/token-text.ts";
import { ask } from "../http/answers.ts";
import { closed, InstantText, none, readInstant } from "../http/checking.ts";
import { defaultLimit, ListOf, page, PageQuery, readCursor } from "../http/paging.ts";
import { refusal } from "../http/problems.ts";
import type { Streams } from "../http/streams.ts";
import type { Api, RouteOptions } from "../options.ts";
import { Instant, orNull, showInstant, showInstantOrNull } from "../show/show-run.ts";
import { warningsOfGroups } from "../show/warnings.ts";

const tags = ["tokens"];
const Groups = Type.Array(Type.String(), { description: "to which it is limited" });
const Expiry = InstantText("an RFC 3339 instant; a token without one never expires");
const TokenParams = Type.Object({ id: Type.String({ maxLength: 64 }) });
const entryFields = TokenEntrySchema.properties;

const ShownToken = Type.Object({
  id: Type.String(),
  name: Type.String(),
  role: Type.Enum(roles),
  groups: orNull(Groups),
  expires: orNull(Instant),
  expired: Type.Boolean(),
  createdAt: Instant,
  createdBy: Type.String(),
  warnings: Type.Optional(
    Type.Array(Type.String(), {
      description: "of a write: groups without a job, whose names may be mistyped",
    }),
  ),
});
type Shown = Static<typeof ShownToken>;
const MadeToken = Type.Object({
  ...ShownToken.properties,
  token: Type.String({ description: "the token itself; it is shown only here" }),
});

export function tokenRoutes(app: Api, options: RouteOptions, callers: Callers, streams: Streams): void {
  whoCalls(app, options);
  listTokens(app);
  makeTokens(app);
  changeToken(app, callers, streams);
  revokeToken(app, callers, streams);
}

function whoCalls(app: Api, { self }: RouteOptions): void {
  app.get(
    "/v1/me",
    {
      config: { right: "any-token" },
      schema: {
        tags,
        summary: "Who calls: the token's name, role and groups, and the peer that answers",
        querystring: none,
        response: {
          200: Type.Object({
            name: Type.String(),
            token: Type.String({ description: "its id; admin.token for the peer's own file" }),
            role: Type.Enum(roles),
            groups: orNull(Groups),
            expires: orNull(Instant),
            peer: Type.Object({ id: Type.String(), name: Type.String() }),
          }),
        },
      },
    },
    async (request, reply) => {
      const { name, token, role, groups, expires } = request.caller;
      const peer = { id: self.id, name: self.name };
      return reply.send({
        name,
        token,
        role,
        groups: groups === undefined ? null : [...groups],
        expires: showInstantOrNull(expires),
        peer,
      });
    },
  );
}

function listTokens(app: Api): void {
  app.get(
    "/v1/tokens",
    {
      config: { right: all("admin") },
      schema: {
        tags,
        summary: "List the tokens of the mesh by name, without their texts",
        querystring: Type.Object(PageQuery, closed),
        response: { 200: ListOf(ShownToken) },
      },
    },
    async (request, reply) => {
      const { limit = defaultLimit, cursor } = request.query;
      const after = readCursor("tokens", cursor) ?? "";
      const tokens = [...living(request.control)].map(([id, entry]) => ({
        key: `${entry.name} ${id}`,
        id,
        entry,
      }));
      const left = tokens.filter(({ key }) => key > after).toSorted((a, b) => (a.key < b.key ? -1 : 1));
      const shown = left.slice(0, limit);
      const next = left.length > limit ? (shown.at(-1)?.key ?? null) : null;
      const items = shown.map(({ id, entry }) => showToken(id, entry));
      return page(request, reply, "tokens", { items, next, total: tokens.length });
    },
  );
}

function makeTokens(app: Api): void {
  app.post(
    "/v1/tokens",
    {
      // Not repeatable: the answer holds the token, which is kept nowhere.
      config: { right: all("admin") },
      schema: {
        tags,
        summary: "Make a token: every peer takes it; its text is in this answer only",
        querystring: none,
        body: Type.Object(
          {
            name: entryFields.name,
            role: entryFields.role,
            groups: entryFields.groups,
            expires: Type.Optional(Expiry),
          },
          closed,
        ),
        response: { 201: MadeToken },
      },
    },
    async (request, reply) => {
      const { name, role, groups, expires: until } = request.body;
      refuseGroupsOfMetrics(role, groups);
      const tokens = living(request.control);
      if (name === "admin" || [...tokens.values()].some((one) => one.name === name)) {
        throw new CicadaError("TOKEN_EXISTS", `there is a token "${name}"`);
      }
      if (tokens.size >= tokensMax) throw new CicadaError("TOKENS_FULL", `the maximum is ${tokensMax}`);
      const expires = readExpiry(until);
      const { id, text } = makeToken();
      const entry: TokenEntry = {
        hash: hashOfToken(text),
        name,
        role,
        ...(groups === undefined ? {} : { groups: [...new Set(groups)] }),
        ...(expires === undefined ? {} : { expires }),
        createdAt: Date.now(),
        createdBy: request.actor,
      };
      await ask(request, request.control, {
        kind: "set-value",
        root: "tokens",
        id,
        value: entry,
        by: request.actor,
      });
      return reply
        .code(201)
        .header("location", `/v1/tokens/${id}`)
        .send({ ...showToken(id, entry), ...warned(groups, request.control), token: text });
    },
  );
}

function changeToken(app: Api, callers: Callers, streams: Streams): void {
  app.patch(
    "/v1/tokens/:id",
    {
      config: { right: all("admin") },
      schema: {
        tags,
        summary: "Change what a token may do, or until when; null for groups = all, for expires = never",
        params: TokenParams,
        querystring: Type.Object({ force: Type.Optional(Type.Boolean()) }, closed),
        body: Type.Object(
          {
            role: Type.Optional(entryFields.role),
            groups: Type.Optional(orNull(entryFields.groups)),
            expires: Type.Optional(orNull(Expiry)),
          },
          closed,
        ),
        response: { 200: ShownToken },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const entry = tokenOf(request.control, id);
      const { role = entry.role, groups = entry.groups, expires: until } = request.body;
      refuseGroupsOfMetrics(role, groups);
      const { groups: _, expires: before, ...rest } = entry;
      const expires = until === undefined ? before : readExpiry(until ?? undefined);
      const value: TokenEntry = {
        ...rest,
        role,
        ...(groups === undefined || groups === null ? {} : { groups: [...new Set(groups)] }),
        ...(expires === undefined ? {} : { expires }),
      };
      refuseLastAdmin(request.control, id, value, request.query.force === true);
      await ask(request, request.control, {
        kind: "set-value",
        root: "tokens",
        id,
        value,
        by: request.actor,
      });
      streams.endUnless((caller) => callers.holds(caller));
      return reply.send({
        ...showToken(id, value),
        ...warned(request.body.groups ?? undefined, request.control),
      });
    },
  );
}

function revokeToken(app: Api, callers: Callers, streams: Streams): void {
  app.delete(
    "/v1/tokens/:id",
    {
      config: { right: all("admin") },
      schema: {
        tags,
        summary: "Revoke a token: at once at this peer, within seconds at all others; its open streams end",
        params: TokenParams,
        querystring: Type.Object(
          { force: Type.Optional(Type.Boolean({ description: "even if it is the last admin token" })) },
          closed,
        ),
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      tokenOf(request.control, id);
      refuseLastAdmin(request.control, id, undefined, request.query.force === true);
      const by = request.actor;
      const revoked: Revocation = { revokedAt: Date.now(), by };
      const changes: Change[] = [
        { kind: "value", root: "tokens", id: revocationOf(id), value: revoked, at: "" },
        { kind: "value", root: "tokens", id, value: null, at: "" },
      ];
      await ask(request, request.control, { kind: "apply", changes, by });
      streams.endUnless((caller) => callers.holds(caller));
      return reply.code(204).send();
    },
  );
}

function living(control: ScopedControl): Map<string, TokenEntry> {
  return livingTokens(control.values("tokens"));
}

function tokenOf(control: ScopedControl, id: string): TokenEntry {
  const entry = living(control).get(id);
  if (entry === undefined) throw new CicadaError("TOKEN_NOT_FOUND", `there is no token with the id "${id}"`);
  return entry;
}

/** `after`: what it would be; undefined = revoked. */
function refuseLastAdmin(
  control: ScopedControl,
  id: string,
  after: TokenEntry | undefined,
  isForced: boolean,
): void {
  const tokens = living(control);
  const now = Date.now();
  if (isForced || !adminsAmong(tokens, now).includes(id)) return;
  const left = new Map(tokens);
  if (after === undefined) left.delete(id);
  else left.set(id, after);
  if (adminsAmong(left, now).length > 0) return;
  throw new CicadaError("LAST_ADMIN", `"${tokens.get(id)?.name ?? id}" is the only one with all rights`);
}

function readExpiry(text: string | undefined): number | undefined {
  const expires = readInstant(text, "/expires");
  if (expires === undefined || expires > Date.now()) return expires;
  throw refusal("UNPROCESSABLE", [{ pointer: "/expires", message: "is in the past" }]);
}

/** Such a token could read nothing: the figures are of all groups. */
function refuseGroupsOfMetrics(role: Role, groups: readonly string[] | null | undefined): void {
  if (role !== "metrics" || groups === undefined || groups === null) return;
  const message = "a metrics token reads the figures of the whole peer, so it can't be limited to groups";
  throw refusal("UNPROCESSABLE", [{ pointer: "/groups", message }]);
}

function warned(groups: readonly string[] | undefined, control: ScopedControl): Pick<Shown, "warnings"> {
  const warnings = warningsOfGroups([...new Set(groups)], control);
  return warnings.length === 0 ? {} : { warnings };
}

function showToken(id: string, { name, role, groups, expires, createdAt, createdBy }: TokenEntry): Shown {
  return {
    id,
    name,
    role,
    groups: groups ?? null,
    expires: showInstantOrNull(expires),
    expired: (expires ?? Infinity) <= Date.now(),
    createdAt: showInstant(createdAt),
    createdBy,
  };
}
