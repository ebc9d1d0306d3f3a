/** The sentences about notices in INTERFACE.md, "Where features meet", that concern what a service is sent. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { signWebhook } from "../src/real/notifier/webhook.ts";
import { NoticeQueue } from "../src/peer/notices/notice-queue.ts";
import { textRooms, type NoticeChannel } from "../src/schema/channel.ts";
import type { JobId, RunId } from "../src/schema/ids.ts";
import type { Notice } from "../src/schema/notice.ts";
import { bodyAt, deliver, Listener, noon, notice, wallNow } from "./kit/notifier-stage.ts";

const link = "https://cicada.example.org:8443/page?a=1&b=2";
const longest = `${"a_".repeat(63)}zz` as JobId;
const tick = "2026-11-20T12:00:00Z";

/** Texts that take more room when they are escaped, or that a service reads as more than text. */
const nasty: Readonly<Record<string, string>> = {
  "letters of four bytes": "😀".repeat(3_000),
  "marks that are escaped": '*_~`<>&|[]()\\"#'.repeat(500),
  "line breaks and controls": "\r\n\u0000\u001b[31m\u202e\u2028".repeat(500),
  "half a letter": `${"x".repeat(1_499)}${"\ud83d".repeat(700)}`,
  "one word": "x".repeat(9_000),
};

function failure(job: JobId, reason: string): Notice {
  return notice({
    job,
    key: `${job}@${tick}:failed`,
    run: `${job}@${tick}~1@lpha0001` as RunId,
    owner: reason.slice(0, 256),
    text: `${job}, tick ${tick}, failed with exit code 2 on alpha after 3s: ${reason}`.slice(0, 2_048),
  });
}

type Got = Awaited<ReturnType<typeof bodyAt>>;

interface Service {
  channel: (url: string) => NoticeChannel;
  /** the text that a person sees; and that all of the message is within the service's limits */
  read: (got: Got) => string;
  linkOf: (json: Got["json"]) => string | undefined;
  /** how the service's escapes are undone */
  plain?: (text: string) => string;
}

const unescaped = (text: string) => text.replaceAll(/\\(.)/gs, "$1");

const services: Readonly<Record<string, Service>> = {
  slack: {
    channel: (url) => ({ type: "slack", url, link }),
    read: ({ json }) => {
      assert.ok(json.text.length <= 4_000, `${json.text.length} characters`);
      assert.doesNotMatch(json.text, /&(?!amp;|lt;|gt;)/, "no escape is cut in two");
      return json.text;
    },
    linkOf: ({ text }) => /\n<(.+)>$/.exec(text)?.[1]?.replaceAll("&amp;", "&"),
    plain: (text) => text.replaceAll("\u200b", ""),
  },
  discord: {
    channel: (url) => ({ type: "discord", url, link }),
    read: ({ json }) => {
      assert.ok(json.content.length <= 2_000, `${json.content.length} characters`);
      return json.content;
    },
    linkOf: ({ content }) => /\n<(.+)>$/.exec(content)?.[1],
    plain: unescaped,
  },
  teams: {
    channel: (url) => ({ type: "teams", url, link }),
    read: ({ json, body }) => {
      assert.ok(Buffer.byteLength(body) <= 28_000, `${Buffer.byteLength(body)} bytes`);
      return json.attachments[0].content.body.map(({ text }: { text: string }) => text).join("\n");
    },
    linkOf: ({ attachments }) => attachments[0].content.actions[0].url,
    plain: unescaped,
  },
  ntfy: {
    channel: (url) => ({ type: "ntfy", url: `${url}/ops`, link }),
    read: ({ json, body }) => {
      assert.ok(Buffer.byteLength(json.message) <= 4_096, `${Buffer.byteLength(json.message)} bytes`);
      // The server reads no more than twice a message's size.
      assert.ok(Buffer.byteLength(body) <= 8_192, `${Buffer.byteLength(body)} bytes in all`);
      return json.message;
    },
    linkOf: ({ click }) => click,
  },
  gotify: {
    channel: (url) => ({ type: "gotify", url, secret: "A-token", link }),
    read: ({ json }) => json.message,
    linkOf: ({ extras }) => extras["client::notification"].click.url,
  },
  telegram: {
    channel: (url) => ({ type: "telegram", url, secret: "1:token", chat: "-5", link }),
    read: ({ json }) => {
      assert.ok(json.text.length <= 4_096, `${json.text.length} characters`);
      return json.text;
    },
    linkOf: ({ text }) => /\n(https:.+)$/.exec(text)?.[1],
    plain: (text) => text.replaceAll("\u200b", ""),
  },
};

