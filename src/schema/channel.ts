/**
 * Channels: where notices go. A channel is a value of the job table, so every peer can send through it. A holder of the
 * cluster key can read what it contains; the API shows neither its `secret` nor the part of an address that is one. A channel
 * may name a secret (secret.ts) instead: then the table has only its name, and the peers that have its value can send.
 */
import { Type, type Static, type TSchema } from "typebox";
import { checkOf, type Check } from "./check.ts";
import type { Problem } from "./job.ts";
import { describeFault } from "./fault-words.ts";
import { DigestSchema, isZoneName, type Digest } from "./digest.ts";
import { meshEvents, type MeshEvent } from "./mesh-event.ts";
import { didYouMean } from "./nearest.ts";
import { channelNamePattern } from "./notice.ts";
import { pointerTo } from "./pointer.ts";
import { secretLeastCharacters, secretNamePattern } from "./secret.ts";

const Address = Type.String({ minLength: 1, maxLength: 2_048, description: "an http or https address" });
/** In its place the channel has the value of a secret (secret.ts) at the peer that sends. */
const SecretName = Type.Object(
  { name: Type.String({ pattern: secretNamePattern, description: "as cicada secrets set names it" }) },
  {
    additionalProperties: false,
    description: "the value of a secret, which only the peers that have it can use",
  },
);
export type SecretName = Static<typeof SecretName>;
const secretOf = (description: string) =>
  Type.Union([Type.String({ minLength: 1, maxLength: 1_024, description }), SecretName]);
const Secret = secretOf("never shown again");
/** An address that holds the right to post. */
const SecretAddress = Type.Union([Address, SecretName]);
const Text = Type.String({ minLength: 1, maxLength: 256 });
const closed = { additionalProperties: false } as const;

/** What every channel may have. */
const shared = {
  mesh: Type.Optional(
    Type.Array(Type.Enum(meshEvents), {
      uniqueItems: true,
      description:
        "the events of the mesh that it is notified of; whoever is notified of a problem is notified of its end",
    }),
  ),
  digest: Type.Optional(DigestSchema),
  link: Type.Optional(
    Type.String({
      ...Address,
      maxLength: 512,
      description: "the address at which people open a peer's page; notices then link to it",
    }),
  ),
  description: Type.Optional(Type.String({ maxLength: 1_024 })),
};

const webhook = Type.Object(
  {
    type: Type.Literal("webhook"),
    url: SecretAddress,
    secret: Type.Optional(
      Type.Union([
        Type.String({
          pattern: "^whsec_[A-Za-z0-9+/]{32,88}={0,2}$",
          description: "whsec_ and 24 to 64 bytes in base64: requests are signed as Standard Webhooks says",
        }),
        SecretName,
      ]),
    ),
    ...shared,
  },
  closed,
);
/** A service whose address holds the right to post. */
const byAddress = <Kind extends string>(type: Kind) =>
  Type.Object({ type: Type.Literal(type), url: SecretAddress, ...shared }, closed);
