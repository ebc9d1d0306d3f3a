/** `cicada peers`, `cicada doctor` and the help, against an API whose answers the test sets. */
import assert from "node:assert/strict";
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { formatClusterKey } from "../src/identity/cluster-key.ts";
import { decodeJoin } from "../src/identity/join.ts";
import { run } from "../src/main.ts";
import { cicada, problem, recordingTerminal, StubPeer } from "./kit/cli-stage.ts";

const key = new Uint8Array(32).fill(7);
const roster = {
  epoch: 2,
  voters: ["12D3KooWalder"],
  from: "2026-11-20T02:00:00.000Z",
  forced: [] as object[],
};

function peerAnswer(more: Record<string, unknown>): Record<string, unknown> {
  return {
    id: "12D3KooWalder",
    name: "alder",
    self: true,
    state: "alive",
    role: "worker",
    voter: false,
    votesFrom: null,
    epoch: 0,
    tags: { disk: "ssd" },
    load: 1,
    capacity: 20,
    draining: false,
    drained: false,
    warmingUp: false,
    clockOffsetMs: 0,
    version: "0.1.0",
    tzdata: "2026a",
    heardAt: "2026-11-20T12:00:00.000Z",
    addresses: ["/ip4/127.0.0.1/tcp/7401/p2p/12D3KooWalder", "/ip4/192.0.2.7/tcp/7401/p2p/12D3KooWalder"],
    ...more,
  };
}

async function meshPeer(self: Record<string, unknown> = {}, others: object[] = []): Promise<StubPeer> {
  const stub = await StubPeer.open();
  writeFileSync(path.join(stub.data, "cluster.key"), formatClusterKey(key), { mode: 0o600 });
  return stub
    .on("GET /v1/peers/self", { body: peerAnswer(self) })
    .on("GET /v1/peers", { body: { items: [peerAnswer(self), ...others], nextCursor: null, roster } })
    .on("GET /readyz", { body: { ready: true, reasons: [], warnings: [] } });
}

const birch = peerAnswer({
  name: "birch",
  id: "12D3KooWbirch",
  self: false,
  clockOffsetMs: -1_200,
  tags: {},
});

test("peers ls shows every peer, and marks the one that answers", async () => {
  await using stub = await meshPeer({}, [{ ...birch, state: "suspect" }]);
  const said = await stub.cicada("peers", "ls");
  assert.equal(said.code, 0, said.stderr);
  assert.match(said.stdout, /alder \* +alive +worker +no +1\/20 +\+0ms +0\.1\.0 +disk=ssd +12D3KooWalder/);
  assert.match(said.stdout, /birch +suspect +worker +no +1\/20 +-1\.2s +0\.1\.0 +- +12D3KooWbirch/);
});

test("peers ls shows when a peer joined, by which invitation, and whether a person has confirmed it", async () => {
  const joined = { joinedAt: "2026-11-20T11:57:00.000Z", invitation: "1a2b3c4d", confirmed: false };
  await using stub = await meshPeer({ joinedAt: null, invitation: null, confirmed: true }, [
    { ...birch, ...joined },
  ]);
  const said = await stub.cicada("peers", "ls");
  assert.match(said.stdout, /12D3KooWalder +- +yes/);
  assert.match(said.stdout, /12D3KooWbirch +3m ago by 1a2b3c4d +no/);
});

test("peers ls names the voters, and warns if a roster was forced", async () => {
  await using stub = await meshPeer({ voter: true });
  const said = await stub.cicada("peers", "ls");
  assert.match(said.stdout, /alder \* +alive +worker +yes/);
  assert.match(said.stdout, /voters of epoch 2: alder\n/);
  assert.doesNotMatch(said.stdout, /forced/);
  const forced = [{ epoch: 2, by: "12D3KooWalder" }];
  const items = [peerAnswer({ drained: true, draining: true }), { ...birch, state: "forgotten" }];
  stub.on("GET /v1/peers", { body: { items, nextCursor: null, roster: { ...roster, forced } } });
  const loud = await stub.cicada("peers", "ls");
  assert.match(loud.stdout, /Epoch 2 was forced at alder instead of voted for/);
  assert.match(loud.stdout, /alder \* +alive \(drained\)/);
  assert.match(loud.stdout, /birch +forgotten/);
});

