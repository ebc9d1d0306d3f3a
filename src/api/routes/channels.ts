/**
 * Channels of notices: list, read, write, remove, test. A channel's secret, and an address that is one, is never shown: `…`
 * stands for it, and stays as it is when the channel is written back.
 */
import { Type, type Static } from "typebox";
import { CicadaError } from "../../errors.ts";
import type { Control } from "../../ports/control.ts";
import {
  ChannelSchema,
  checkChannel,
  isChannelName,
  withoutSecrets,
  withSecretsOf,
} from "../../schema/channel.ts";
import { all, own } from "../access/rights.ts";
import type { ScopedControl } from "../access/scoped-control.ts";
import { ask } from "../http/answers.ts";
import { closed, noCheck, none } from "../http/checking.ts";
import type { Api } from "../options.ts";
import { defaultLimit, ListOf, page, PageQuery, readCursor } from "../http/paging.ts";
import { refusal } from "../http/problems.ts";
import { missingSecrets } from "../show/secret-holders.ts";
import { Instant, orNull, showInstant } from "../show/show-run.ts";

const tags = ["channels"];
const root = "channels";
const ChannelParams = Type.Object({ name: Type.String({ maxLength: 512 }) });

const ShownChannel = Type.Object(
  {
    name: Type.String(),
    type: Type.String(),
    usedBy: Type.Array(Type.String(), { description: "jobs that notify this channel" }),
    lastMessage: orNull(
      Type.Object(
        { at: Instant, ok: Type.Boolean(), error: orNull(Type.String()) },
        { description: "how the last message went, as far as this peer knows; null = none was sent" },
      ),
    ),
    problems: Type.Array(Type.Object({ pointer: Type.String(), message: Type.String() }), {
      description:
        "what keeps it from sending; only tokens without groups are told that no peer has its secret",
    }),
    warnings: Type.Optional(Type.Array(Type.String(), { description: "of a write: its problems, in words" })),
  },
  { additionalProperties: Type.Unknown(), description: "the channel's own fields, and the read-only ones" },
);
type Shown = Static<typeof ShownChannel>;
const readOnly = ["name", "usedBy", "lastMessage", "problems", "warnings"];

export function channelRoutes(app: Api): void {
  listChannels(app);
  readChannel(app);
  writeChannel(app);
  removeChannel(app);
  testChannel(app);
}

function listChannels(app: Api): void {
  app.get(
    "/v1/channels",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary: "List channels by name",
        querystring: Type.Object(PageQuery, closed),
        response: { 200: ListOf(ShownChannel) },
      },
    },
    async (request, reply) => {
      const { limit = defaultLimit, cursor } = request.query;
      const after = readCursor("channels", cursor) ?? "";
      const channels = [...request.control.values(root)];
      const left = channels.filter(([name]) => name > after);
      const items = left.slice(0, limit).map(([name, value]) => showChannel(name, value, request.control));
      const next = left.length > limit ? (items.at(-1)?.name ?? null) : null;
      return page(request, reply, "channels", { items, next, total: channels.length });
    },
  );
}