const ntfy = Type.Object(
  {
    type: Type.Literal("ntfy"),
    url: Type.String({ ...Address, description: "the topic's address, such as https://ntfy.sh/my-topic" }),
    secret: Type.Optional(Secret),
    priority: Type.Optional(Type.Integer({ minimum: 1, maximum: 5 })),
    ...shared,
  },
  closed,
);
const gotify = Type.Object(
  {
    type: Type.Literal("gotify"),
    url: Type.String({ ...Address, description: "the server's address" }),
    secret: secretOf("the application's token; never shown again"),
    priority: Type.Optional(Type.Integer({ minimum: 0, maximum: 10 })),
    ...shared,
  },
  closed,
);
const telegram = Type.Object(
  {
    type: Type.Literal("telegram"),
    chat: Text,
    secret: secretOf("the bot's token; never shown again"),
    url: Type.Optional(
      Type.String({
        ...Address,
        description: "the Bot API server, if not Telegram's; default https://api.telegram.org",
      }),
    ),
    ...shared,
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
    ...shared,
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

/**
 * How many characters of text a message of each service has room for, beside its title (300) and a link (650). The services'
 * limits are 4,000 (Slack), 2,000 (Discord), 28 KB (Teams), 4,096 bytes (ntfy) and 4,096 (Telegram).
 */
export const textRooms: Readonly<Record<keyof typeof schemas, number>> = {
  webhook: Infinity,
  email: Infinity,
  slack: 3_000,
  discord: 1_000,
  teams: 6_000,
  ntfy: 1_000,
  gotify: 4_000,
  telegram: 3_000,
};

export const channelTypes = Object.keys(schemas) as (keyof typeof schemas)[];
export const ChannelSchema = Type.Union(Object.values(schemas));
export type NoticeChannel = Static<(typeof schemas)[keyof typeof schemas]>;
type WithValues<Channel> = Channel extends unknown
  ? { [Field in keyof Channel]: Exclude<Channel[Field], SecretName> }
  : never;
/** A channel with the values of the secrets that it names. */
export type OpenChannel = WithValues<NoticeChannel>;
export type ChannelOf<Kind extends NoticeChannel["type"]> = Extract<OpenChannel, { type: Kind }>;

const checks: ReadonlyMap<unknown, { fields: readonly string[]; check: Check<unknown> }> = new Map(
  Object.entries(schemas).map(([type, schema]) => [
    type,
    { fields: Object.keys(schema.properties), check: checkOf(schema as TSchema) },
  ]),
);

/** For messages that say more than the schema's own. */
const hints: Readonly<Record<string, string>> = {
  "/secret":
    'a secret is a text, or {"name": NAME} with the name of one that `cicada secrets set` has made; a webhook\'s is whsec_ and 24 to 64 ' +
    "bytes in base64: openssl rand -base64 24 makes one without the whsec_",
  "/secret/name": "a secret's name is 1 to 64 letters, digits and _, not beginning with a digit",
  "/url/name": "a secret's name is 1 to 64 letters, digits and _, not beginning with a digit",
  "/url":
    'an address is a text that begins with https:// or http://; where it is a secret, {"name": NAME} can stand for it',
  "/server": "the server is smtp://HOST:PORT or smtps://HOST:PORT; user and secret have fields of their own",
  "/to": "to is a list of 1 to 32 addresses",
  "/digest": 'a digest is {"at": "08:00", "timezone": "Europe/Berlin"}; without a timezone it is UTC',
  "/digest/at": "at is a time of day from 00:00 to 23:59",
  "/mesh": `mesh is a list of: ${meshEvents.join(", ")}`,
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
      message: `a channel of the type ${String(input["type"])} has no field ${JSON.stringify(name)}${didYouMean(name, fields)}`,
    }));
  problems.push(...subscriptionProblems(input));
  for (const error of check.errors(input)) {
    // Unknown fields of the channel itself have been named above.
    if (error.keyword === "boolean") continue;
    if (error.keyword === "additionalProperties") {
      for (const name of error.instancePath === "" ? [] : error.params.additionalProperties) {
        const pointer = error.instancePath + pointerTo(name);
        problems.push({ pointer, message: `there is no such field; ${hints[error.instancePath] ?? ""}` });
      }
      continue;
    }
    // Said once, and not once for each form that the field could have.
    if (problems.some(({ pointer }) => pointer === error.instancePath && pointer !== "")) continue;
    const missing = "requiredProperties" in error.params ? error.params.requiredProperties : [];
    for (const name of missing)
      problems.push({ pointer: error.instancePath + pointerTo(name), message: `the ${name} is missing` });
    if (missing.length === 0) {
      problems.push({
        pointer: error.instancePath,
        message: hints[error.instancePath] ?? describeFault(error),
      });
    }
  }
  problems.push(...addressProblems(input));
  if (problems.length > 0) return { ok: false, problems };
  // Only this line makes the type: the schema of its type has just accepted it.
  return { ok: true, channel: input as NoticeChannel };
}

/** The value without the fields that only a later version knows. */
export function knownFields(value: unknown): unknown {
  if (!isObject(value)) return value;
  const fields = checks.get(value["type"])?.fields;
  if (fields === undefined) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => fields.includes(name)));
}