describe("changing a peer", () => {
  for (const action of ["promote", "drain", "undrain", "forget", "unforget"]) {
    test(`${action} names the peer in its request, and prints the outcome`, async () => {
      await using stub = await meshPeer();
      stub.on(`POST /v1/peers/birch/${action}`, { body: { peer: birch } });
      const said = await stub.cicada("peers", action, "birch");
      assert.equal(said.code, 0, said.stderr);
      assert.match(
        said.stdout,
        /^birch (is a voter|takes no more ticks|takes ticks again|is forgotten|is no longer forgotten)/,
      );
    });
  }

  for (const action of ["confirm", "promote", "drain", "undrain", "forget", "unforget"]) {
    test(`${action} takes several peers, and does nothing if one of the names is misspelt`, async () => {
      await using stub = await meshPeer({}, [birch]);
      stub.on(`POST /v1/peers/alder/${action}`, { body: { peer: peerAnswer({}) } });
      stub.on(`POST /v1/peers/birch/${action}`, { body: { peer: birch } });
      const posts = () => stub.asked.filter(({ method }) => method === "POST");
      const wrong = await stub.cicada("peers", action, "alder", "brich");
      assert.equal(wrong.code, 3);
      assert.match(wrong.stderr, /there is no peer "brich"/);
      const shared = String(birch.id).slice(0, 8);
      const unclear = await stub.cicada("peers", action, "alder", shared);
      assert.notEqual(unclear.code, 0);
      assert.match(unclear.stderr, /could be alder .* birch/);
      assert.deepEqual(posts(), []);
      const said = await stub.cicada("peers", action, "alder", "birch");
      assert.equal(said.code, 0, said.stderr);
      assert.match(said.stdout, /^alder is [^]*^birch |^alder takes [^]*^birch takes /m);
      const json = await stub.cicada("peers", action, "alder", "birch", "-o", "json");
      assert.deepEqual(
        (JSON.parse(json.stdout) as { peer: { name: string } }[]).map(({ peer }) => peer.name),
        ["alder", "birch"],
      );
      assert.equal(posts().length, 4);
      const twice = await stub.cicada("peers", action, "birch", "alder", String(birch.id));
      assert.equal(twice.code, 0, twice.stderr);
      assert.equal(posts().length, 6, "a peer that is named twice is asked once");
    });
  }

  test("several peers that were dealt with before one was refused are named", async () => {
    await using stub = await meshPeer({}, [birch]);
    stub.on("POST /v1/peers/alder/promote", { body: { peer: peerAnswer({}) } });
    stub.on("POST /v1/peers/birch/promote", {
      status: 503,
      body: { code: "NO_QUORUM", detail: "no majority" },
    });
    for (const flags of [[], ["-o", "json"]]) {
      const said = await stub.cicada("peers", "promote", "alder", "birch", ...flags);
      assert.equal(said.code, 1);
      assert.match(said.stdout, /alder/);
      assert.match(said.stderr, /no majority/);
    }
  });

  test("unforget at the forgotten peer itself says what is still missing, and doesn't say that all is done", async () => {
    await using stub = await meshPeer();
    const missing = "the other members (birch) refuse this peer until one of them is asked, too";
    stub.on("POST /v1/peers/alder/unforget", { body: { peer: peerAnswer({}), warnings: [missing] } });
    const said = await stub.cicada("peers", "unforget", "alder");
    assert.equal(said.code, 0, said.stderr);
    assert.equal(said.stdout, "alder is no longer forgotten here\n");
    assert.match(said.stderr, /warning: the other members \(birch\) refuse this peer/);
  });

  test("forget sends force only with --force, and then warns", async () => {
    await using stub = await meshPeer();
    stub.on("POST /v1/peers/birch/forget", { body: { peer: null } });
    const plain = await stub.cicada("peers", "forget", "birch");
    assert.equal(plain.stderr, "");
    const forced = await stub.cicada("peers", "forget", "birch", "--force");
    assert.match(forced.stderr, /the roster was forced/);
    assert.deepEqual(
      stub.asked.map(({ body }) => body),
      [{ force: false }, { force: true }],
    );
  });

  test("ends with 1 and says what to do if the voters can't agree", async () => {
    await using stub = await meshPeer();
    const body = { code: "NO_QUORUM", detail: "no majority of the 3 voters has agreed within 8 s" };
    stub.on("POST /v1/peers/birch/promote", { status: 503, body });
    const said = await stub.cicada("peers", "promote", "birch");
    assert.equal(said.code, 1);
    assert.match(said.stderr, /no majority of the 3 voters/);
    assert.match(said.stderr, /peers forget NAME --force/);
  });
});