function readChannel(app: Api): void {
  app.get(
    "/v1/channels/:name",
    {
      config: { right: own("viewer") },
      schema: {
        tags,
        summary: "Read a channel",
        params: ChannelParams,
        querystring: none,
        response: { 200: ShownChannel },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      return reply.send(showChannel(name, valueOf(request.control, name), request.control));
    },
  );
}

function writeChannel(app: Api): void {
  app.put(
    "/v1/channels/:name",
    {
      config: { right: all("editor") },
      validatorCompiler: noCheck,
      schema: {
        tags,
        summary: "Create or replace a channel",
        params: ChannelParams,
        querystring: none,
        body: ChannelSchema,
        response: { 200: ShownChannel, 201: ShownChannel },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      if (!isChannelName(name)) {
        const message =
          "a channel's name is 1 to 64 characters from a-z, 0-9, '.', '_' and '-', and begins with a letter or digit";
        throw refusal("INVALID_CHANNEL", [{ pointer: "/name", message }]);
      }
      const present = request.control.values(root).get(name);
      const before = checkChannel(present);
      const written = withSecretsOf(before.ok ? before.channel : undefined, withoutReadOnly(request.body));
      const checked = checkChannel(written);
      if (!checked.ok) throw refusal("INVALID_CHANNEL", checked.problems);
      const value = checked.channel;
      await ask(request, request.control, { kind: "set-value", root, id: name, value, by: request.actor });
      const shown = showChannel(name, value, request.control);
      const warnings = shown.problems.map(({ message }) => message);
      return reply
        .code(present === undefined ? 201 : 200)
        .send({ ...shown, ...(warnings.length === 0 ? {} : { warnings }) });
    },
  );
}

function removeChannel(app: Api): void {
  app.delete(
    "/v1/channels/:name",
    {
      config: { right: all("editor") },
      schema: {
        tags,
        summary: "Remove a channel; 409 while jobs use it, unless ?force=true",
        params: ChannelParams,
        querystring: Type.Object({ force: Type.Optional(Type.Boolean()) }, closed),
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      valueOf(request.control, name);
      const users = usersOf(name, request.control);
      if (users.length > 0 && request.query.force !== true) {
        const shown =
          users.slice(0, 5).join(", ") + (users.length > 5 ? ` and ${users.length - 5} more` : "");
        throw new CicadaError("CHANNEL_IN_USE", `"${name}" is used by ${shown}`);
      }
      await ask(request, request.control, {
        kind: "set-value",
        root,
        id: name,
        value: null,
        by: request.actor,
      });
      return reply.code(204).send();
    },
  );
}

function testChannel(app: Api): void {
  app.post(
    "/v1/channels/:name/test",
    {
      config: { right: all("editor") },
      schema: {
        tags,
        summary:
          "Send a test notice through a channel, once, from this peer; 502: the channel did not accept it",
        params: ChannelParams,
        querystring: none,
        body: none,
        response: { 200: Type.Object({ delivered: Type.Literal(true) }) },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const checked = checkChannel(valueOf(request.control, name));
      if (!checked.ok) throw refusal("INVALID_CHANNEL", checked.problems);
      const result = await request.control.testChannel(checked.channel, name, request.actor);
      if (!result.ok) throw new CicadaError("CHANNEL_REFUSED", result.why);
      return reply.send({ delivered: true });
    },
  );
}

function valueOf(control: Control, name: string): unknown {
  const value = control.values(root).get(name);
  if (value === undefined) throw new CicadaError("CHANNEL_NOT_FOUND", `there is no channel "${name}"`);
  return value;
}

function usersOf(name: string, control: Control): string[] {
  const users: string[] = [];
  for (const [id, { spec }] of control.view().jobs) {
    if (spec.notify?.some(({ to }) => to.includes(name)) === true) users.push(id);
  }
  return users;
}

function withoutReadOnly(body: unknown): unknown {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  return Object.fromEntries(Object.entries(body).filter(([name]) => !readOnly.includes(name)));
}

/** A value of a later version's type is shown with its problem, without any of its fields: one may be a secret. */
function showChannel(name: string, value: unknown, control: ScopedControl): Shown {
  const checked = checkChannel(value);
  const health = control.channelHealth(name);
  const lastMessage =
    health === undefined ? null : { at: showInstant(health.at), ok: health.ok, error: health.error ?? null };
  const shared = { name, usedBy: usersOf(name, control), lastMessage };
  if (!checked.ok) return { ...shared, type: typeOf(value), problems: checked.problems };
  const { channel } = checked;
  const problems = control.caller.groups === undefined ? missingSecrets(channel, control) : [];
  return { ...shared, ...withoutSecrets(channel), type: channel.type, problems };
}

function typeOf(value: unknown): string {
  const type = typeof value === "object" && value !== null && "type" in value ? value.type : undefined;
  return typeof type === "string" ? type : "unknown";
}
