/**
 * Channels: where notices go. A channel is a value of the job table, so every peer can send through it. Whoever holds the
 * cluster key can read what it contains; the API never shows its `secret`, nor the part of an address that is one.
 */
import { Type, type Static, type TSchema } from "typebox";
import { Compile } from "typebox/compile";
import type { Problem } from "./job.ts";
import { didYouMean } from "./nearest.ts";
import { channelNamePattern } from "./notice.ts";
import { pointerTo } from "./pointer.ts";

const Address = Type.String({ minLength: 1, maxLength: 2_048, description: "an http or https address" });
const Secret = Type.String({ minLength: 1, maxLength: 1_024, description: "never shown again" });
const Text = Type.String({ minLength: 1, maxLength: 256 });
const Description = Type.Optional(Type.String({ maxLength: 1_024 }));
const closed = { additionalProperties: false } as const;

const webhook = Type.Object(
  {
    type: Type.Literal("webhook"),
    url: Address,
    secret: Type.Optional(
      Type.String({
        pattern: "^whsec_[A-Za-z0-9+/]{32,88}={0,2}$",
        description: "whsec_ and 24 to 64 bytes in base64: requests are signed as Standard Webhooks says",
      }),
    ),
    description: Description,
  },
  closed,
);
/** A service whose address holds the right to post. */
const byAddress = <Kind extends string>(type: Kind) =>
  Type.Object({ type: Type.Literal(type), url: Address, description: Description }, closed);
const ntfy = Type.Object(
  {
    type: Type.Literal("ntfy"),
    url: Type.String({ ...Address, description: "the topic's address, such as https://ntfy.sh/my-topic" }),
    secret: Type.Optional(Secret),
    priority: Type.Optional(Type.Integer({ minimum: 1, maximum: 5 })),
    description: Description,
  },
  closed,
);
const gotify = Type.Object(
  {
    type: Type.Literal("gotify"),
    url: Type.String({ ...Address, description: "the server's address" }),
    secret: Type.String({ ...Secret, description: "the application's token; never shown again" }),
    priority: Type.Optional(Type.Integer({ minimum: 0, maximum: 10 })),
    description: Description,
  },
  closed,
);
const telegram = Type.Object(
  {
    type: Type.Literal("telegram"),
    chat: Text,
    secret: Type.String({ ...Secret, description: "the bot's token; never shown again" }),
    url: Type.Optional(
      Type.String({
        ...Address,
        description: "a Bot API server of one's own; default https://api.telegram.org",
      }),
    ),
    description: Description,
  },
  closed,
);
const email = Type.Object(
  {
    type: Type.Literal("email"),
    server: Type.String({
      pattern: "^smtps?://[^\\s/@]+$",
      maxLength: 256,
      description: "smtp://HOST:PORT (STARTTLS where offered) or smtps://HOST:PORT",
    }),
    user: Type.Optional(Text),
    secret: Type.Optional(Secret),
    from: Text,
    to: Type.Array(Text, { minItems: 1, maxItems: 32 }),
    description: Description,
  },
  closed,
);

const schemas = {
  webhook,
  email,
  slack: byAddress("slack"),
  discord: byAddress("discord"),
  teams: byAddress("teams"),
  ntfy,
  gotify,
  telegram,
} as const;

export const channelTypes = Object.keys(schemas) as (keyof typeof schemas)[];
export const ChannelSchema = Type.Union(Object.values(schemas));
export type NoticeChannel = Static<(typeof schemas)[keyof typeof schemas]>;
export type ChannelOf<Kind extends NoticeChannel["type"]> = Extract<NoticeChannel, { type: Kind }>;

const checks: ReadonlyMap<unknown, { fields: readonly string[]; check: ReturnType<typeof Compile> }> =
  new Map(
    Object.entries(schemas).map(([type, schema]) => [
      type,
      { fields: Object.keys(schema.properties), check: Compile(schema as TSchema) },
    ]),
  );

/** For messages that say more than the schema's own. */
const hints: Readonly<Record<string, string>> = {
  "/secret":
    "a webhook's secret is whsec_ and 24 to 64 bytes in base64: openssl rand -base64 24 makes one without the whsec_",
  "/server": "the server is smtp://HOST:PORT or smtps://HOST:PORT; user and secret have fields of their own",
  "/to": "to is a list of 1 to 32 addresses",
};