/** Members that would get the new key, each with what is doubtful about it. */
function heirs(...doubted: readonly (string | null)[]): { body: object } {
  return {
    body: {
      peers: doubted.map((doubt, index) => ({
        id: `12D3KooWbirch${index}`,
        name: `birch${index}`,
        state: "alive",
        joinedAt: "2026-11-20T11:57:00.000Z",
        invitation: "1a2b3c4d",
        confirmed: doubt === null,
        doubt,
      })),
    },
  };
}

describe("key rotate", () => {
  const oldAcceptedUntil = "2026-11-21T12:00:00.000Z";
  const rotated = (has: boolean) => ({
    body: {
      fingerprint: "0123456789abcdef",
      oldAcceptedUntil,
      peers: [{ id: "12D3KooWbirch", name: "birch", has }],
    },
  });

  const unconfirmed = "no person has confirmed it";

  async function rotating(...doubted: readonly (string | null)[]): Promise<StubPeer> {
    const stub = await meshPeer();
    return stub.on("GET /v1/key", heirs(...doubted)).on("POST /v1/key/rotate", rotated(true));
  }

  test("first shows who gets the new key, when they joined and by which invitation, and who is doubted", async () => {
    await using stub = await rotating(null, unconfirmed);
    const refusal = problem(409, "UNCONFIRMED_PEERS", "one", [{ pointer: "/accept", message: "birch1" }]);
    stub.on("POST /v1/key/rotate", refusal);
    const said = await stub.cicada("key", "rotate");
    assert.equal(said.code, 4);
    assert.match(said.stdout, /birch0 +alive +3m ago by 1a2b3c4d +yes/);
    assert.match(
      said.stdout,
      /birch1 +alive +3m ago by 1a2b3c4d +only if you agree: no person has confirmed it/,
    );
    assert.match(said.stderr, /--without NAME.*forgets it.*peers confirm NAME.*--yes/);
    assert.deepEqual(stub.asked.at(-1)?.body, {}, "the peer was not told to accept anybody");
  });

  test("with --yes accepts exactly those that it has shown, and with --without leaves peers out", async () => {
    await using stub = await rotating(null, unconfirmed, unconfirmed);
    const gone = { ...birch, id: "12D3KooWgone", name: "gone", state: "forgotten" };
    stub.on("GET /v1/peers", { body: { items: [peerAnswer({}), gone], nextCursor: null, roster } });
    const said = await stub.cicada("key", "rotate", "--yes", "--without", "birch1", "--without", "gone");
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stdout, /birch1 .*no: left out and forgotten/);
    const body = { without: ["birch1", "gone"], accept: ["12D3KooWbirch2"] };
    assert.deepEqual(stub.asked.at(-1)?.body, body);
  });

  test("refuses a --without that fits no peer, or several, before it shows or asks anything", async () => {
    await using stub = await rotating(unconfirmed, unconfirmed);
    for (const [named, code, says] of [
      ["nobody", 3, /there is no peer "nobody"/],
      ["birch", 2, /"birch" could be birch0 .*, birch1/],
    ] as const) {
      const terminal = recordingTerminal({ CICADA_DATA: stub.data });
      terminal.ask = () => assert.fail("it asked");
      assert.equal(await run(["key", "rotate", "--without", named], terminal), code);
      assert.match(terminal.stderr, says);
      assert.equal(terminal.stdout, "");
    }
    assert.ok(stub.asked.every(({ method }) => method === "GET"));
  });

  test("asks a person who can answer, and sends nothing unless they say yes", async () => {
    await using stub = await rotating(unconfirmed);
    for (const [typed, code] of [
      ["y", 0],
      ["", 4],
      ["no", 4],
    ] as const) {
      stub.asked.length = 0;
      const terminal = recordingTerminal({ CICADA_DATA: stub.data });
      let question = "";
      terminal.ask = (text) => {
        question = text;
        return Promise.resolve(typed);
      };
      assert.equal(await run(["key", "rotate"], terminal), code, typed);
      assert.match(question, /Do birch0 belong to this mesh/);
      assert.equal(stub.asked.filter(({ method }) => method === "POST").length, code === 0 ? 1 : 0);
    }
  });

  test("shows who has the new key, and what to do with old invitations", async () => {
    await using stub = await rotating(null);
    stub.on("POST /v1/key/rotate", rotated(true));
    const said = await stub.cicada("key", "rotate", "--grace", "90m");
    assert.equal(said.code, 0, said.stderr);
    assert.deepEqual(stub.asked.at(-1)?.body, { grace: "90m" });
    assert.match(said.stdout, /the old one is accepted from members until 2026-11-21T12:00/);
    assert.match(said.stdout, /birch +yes +12D3KooWbirch/);
    assert.match(said.stderr, /Invitations printed before now hold the old key/);
    assert.match(
      said.stderr,
      /If there is a peer in this list that you don't know, it has the new key: rotate again, with --without NAME/,
    );
    assert.doesNotMatch(said.stderr, /has to rejoin/);
  });

  test("says how peers without the new key get it", async () => {
    await using stub = await rotating(null);
    stub.on("POST /v1/key/rotate", rotated(false));
    const said = await stub.cicada("key", "rotate");
    assert.deepEqual(stub.asked.at(-1)?.body, {});
    assert.match(said.stdout, /birch +no/);
    assert.match(said.stderr, /has to rejoin/);
  });
});