describe("notices follow each service's limits and escapes at the first try, and truncation never removes the id, state or link", () => {
  for (const [type, { channel, read, linkOf, plain = String }] of Object.entries(services)) {
    test(`${type}: a single notice with the longest name, whatever its reason is`, async () => {
      for (const [what, reason] of Object.entries(nasty)) {
        const got = await bodyAt(channel, [failure(longest, reason)]);
        const text = plain(read(got));
        assert.ok(text.isWellFormed(), what);
        assert.ok(text.includes(`${longest}, tick ${tick}, failed with exit code 2`), `${what}: ${text}`);
        assert.ok(text.includes(`run ${longest}@${tick}~1@lpha0001`), `${what}: ${text}`);
        assert.equal(linkOf(got.json), `${link}#job=${longest}`, what);
      }
    });

    test(`${type}: as many notices as the queue puts into one message`, async () => {
      for (const [what, reason] of Object.entries(nasty)) {
        const jobs = Array.from({ length: 50 }, (_, index) =>
          index % 2 === 0
            ? (`job_${index}` as JobId)
            : (`${longest.slice(3)}${index}`.slice(0, 128) as JobId),
        );
        const batches = batchesOf(
          type,
          jobs.map((job) => failure(job, reason)),
        );
        assert.equal(batches.flat().length, 50, "none is left out");
        for (const batch of batches) {
          const got = await bodyAt(channel, batch);
          const text = plain(read(got));
          for (const { job = "" } of batch)
            assert.ok(text.includes(`${job}, tick ${tick}, failed`), `${what}: ${job} in ${text}`);
          assert.ok(linkOf(got.json)?.startsWith(link), what);
        }
      }
    });
  }
});

/** What the queue sends of these, message by message. */
function batchesOf(type: string, notices: readonly Notice[]): Notice[][] {
  const batches: Notice[][] = [];
  let nowMs = 0;
  const alarms: (() => void)[] = [];
  const queue = new NoticeQueue({
    clock: {
      now: () => ({ wall: nowMs, mono: nowMs }),
      alarm: (_, ring) => {
        alarms.push(ring);
        return () => undefined;
      },
    },
    deliver: (message, done) => {
      batches.push([...message.notices]);
      done({ ok: true });
    },
    failed: () => undefined,
    room: () => textRooms[type as keyof typeof textRooms],
  });
  for (const one of notices) queue.add(one, () => undefined);
  for (let ring = alarms.shift(); ring !== undefined; ring = alarms.shift()) {
    nowMs += 10_000;
    ring();
  }
  return batches;
}

describe("a name or output can't add a header, a recipient or a ping of everyone", () => {
  const evil = notice({
    job: "x\r\nBcc: a@evil.org" as JobId,
    text: "<!channel> <!everyone> <@U1> @everyone @here <at>all</at> [x](https://evil.org)\r\nX-Evil: 1",
    owner: "o\r\nTo: b@evil.org",
    peer: { id: notice().peer.id, name: "<!here>\n@everyone" },
  });

  test("slack: what would mention somebody is text", async () => {
    const { json } = await bodyAt((url) => ({ type: "slack", url }), [evil]);
    assert.doesNotMatch(json.text, /[<>]/);
    assert.equal(json.link_names, undefined);
  });

  test("discord: nothing is a mention", async () => {
    const { json } = await bodyAt((url) => ({ type: "discord", url }), [evil]);
    assert.deepEqual(json.allowed_mentions, { parse: [] });
  });

  test("teams: there is no mention in the card, and no link of a job's making", async () => {
    const { json } = await bodyAt((url) => ({ type: "teams", url }), [evil]);
    const { content } = json.attachments[0];
    assert.equal(content.msteams, undefined);
    const text = content.body.map((block: { text: string }) => block.text).join("\n");
    assert.doesNotMatch(text, /(?<!\\)<at>/);
    assert.doesNotMatch(text, /(?<!\\)\[x\]/);
  });

  test("telegram: a name with an @ is nobody's", async () => {
    const { json } = await bodyAt(
      (url) => ({ type: "telegram", url, secret: "1:token", chat: "-5" }),
      [evil],
    );
    assert.equal(json.parse_mode, undefined);
    assert.doesNotMatch(json.text, /@[a-z]/);
  });

  for (const [type, { channel }] of Object.entries(services)) {
    test(`${type}: no text begins a line of its own, and none is in a header`, async () => {
      const { headers, json } = await bodyAt(channel, [evil]);
      assert.doesNotMatch(JSON.stringify(headers), /evil/i);
      const texts = textsIn(json);
      assert.ok(texts.some((text) => /X-Evil|Bcc|To:/i.test(text)));
      for (const text of texts) assert.doesNotMatch(text, /(^|[\r\n])(X-Evil|Bcc|To):/i);
    });
  }
});

