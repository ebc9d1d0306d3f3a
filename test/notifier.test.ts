/**
 * What each service gets: a listener checks the form that the service documents. Mail goes to a real SMTP server.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { describe, test } from "node:test";
import { SMTPServer } from "smtp-server";
import type { Delivered } from "../src/ports/notifier.ts";
import { signWebhook } from "../src/real/notifier/webhook.ts";
import type { NoticeChannel } from "../src/schema/channel.ts";
import type { JobId } from "../src/schema/ids.ts";
import { bodyAt, deliver, Listener, noon, notice, notifier } from "./kit/notifier-stage.ts";

const burst = Array.from({ length: 40 }, (_, index) =>
  notice({ job: `job-${index}` as JobId, text: `job-${index} failed: ${"x".repeat(400)}` }),
);
const nasty = notice({ text: "<!channel> @everyone & *bold*\r\nX-Injected: 1 \u202e[a](http://evil)" });

describe("webhook", () => {
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

  test("the signature is the one that Standard Webhooks publishes for its example", () => {
    const signed = signWebhook(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", '{"test": 2432232314}');
    assert.equal(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  });

  test("a notice is signed over the exact bytes, with its key as id and every field, null where unknown", async () => {
    const { headers, body, json } = await bodyAt((url) => ({ type: "webhook", url: `${url}/hook`, secret }));
    const id = "backup@2026-11-20T12:00:00Z:failed";
    assert.equal(headers["webhook-id"], id);
    const time = headers["webhook-timestamp"];
    assert.ok(time === String((noon + 5_000) / 1_000));
    assert.equal(headers["webhook-signature"], signWebhook(secret, id, time, body));
    assert.equal(json.type, "cicada.job.failed");
    assert.equal(json.timestamp, "2026-11-20T12:00:04.000Z");
    assert.deepEqual(json.data.notices, [
      {
        key: id,
        link: null,
        event: "failed",
        job: "backup",
        tick: "2026-11-20T12:00:00Z",
        run: "backup@2026-11-20T12:00:00Z~1@lpha0001",
        state: "failed",
        reason: null,
        exitCode: 2,
        peer: { id: "12D3KooWalpha0001", name: "alpha" },
        at: "2026-11-20T12:00:04.000Z",
        startedAt: "2026-11-20T12:00:00.000Z",
        finishedAt: "2026-11-20T12:00:03.000Z",
        group: "default",
        owner: null,
        description: null,
        text: notice().text,
      },
    ]);
  });

  test("a redirect is not followed, because the receiver could send the notice anywhere", async () => {
    await using listener = await Listener.open({ status: 307, headers: { location: "http://127.0.0.1:1/" } });
    const result = await deliver({ type: "webhook", url: listener.url });
    assert.deepEqual([result.ok, !result.ok && result.isFinal], [false, true]);
    assert.equal(listener.got.length, 1);
  });
});

function telegramAt(url: string): NoticeChannel {
  return { type: "telegram", url, secret: "1:a", chat: "-5" };
}

describe("each service gets the form that it documents, escaped and within its limits", () => {
  test("slack", async () => {
    const { json } = await bodyAt((url) => ({ type: "slack", url }), [nasty]);
    assert.deepEqual(Object.keys(json), ["text", "mrkdwn", "unfurl_links", "unfurl_media"]);
    assert.ok(json.text.includes("&lt;!channel&gt;") && json.text.includes("&amp;"));
    assert.ok(!/[<>]/.test(json.text));
    const many = await bodyAt((url) => ({ type: "slack", url }), burst);
    assert.ok(many.json.text.length <= 4_000);
    assert.match(many.json.text, /40 notices about 40 jobs/);
    for (const { job } of burst) assert.ok(many.json.text.includes(`\n${job} failed`), job);
  });

  test("discord", async () => {
    const { json } = await bodyAt((url) => ({ type: "discord", url }), [nasty]);
    assert.deepEqual(json.allowed_mentions, { parse: [] });
    assert.ok(json.content.includes("\\*bold\\*"));
    const many = await bodyAt((url) => ({ type: "discord", url }), burst);
    assert.ok(many.json.content.length <= 2_000);
  });

  test("teams", async () => {
    const { json } = await bodyAt((url) => ({ type: "teams", url }));
    assert.equal(json.type, "message");
    const [card] = json.attachments;
    assert.equal(card.contentType, "application/vnd.microsoft.card.adaptive");
    assert.deepEqual([card.content.type, card.content.version], ["AdaptiveCard", "1.4"]);
    assert.deepEqual(
      card.content.body.map(({ type }: { type: string }) => type),
      ["TextBlock", "TextBlock"],
    );
    const many = await bodyAt((url) => ({ type: "teams", url }), burst);
    assert.ok(Buffer.byteLength(many.body) < 28_000);
  });

  test("ntfy", async () => {
    const { json, path, headers } = await bodyAt((url) => ({
      type: "ntfy",
      url: `${url}/ops`,
      secret: "tk_x",
    }));
    assert.equal(path, "/");
    assert.equal(headers.authorization, "Bearer tk_x");
    assert.deepEqual([json.topic, json.title, json.priority], ["ops", "backup: failed", 4]);
    const many = await bodyAt((url) => ({ type: "ntfy", url: `${url}/ops`, priority: 1 }), burst);
    assert.ok(Buffer.byteLength(many.json.message) <= 4_096);
    assert.equal(many.json.priority, 1);
  });

  test("gotify", async () => {
    const { json, path, headers } = await bodyAt((url) => ({ type: "gotify", url: `${url}/`, secret: "A1" }));
    assert.equal(path, "/message");
    assert.equal(headers["x-gotify-key"], "A1");
    assert.deepEqual([json.title, json.priority], ["backup: failed", 8]);
    assert.match(json.message, /^backup, tick/);
  });

  test("telegram", async () => {
    const { json, path } = await bodyAt(telegramAt, [nasty]);
    assert.equal(path, "/bot1:a/sendMessage");
    assert.equal(json.chat_id, "-5");
    assert.ok(!("parse_mode" in json), "plain text, so nothing in it has a meaning");
    assert.equal(json.text.split("\n").length, 2, "no text begins a line of its own");
    const many = await bodyAt(telegramAt, burst);
    assert.ok(many.json.text.length <= 4_096);
  });
});

describe("what a refusal means", () => {
  for (const [status, isFinal] of [
    [400, true],
    [401, true],
    [404, true],
    [410, true],
    [408, false],
    [429, false],
    [500, false],
    [503, false],
  ] as const) {
    test(`${status} is ${isFinal ? "final" : "tried again"}, and the answer is told`, async () => {
      await using listener = await Listener.open({
        status,
        body: "no \n way",
        headers: { "retry-after": "7" },
      });
      const result = await deliver({ type: "slack", url: listener.url });
      assert.deepEqual(result, {
        ok: false,
        isFinal,
        afterMs: 7_000,
        why: `${new URL(listener.url).host} answered ${status}: no way`,
      });
    });
  }

  test("a server that is not there is tried again, and the reason names what failed", async () => {
    const listener = await Listener.open();
    const { url } = listener;
    await listener[Symbol.asyncDispose]();
    const result = await deliver({ type: "slack", url });
    assert.ok(!result.ok && !result.isFinal);
    assert.match(result.why, /ECONNREFUSED/);
  });

  test("an answer without an end is read only as far as it is shown", async () => {
    const endless = "x".repeat(10_000_000);
    await using listener = await Listener.open({ status: 500, body: endless });
    const result = await deliver({ type: "slack", url: listener.url });
    assert.ok(!result.ok && result.why.length < 300);
  });
});

test("a ping carries the run's id and says what happened", async () => {
  await using listener = await Listener.open();
  const ping = { url: `${listener.url}/up?rid=1`, run: "backup@x~1@y", text: "backup@x~1@y started" };
  const result = await new Promise<Delivered>((resolve) => notifier.ping(ping, resolve));
  assert.deepEqual(result, { ok: true });
  const [got] = listener.got;
  assert.deepEqual([got?.path, got?.headers["cicada-run"], got?.body], ["/up?rid=1", ping.run, ping.text]);
});

interface Mail {
  from: string;
  to: string[];
  text: string;
}

function mailbox(port: number): NoticeChannel {
  const to = ["ops@example.org", "boss@example.org"];
  return { type: "email", server: `smtp://127.0.0.1:${port}`, from: "cicada@example.org", to };
}

function messageId(mail: Mail | undefined): string | undefined {
  return /^Message-ID: (.+)$/im.exec(mail?.text ?? "")?.[1];
}

async function serve(
  options: { refuse?: string; refused?: string; auth?: boolean; breaksAfter?: boolean } = {},
): Promise<{ server: SMTPServer; mails: Mail[]; port: number; users: string[] }> {
  const mails: Mail[] = [];
  const users: string[] = [];
  const server = new SMTPServer({
    authOptional: options.auth !== true,
    disabledCommands: ["STARTTLS"],
    allowInsecureAuth: true,
    onAuth: (auth, _session, done) => {
      users.push(`${auth.username}:${auth.password}`);
      done(null, { user: auth.username });
    },
    onRcptTo: ({ address }, _session, done) => {
      const isRefused = options.refuse !== undefined && (options.refused ?? address) === address;
      if (!isRefused) return done();
      done(Object.assign(new Error("no such mailbox"), { responseCode: Number(options.refuse) }));
    },
    onData: (stream, session, done) => {
      const parts: Buffer[] = [];
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        const from = mailFrom === false ? "" : mailFrom.address;
        mails.push({
          from,
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(parts).toString(),
        });
        done();
        if (options.breaksAfter === true)
          setImmediate(() => sockets.forEach((socket) => socket.destroySoon()));
      });
    },
  });
  const sockets: Socket[] = [];
  server.server.on("connection", (socket: Socket) => sockets.push(socket));
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  return { server, mails, users, port: (server.server.address() as AddressInfo).port };
}

describe("mail", () => {
  test("goes to every receiver, with an id that a repeat shares, and no job's name adds a header", async () => {
    const { server, mails, port } = await serve();
    try {
      const injected = notice({ job: "a\r\nBcc: x@evil.org" as JobId, owner: "ops" });
      for (let again = 0; again < 2; again++) {
        assert.deepEqual(await deliver(mailbox(port), [injected], "k1"), { ok: true });
      }
    } finally {
      await new Promise<void>((done) => server.close(done));
    }
    const [first, second] = mails;
    assert.equal(first?.from, "cicada@example.org");
    assert.deepEqual(first?.to, ["ops@example.org", "boss@example.org"]);
    assert.match(messageId(first) ?? "", /^<[0-9a-f]{32}@cicada>/);
    assert.equal(messageId(first), messageId(second));
    assert.match(first?.text ?? "", /^Auto-Submitted: auto-generated\r$/m);
    assert.doesNotMatch(first?.text ?? "", /^Bcc:/im);
  });

  test("a refusal of the receiver is final; one for now is tried again", async () => {
    for (const [refuse, isFinal] of [
      ["550", true],
      ["450", false],
    ] as const) {
      const { server, port } = await serve({ refuse });
      try {
        const result = await deliver(mailbox(port));
        assert.deepEqual([result.ok, !result.ok && result.isFinal], [false, isFinal], refuse);
        assert.match(result.ok ? "" : result.why, /no such mailbox/);
      } finally {
        await new Promise<void>((done) => server.close(done));
      }
    }
  });

  test("mail that was accepted counts as sent, even if the connection breaks before the farewell", async () => {
    const { server, mails, port } = await serve({ breaksAfter: true });
    try {
      assert.deepEqual(await deliver(mailbox(port)), { ok: true });
    } finally {
      await new Promise<void>((done) => server.close(done));
    }
    assert.equal(mails.length, 1);
  });

  test("a receiver that is refused beside others is reported as a failure, and the others get the mail once", async () => {
    const { server, mails, port } = await serve({ refuse: "450", refused: "boss@example.org" });
    try {
      const result = await deliver(mailbox(port));
      assert.deepEqual(result, {
        ok: false,
        isFinal: true,
        why: "127.0.0.1: accepted, but not for boss@example.org",
      });
    } finally {
      await new Promise<void>((done) => server.close(done));
    }
    assert.deepEqual(
      mails.map(({ to }) => to),
      [["ops@example.org"]],
    );
  });

  test("a password is never sent over a connection that is not encrypted", async () => {
    const { server, users, port } = await serve({ auth: true });
    try {
      const result = await deliver({
        ...mailbox(port),
        user: "cicada",
        secret: "hunter22",
      } as NoticeChannel);
      assert.equal(result.ok, false);
      assert.deepEqual(users, []);
    } finally {
      await new Promise<void>((done) => server.close(done));
    }
  });
});