describe("peers invite", () => {
  test("prints the new key after a rotation, even if the environment still names the old one", async () => {
    await using stub = await meshPeer();
    const rotation = { mesh: "0123456789abcdef", madeAt: 1_763_683_200_000 };
    const later = new Uint8Array(32).fill(9);
    const old = path.join(stub.folder, "old.key");
    writeFileSync(old, formatClusterKey(key), { mode: 0o600 });
    writeFileSync(path.join(stub.data, "cluster.key"), formatClusterKey(later, undefined, rotation));
    const env = { CICADA_DATA: stub.data, CICADA_CLUSTER_KEY_FILE: old };
    const said = await cicada(["peers", "invite"], env);
    const joined = decodeJoin(said.stdout.split(" ")[1] ?? "");
    assert.deepEqual(joined?.key, later);
    assert.deepEqual(joined?.rotation, rotation);
  });

  test("prints the whole line to paste, with the key and the addresses that others can reach", async () => {
    await using stub = await meshPeer();
    const said = await stub.cicada("peers", "invite");
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stdout, /^echo cicada-join-1:\S+ \| cicada start --join -\n$/);
    const joined = decodeJoin(said.stdout.split(" ")[1] ?? "");
    assert.deepEqual(joined?.key, key);
    assert.deepEqual(joined?.addresses, ["/ip4/192.0.2.7/tcp/7401/p2p/12D3KooWalder"]);
    assert.equal(joined?.invitation?.by, "12D3KooWalder");
    assert.match(said.stderr, new RegExp(`This is invitation ${joined?.invitation?.id}`));
  });

  test("warns that anyone who has the line can run commands, and says how to keep the key hidden", async () => {
    await using stub = await meshPeer();
    const said = await stub.cicada("peers", "invite");
    assert.match(said.stderr, /can run commands on every peer/);
    assert.ok(!said.stderr.includes("cicada-join-1:"));
  });

  test("says that the second peer must be on the same machine if this one listens on loopback", async () => {
    await using stub = await meshPeer({ addresses: ["/ip4/127.0.0.1/tcp/7401/p2p/12D3KooWalder"] });
    const said = await stub.cicada("peers", "invite");
    assert.match(said.stderr, /only listens on loopback\. For a second peer on this machine/);
    assert.doesNotMatch(said.stderr, /other machine/);
    assert.equal(decodeJoin(said.stdout.split(" ")[1] ?? "")?.addresses.length, 1);
  });

  test("warns if the peer that it asks is not that of the folder with the key", async () => {
    await using stub = await meshPeer();
    const warning = /cluster\.key, and alder is not the peer of that folder/;
    const named = ["peers", "invite", "--peer", stub.url, "--token", "x"];
    assert.match((await stub.cicada(...named)).stderr, warning);
    const file = path.join(stub.data, "cluster.key");
    const others = [await stub.cicada("peers", "invite"), await stub.cicada(...named, "--cluster-key", file)];
    stub.on("GET /v1/peers/self", { body: peerAnswer({ id: "12D3KooWstub" }) });
    others.push(await stub.cicada(...named));
    for (const { code, stderr } of others) {
      assert.equal(code, 0, stderr);
      assert.doesNotMatch(stderr, warning);
    }
  });

  test("names the key file if it is missing or torn", async () => {
    await using stub = await meshPeer();
    writeFileSync(path.join(stub.data, "cluster.key"), formatClusterKey(key).slice(0, 30));
    const torn = await stub.cicada("peers", "invite");
    assert.equal(torn.code, 2);
    assert.match(torn.stderr, /cluster\.key/);
    rmSync(path.join(stub.data, "cluster.key"));
    const missing = await stub.cicada("peers", "invite");
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /cluster\.key: there is no such file/);
  });
});