function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

test("a webhook's signature covers the exact bytes sent; retries keep the id and get a new timestamp", async (context) => {
  context.after(() => void (wallNow.at = noon + 5_000));
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  await using listener = await Listener.open({ status: 503 }, { status: 200 });
  const channel = { type: "webhook", url: listener.url, secret } as const;
  const notices = [notice({ text: "grün \u2028 😀 </script>" })];
  assert.equal((await deliver(channel, notices)).ok, false);
  wallNow.at += 60_000;
  assert.equal((await deliver(channel, notices)).ok, true);
  const [first, second] = listener.got;
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(first.headers["webhook-id"], notices[0]?.key);
  assert.equal(second.headers["webhook-id"], first.headers["webhook-id"]);
  assert.equal(Number(second.headers["webhook-timestamp"]) - Number(first.headers["webhook-timestamp"]), 60);
  for (const { headers, body } of [first, second]) {
    const [id, time] = [String(headers["webhook-id"]), String(headers["webhook-timestamp"])];
    assert.equal(headers["webhook-signature"], signWebhook(secret, id, time, body));
  }
});

test("a webhook's id has no dot, which would let a job's name move what the signature covers, and two jobs have two ids", async () => {
  await using listener = await Listener.open({ status: 200 });
  const channel = { type: "webhook", url: listener.url } as const;
  for (const job of ["shop.backup", "shop_backup", "shop-backup"])
    await deliver(channel, [notice({ key: `${job}@2026-11-20T12:00:00Z:failed` })]);
  const ids = listener.got.map(({ headers }) => String(headers["webhook-id"]));
  assert.equal(new Set(ids).size, 3);
  assert.doesNotMatch(ids.join(), /\./);
});

describe("a secret that a channel holds is in no error", () => {
  const token = "T0ken/very-secret-part";
  const cases: Readonly<Record<string, (url: string) => NoticeChannel>> = {
    "slack's address": (url) => ({ type: "slack", url: `${url}/services/${token}` }),
    "discord's address": (url) => ({ type: "discord", url: `${url}/api/webhooks/1/${token}` }),
    "teams' address": (url) => ({ type: "teams", url: `${url}/workflow?sig=${encodeURIComponent(token)}` }),
    "a webhook's address": (url) => ({ type: "webhook", url: `${url}/hook/${token}` }),
    "telegram's token": (url) => ({ type: "telegram", url, chat: "-5", secret: token }),
    "gotify's token": (url) => ({ type: "gotify", url, secret: token }),
    "ntfy's token": (url) => ({ type: "ntfy", url: `${url}/ops`, secret: token }),
  };
  for (const [what, channel] of Object.entries(cases)) {
    test(`${what}, when the service repeats the request in its refusal`, async () => {
      await using listener = await Listener.open({ status: 400, body: "" });
      const echo = channel(listener.url);
      // What the service has seen of it, as it might write it into its answer.
      await deliver(echo);
      const [got] = listener.got;
      const seen = `no route ${got?.path} ${String(got?.headers["x-gotify-key"])} ${got?.headers.authorization}`;
      assert.match(seen, /T0ken|very-secret-part/);
      await using refusing = await Listener.open({ status: 400, body: seen });
      const result = await deliver(channel(refusing.url));
      assert.ok(!result.ok);
      assert.match(result.why, /answered 400/);
      for (const part of ["T0ken", "very-secret-part"]) assert.ok(!result.why.includes(part), result.why);
    });

    test(`${what}, when nobody listens there`, async () => {
      const listener = await Listener.open();
      const { url } = listener;
      await listener[Symbol.asyncDispose]();
      const result = await deliver(channel(url));
      assert.ok(!result.ok);
      assert.match(result.why, /ECONNREFUSED|refused/i);
      assert.ok(!result.why.includes("T0ken") && !result.why.includes("very-secret"), result.why);
    });
  }

  test("a channel that names a secret is sent with its value, where it is there", async () => {
    const { headers } = await bodyAt((url) => ({ type: "gotify", url, secret: { name: "TOKEN" } }));
    assert.equal(headers["x-gotify-key"], "named-token");
    const missing = await deliver({ type: "slack", url: { name: "ELSEWHERE" } });
    assert.deepEqual(missing, { ok: false, isFinal: false, why: "this peer has no ELSEWHERE" });
  });

  test("a secret whose value is no address is refused without being shown", async () => {
    const result = await deliver({ type: "slack", url: { name: "TOKEN" } });
    assert.ok(!result.ok && result.isFinal);
    assert.match(result.why, /the value of TOKEN can't be used: an address begins with https/);
    assert.ok(!result.why.includes("named-token"));
  });
});