export type ChannelCheck = { ok: true; channel: NoticeChannel } | { ok: false; problems: Problem[] };

/** Reads a channel from outside, with everything that is wrong with it. */
export function checkChannel(input: unknown): ChannelCheck {
  if (!isObject(input))
    return wrong("", 'a channel is an object such as {"type": "slack", "url": "https://…"}');
  const known = checks.get(input["type"]);
  if (known === undefined) return wrong("/type", `the type is one of: ${channelTypes.join(", ")}`);
  const { fields, check } = known;
  const problems: Problem[] = Object.keys(input)
    .filter((name) => !fields.includes(name))
    .slice(0, 20)
    .map((name) => ({
      pointer: pointerTo(name),
      message: `a ${String(input["type"])} channel has no field ${JSON.stringify(name)}${didYouMean(name, fields)}`,
    }));
  for (const error of check.Errors(input)) {
    if (error.keyword === "additionalProperties" || error.keyword === "boolean") continue;
    const missing = "requiredProperties" in error.params ? error.params.requiredProperties : [];
    for (const name of missing)
      problems.push({ pointer: pointerTo(name), message: `the ${name} is missing` });
    if (missing.length === 0) {
      problems.push({ pointer: error.instancePath, message: hints[error.instancePath] ?? error.message });
    }
  }
  problems.push(...addressProblems(input));
  if (problems.length > 0) return { ok: false, problems };
  // Only this line makes the type: the schema of its type has just accepted it.
  return { ok: true, channel: input as NoticeChannel };
}

function addressProblems({ url, from, to }: Readonly<Record<string, unknown>>): Problem[] {
  const problems: Problem[] = [];
  if (typeof url === "string") {
    const protocol = URL.parse(url)?.protocol;
    if (protocol !== "https:" && protocol !== "http:") {
      problems.push({ pointer: "/url", message: "an address begins with https:// or http://" });
    }
  }
  for (const [pointer, address] of [["/from", from], ...entriesOf("/to", to)] as const) {
    if (typeof address !== "string" || /^[^\s@<>,;]+@[^\s@<>,;]+$/.test(address)) continue;
    problems.push({
      pointer,
      message: `${JSON.stringify(address)} is not an e-mail address such as ops@example.org`,
    });
  }
  return problems;
}

function entriesOf(pointer: string, list: unknown): [string, unknown][] {
  return Array.isArray(list) ? list.map((item, index) => [`${pointer}/${index}`, item as unknown]) : [];
}

function wrong(pointer: string, message: string): ChannelCheck {
  return { ok: false, problems: [{ pointer, message }] };
}

const nameForm = new RegExp(channelNamePattern);

export function isChannelName(name: string): boolean {
  return nameForm.test(name);
}

// ---------------------------------------------------------------------------------------------------------
// What may be shown

/** Stands for something that is not shown. When a channel that was read is written again, it means "as it is". */
export const hidden = "…";

/** The channel without what gives the right to post. */
export function withoutSecrets(channel: NoticeChannel): Record<string, unknown> {
  const shown: Record<string, unknown> = { ...channel };
  if ("secret" in channel && channel.secret !== undefined) shown["secret"] = hidden;
  if (holdsRight(channel) && typeof shown["url"] === "string") shown["url"] = cutAddress(shown["url"]);
  return shown;
}

/** What a person has written, with the hidden parts as they are now. */
export function withSecretsOf(present: NoticeChannel | undefined, written: unknown): unknown {
  if (present === undefined || !isObject(written) || written["type"] !== present.type) return written;
  const before = withoutSecrets(present);
  const filled: Record<string, unknown> = { ...written };
  for (const name of ["secret", "url"] as const) {
    const isHidden = typeof before[name] === "string" && before[name].endsWith(hidden);
    if (isHidden && written[name] === before[name]) filled[name] = (present as Record<string, unknown>)[name];
  }
  return filled;
}

function holdsRight({ type }: NoticeChannel): boolean {
  return type === "slack" || type === "discord" || type === "teams" || type === "webhook";
}

function cutAddress(url: string): string {
  const origin = URL.parse(url)?.origin ?? "";
  return `${origin}/${hidden}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