describe("doctor", () => {
  test("finds nothing wrong with a healthy peer", async () => {
    await using stub = await meshPeer();
    const said = await stub.cicada("doctor");
    assert.equal(said.code, 0, said.stdout + said.stderr);
    assert.doesNotMatch(said.stdout, /FAIL|warn/);
  });

  test("fails if the peer takes no ticks, and says why", async () => {
    await using stub = await meshPeer();
    stub.on("GET /readyz", {
      status: 503,
      body: { ready: false, reasons: ["the disk is full"], warnings: [] },
    });
    const said = await stub.cicada("doctor");
    assert.equal(said.code, 1);
    assert.match(said.stdout, /FAIL {2}ready +ticks are not being kept: the disk is full/);
  });

  test("warns of dead peers, differing clocks, and differing time zone data", async () => {
    const dead = peerAnswer({ name: "cedar", self: false, state: "dead" });
    await using stub = await meshPeer({}, [{ ...birch, tzdata: "2024a" }, dead]);
    const said = await stub.cicada("doctor");
    assert.equal(said.code, 0, "warnings are no failure");
    assert.match(said.stdout, /warn {2}members +2 alive; not heard: cedar/);
    assert.match(said.stdout, /warn {2}clock +clocks are up to 1\.2s apart/);
    assert.match(said.stdout, /warn {2}zones +.*2024a and 2026a/);
  });

  test("warns of jobs that no peer can run, each in a line of its own", async () => {
    await using stub = await meshPeer();
    const warnings = [
      "no peer can run the job a: its target dan has been dead since 04:23:10 UTC",
      "another",
    ];
    stub.on("GET /readyz", { body: { ready: true, reasons: [], warnings } });
    const said = await stub.cicada("doctor");
    assert.equal(said.code, 0);
    assert.match(said.stdout, /ok {4}ready +ticks are being kept\n/);
    for (const text of warnings) assert.match(said.stdout, new RegExp(`warn {2}warning +${text}\\n`));
  });

  test("fails when the key can be read by others", async () => {
    await using stub = await meshPeer();
    chmodSync(path.join(stub.data, "cluster.key"), 0o644);
    const said = await stub.cicada("doctor");
    assert.equal(said.code, 1);
    assert.match(said.stdout, /FAIL {2}key .*chmod 600/);
  });

  test("says that no peer is up, and what to do", async () => {
    const said = await cicada(["doctor"], { CICADA_DATA: "/nonexistent/cicada" });
    assert.equal(said.code, 1);
    assert.match(said.stdout, /warn {2}folder/);
    assert.match(said.stdout, /FAIL {2}peer/);
  });
});