function addressProblems({ type, url, link, from, to }: Readonly<Record<string, unknown>>): Problem[] {
  const problems: Problem[] = [];
  for (const [pointer, address] of Object.entries({ "/url": url, "/link": link })) {
    if (typeof address !== "string") continue;
    const parsed = URL.parse(address);
    if (parsed?.protocol !== "https:" && parsed?.protocol !== "http:") {
      problems.push({ pointer, message: "an address begins with https:// or http://" });
    } else if (parsed.username !== "" || parsed.password !== "") {
      problems.push({
        pointer,
        message: "an address can't contain a name or a password, because it may be shown",
      });
    } else if (pointer === "/url" && address.endsWith(`/${hidden}`)) {
      problems.push({
        pointer,
        message: "the end of this address was hidden when it was shown: write the whole address",
      });
    } else if (pointer === "/url" && parsed.search !== "" && !addressIsSecret(type)) {
      problems.push({
        pointer,
        message: "this address can't have a query, because it is shown: put a token into secret",
      });
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

function subscriptionProblems({ mesh, digest }: Readonly<Record<string, unknown>>): Problem[] {
  const problems: Problem[] = [];
  if (Array.isArray(mesh)) {
    for (const [index, event] of mesh.entries()) {
      if (meshEvents.some((known) => known === event)) continue;
      const near = typeof event === "string" ? didYouMean(event, meshEvents) : "";
      const message = `${JSON.stringify(event)} is not one of: ${meshEvents.join(", ")}${near}`;
      problems.push({ pointer: `/mesh/${index}`, message });
    }
  }
  const zone = isObject(digest) ? digest["timezone"] : undefined;
  if (typeof zone === "string" && !isZoneName(zone)) {
    const message = `no time zone is called ${JSON.stringify(zone)}: write an IANA name such as Europe/Berlin`;
    problems.push({ pointer: "/digest/timezone", message });
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
// What channels ask for

export interface Subscriptions {
  /** the channels of each event of the mesh */
  events: ReadonlyMap<MeshEvent, readonly string[]>;
  /** by channel */
  digests: ReadonlyMap<string, Digest>;
}

/** `channels`: values of the table, which a later version may have written. One that can't be read asks for nothing. */
export function subscriptionsOf(channels: ReadonlyMap<string, unknown>): Subscriptions {
  const events = new Map<MeshEvent, string[]>();
  const digests = new Map<string, Digest>();
  for (const [name, value] of channels) {
    const found = checkChannel(knownFields(value));
    if (!found.ok) continue;
    const { mesh = [], digest } = found.channel;
    for (const event of mesh) events.set(event, [...(events.get(event) ?? []), name]);
    if (digest !== undefined) digests.set(name, digest);
  }
  return { events, digests };
}

// ---------------------------------------------------------------------------------------------------------
// What may be shown

/** Stands for something that is not shown. When a channel that was read is written again, it means "as it is". */
export const hidden = "…";

/** The channel without what gives the right to post. */
export function withoutSecrets(channel: NoticeChannel): Record<string, unknown> {
  const shown: Record<string, unknown> = { ...channel };
  if (typeof shown["secret"] === "string") shown["secret"] = hidden;
  if (addressIsSecret(channel.type) && typeof shown["url"] === "string")
    shown["url"] = cutAddress(shown["url"]);
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

/** Whether anyone who knows the address of such a channel may post there. */
function addressIsSecret(type: unknown): boolean {
  return type === "slack" || type === "discord" || type === "teams" || type === "webhook";
}

/** The texts that must not be seen in an error of the channel. */
export function secretsOf(channel: OpenChannel): string[] {
  const secrets = "secret" in channel && channel.secret !== undefined ? [channel.secret] : [];
  if (!addressIsSecret(channel.type) || !("url" in channel)) return secrets;
  const address = URL.parse(channel.url ?? "");
  if (address === null) return secrets;
  const path = `${address.pathname}${address.search}`;
  return [
    ...secrets,
    ...[path, ...path.split(/[/?&=]/)].filter(({ length }) => length >= secretLeastCharacters),
  ];
}

/** The secrets that the channel names, by field. */
export function namedSecrets(channel: NoticeChannel): { field: string; name: string }[] {
  return (["secret", "url"] as const).flatMap((field) => {
    const value: unknown = (channel as Record<string, unknown>)[field];
    return isObject(value) && typeof value["name"] === "string" ? [{ field, name: value["name"] }] : [];
  });
}

function cutAddress(url: string): string {
  const origin = URL.parse(url)?.origin ?? "";
  return `${origin}/${hidden}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