describe("the command line", () => {
  test("refuses an address of a peer that is neither http nor https", async () => {
    for (const url of ["ftp://x", "unix:///run/x"]) {
      const said = await cicada(["peers", "ls", "--peer", url], {});
      assert.equal(said.code, 2);
      assert.ok(said.stderr.includes(`--peer: "${url}" is not http or https`), said.stderr);
    }
  });

  test("prints its help or version and ends with 0 when asked for it", async () => {
    for (const args of [["--help"], ["jobs", "--help"], ["start", "--help"], ["--version"]]) {
      const said = await cicada(args);
      assert.equal(said.code, 0, args.join(" "));
      assert.notEqual(said.stdout, "");
      assert.equal(said.stderr, "");
    }
  });

  test("offers the nearest command for an unknown one (2)", async () => {
    const said = await cicada(["job", "ls"]);
    assert.equal(said.code, 2);
    assert.match(said.stderr, /unknown command 'job'\n\(Did you mean jobs\?\)/);
  });

  const misused: readonly [string[], string][] = [
    [["start", "--colour"], "cicada start --help"],
    [["jobs", "pause"], "cicada jobs pause --help"],
    [["runs", "ls", "backup"], "cicada runs ls --help"],
    [["--nonsense"], "cicada --help"],
  ];
  for (const [args, help] of misused) {
    test(`answers "${args.join(" ")}" with the command that explains it, and 2`, async () => {
      const said = await cicada(args);
      assert.equal(said.code, 2);
      assert.equal(said.stderr.split("\n")[1], `hint:  \`${help}\` shows the usage.`);
    });
  }

  const words: readonly [string[], string][] = [
    [["describe", "x"], "jobs get"],
    [["jobs", "describe", "x"], "jobs get"],
    [["jobs", "delete", "x"], "jobs rm"],
    [["jobs", "list"], "jobs ls"],
    [["jobs", "trigger", "x"], "jobs run"],
    [["jobs", "disable", "x"], "jobs edit JOB --enabled false"],
    [["logs", "x"], "runs log"],
    [["runs", "logs", "x"], "runs log"],
    [["runs", "list"], "runs ls"],
    [["peers", "remove", "x"], "peers forget"],
    [["peers", "readmit", "x"], "peers unforget"],
    [["join"], "start --join FILE"],
    [["status"], "doctor"],
    [["pools", "list"], "pools ls"],
    [["calendars", "add", "x"], "calendars set"],
    [["jobs", "update", "x"], "jobs edit"],
    [["concurrencyPolicy"], "jobs edit JOB --overlap POLICY"],
    [["jobs", "create", "x", "--concurrencyPolicy", "Forbid"], "--overlap"],
    [["jobs", "create", "x", "--depends-on", "y"], "--after-jobs"],
    [["jobs", "edit", "x", "--backoff-limit", "3"], "--retry-attempts"],
  ];
  for (const [args, guess] of words) {
    test(`answers "${args.join(" ")}", as other schedulers have it, with "${guess}"`, async () => {
      const said = await cicada(args);
      assert.equal(said.code, 2);
      assert.equal(said.stderr.split("\n")[1], `(Did you mean ${guess}?)`);
    });
  }

  test("writes the commands in its hints the way it was started", async () => {
    const said = await cicada(["jobs", "get", "x"], {
      CICADA_DATA: "/nonexistent",
      npm_lifecycle_event: "cicada",
    });
    assert.doesNotMatch(said.stderr, /`cicada /);
    const help = await cicada(["--help"], { npm_lifecycle_event: "cicada" });
    assert.match(help.stdout, /`npm start --`.*`npm run --silent cicada -- demo`/s);
  });

  test("shows the commands if none is given", async () => {
    const said = await cicada([]);
    assert.match(said.stdout + said.stderr, /Commands:/);
  });
});
