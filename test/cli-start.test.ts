/** Which mesh a peer belongs to when it starts, what it prints on a terminal, and a demo whose ports are taken. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { meshPortBusy } from "../src/cli/start/busy-port.ts";
import { chooseKey, readJoinFrom, type KeptKey } from "../src/cli/start/keys.ts";
import { introduce, printStopping } from "../src/cli/start/screen.ts";
import { readConfig } from "../src/config.ts";
import { clusterFingerprint, formatClusterKey } from "../src/identity/cluster-key.ts";
import { decodeJoin, encodeJoin } from "../src/identity/join.ts";
import { CicadaError } from "../src/errors.ts";
import type { ErrorCode } from "../src/errors/table.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { cicada, recordingTerminal } from "./kit/cli-stage.ts";

const key = new Uint8Array(32).fill(1);
const otherKey = new Uint8Array(32).fill(2);
const generated = new Uint8Array(32).fill(9);
const generate = () => generated;
const addresses = ["/ip4/192.0.2.7/tcp/7401/p2p/12D3KooWalder"];
const join = encodeJoin({ key, addresses });

const nothing = { join: undefined, clusterKey: undefined, bootstrap: [] };
const fresh: KeptKey = { file: "DATA/cluster.key", text: undefined, used: false };
/** The details of a key that was not made here. */
const unrotated = { rotation: undefined, invitation: undefined, stale: undefined };
const given = { ...unrotated, founded: false, founder: undefined };
const kept: KeptKey = { ...fresh, text: formatClusterKey(key), used: true };

function refused(code: ErrorCode, says: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CicadaError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, says);
    assert.ok(!error.message.includes(join), "a key is never shown");
    return true;
  };
}

describe("the cluster key of a peer that starts", () => {
  let folder = "";
  const file = (name: string, text: string) => {
    const place = path.join(folder, name);
    writeFileSync(place, text);
    return place;
  };
  before(() => (folder = mkdtempSync(path.join(tmpdir(), "cicada-keys-"))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("is made if the folder is new and no setting names a mesh", () => {
    assert.deepEqual(chooseKey(nothing, fresh, generate), {
      key: generated,
      ...unrotated,
      founded: true,
      founder: undefined,
      keep: true,
      addresses: [],
    });
  });

  test("is the folder's own key at the next start", () => {
    assert.deepEqual(chooseKey(nothing, kept, generate), { ...given, key, keep: false, addresses: [] });
  });

  test("comes from the join string; the folder keeps the key and the addresses", () => {
    assert.deepEqual(chooseKey({ ...nothing, join }, fresh, generate), {
      ...given,
      key,
      keep: true,
      addresses,
    });
    assert.deepEqual(chooseKey({ ...nothing, join }, kept, generate), {
      ...given,
      key,
      keep: false,
      addresses,
    });
  });

  test("comes from a file that holds the join string, alone or as `peers invite` printed it", () => {
    for (const text of [`${join}\n`, `cicada start --join ${join}\n`]) {
      const joined = chooseKey({ ...nothing, join: file("join", text) }, fresh, generate);
      assert.deepEqual(joined.key, key);
    }
  });

  test("comes from standard input with --join -, alone or within the printed line", async () => {
    for (const text of [`${join}\n`, `\necho ${join} | cicada start --join -\n`, join]) {
      assert.equal(await readJoinFrom(Readable.from([text])), join);
    }
    await assert.rejects(
      readJoinFrom(Readable.from(["hello\n"])),
      refused("BAD_KEY", /there is no join string on standard input/),
    );
  });

  test("has a founder if its file names one", () => {
    const founder = "12D3KooWalder" as PeerId;
    const text = formatClusterKey(key, founder);
    assert.equal(chooseKey(nothing, { ...kept, text }, generate).founder, founder);
    assert.equal(
      chooseKey({ ...nothing, clusterKey: file("founded", text) }, fresh, generate).founder,
      founder,
    );
  });

  test("comes from the file that --cluster-key names, and the folder keeps a copy", () => {
    const clusterKey = file("key", formatClusterKey(key));
    const expected = { ...given, key, addresses: [] };
    assert.deepEqual(chooseKey({ ...nothing, clusterKey }, fresh, generate), { ...expected, keep: true });
    assert.deepEqual(chooseKey({ ...nothing, clusterKey }, kept, generate), { ...expected, keep: false });
  });

  describe("that has been rotated", () => {
    const later = new Uint8Array(32).fill(9);
    const rotation = { mesh: clusterFingerprint(key), madeAt: 1_000 };
    const rotated: KeptKey = { ...kept, text: formatClusterKey(later, undefined, rotation) };

    test("replaces the folder's older key when it comes with a fresh invitation", () => {
      const fresher = { ...nothing, join: encodeJoin({ key: later, addresses, rotation }) };
      const chosen = chooseKey(fresher, kept, generate);
      assert.deepEqual(chosen, { ...given, key: later, rotation, keep: true, addresses });
    });

    test("stays the folder's key even if a setting still names the older one, and the start says so", () => {
      for (const [old, stale] of [
        [{ ...nothing, join }, "--join"],
        [{ ...nothing, clusterKey: file("old", formatClusterKey(key)) }, "--cluster-key"],
      ] as const) {
        const chosen = chooseKey(old, rotated, generate);
        assert.deepEqual(chosen.key, later);
        assert.deepEqual([chosen.keep, chosen.stale, chosen.rotation], [false, stale, rotation]);
      }
    });

    test("keeps the folder's founder", () => {
      const founder = "12D3KooWalder" as PeerId;
      const known = { ...kept, text: formatClusterKey(key, founder) };
      const fresher = { ...nothing, join: encodeJoin({ key: later, addresses, rotation }) };
      assert.equal(chooseKey(fresher, known, generate).founder, founder);
    });

    test("belongs to another mesh if it is not a later key of this one", () => {
      const foreign = encodeJoin({
        key: later,
        addresses,
        rotation: { ...rotation, mesh: "0123456789abcdef" },
      });
      assert.throws(
        () => chooseKey({ ...nothing, join: foreign }, kept, generate),
        refused("BAD_KEY", /belong to different meshes/),
      );
    });
  });

  test("is never made for a peer that is to join a mesh, or whose folder belonged to one", () => {
    const bootstrap = ["/ip4/192.0.2.7/tcp/7401"];
    assert.throws(
      () => chooseKey({ ...nothing, bootstrap }, fresh, generate),
      refused("BAD_KEY", /--bootstrap names a mesh.*--cluster-key FILE, or join with --join/),
    );
    assert.throws(
      () => chooseKey(nothing, { ...fresh, used: true }, generate),
      refused("BAD_KEY", /DATA\/cluster\.key is gone/),
    );
  });

  test("is not replaced by another mesh's key", () => {
    const foreign = { ...nothing, join: encodeJoin({ key: otherKey, addresses }) };
    assert.throws(
      () => chooseKey(foreign, kept, generate),
      refused("BAD_KEY", /DATA\/cluster\.key and --\S+ belong to different meshes/),
    );
    const clusterKey = file("foreign", formatClusterKey(otherKey));
    assert.throws(
      () => chooseKey({ ...nothing, clusterKey }, kept, generate),
      refused("BAD_KEY", /and --cluster-key belong to different meshes/),
    );
    assert.throws(
      () => chooseKey({ ...nothing, join, clusterKey }, fresh, generate),
      refused("BAD_KEY", /different keys/),
    );
  });

  test("is refused with the name of its file if it is torn, foreign or missing", () => {
    const torn = join.slice(0, -4);
    const cases: [flags: { join?: string; clusterKey?: string }, says: RegExp][] = [
      [{ join: torn }, /--join: the join string is cut off or mistyped/],
      [{ join: file("torn", torn) }, /torn: the join string is cut off/],
      [{ join: file("other", "hello") }, /other: there is no join string in it/],
      [{ join: "/nonexistent/join" }, /\/nonexistent\/join: there is no such file/],
      [{ clusterKey: "/nonexistent/key" }, /\/nonexistent\/key: there is no such file/],
      [{ clusterKey: file("cut", formatClusterKey(key).slice(0, 40)) }, /cut: the cluster key is cut off/],
    ];
    for (const [flags, says] of cases) {
      assert.throws(() => chooseKey({ ...nothing, ...flags }, fresh, generate), refused("BAD_KEY", says));
    }
    const text = "hello";
    assert.throws(
      () => chooseKey(nothing, { ...kept, text }, generate),
      refused("BAD_KEY", /DATA\/cluster\.key/),
    );
  });
});

describe("on a terminal, a peer that is ready", () => {
  const flags = { data: "/srv/my data", name: "alder" };
  const config = readConfig({ flags, env: {} }, { hostname: "h", cores: 1, terminal: true });
  const shown = (listening: string[]) => {
    const terminal = recordingTerminal({ npm_lifecycle_event: "start" });
    const tokenFile = "/srv/my data/admin.token";
    const peerId = "12D3KooWalder" as PeerId;
    introduce(terminal, {
      config,
      peerId,
      http: "http://127.0.0.1:7400",
      tokenFile,
      listening,
      invitation: { key, rotation: undefined },
    });
    return terminal.stdout;
  };

  test("prints its name, page, API and the place of its token", () => {
    const text = shown(addresses);
    for (const part of [
      "alder",
      "http://127.0.0.1:7400/",
      "http://127.0.0.1:7400/v1",
      "/srv/my data/admin.token",
    ]) {
      assert.ok(text.includes(part), part);
    }
  });

  test("prints a line to paste with which a second peer joins", () => {
    const [, word = ""] = /^ +echo (\S+) \| npm start -- --join -$/m.exec(shown(addresses)) ?? [];
    const { invitation, ...rest } = decodeJoin(word) ?? {};
    assert.deepEqual(rest, { key, addresses });
    assert.equal(invitation?.by, "12D3KooWalder");
  });

  test("prints a line to paste that makes a job, with the folder if it is not the default one", () => {
    assert.match(shown(addresses), /^ +npm run --silent cicada -- jobs create .* --data '\/srv\/my data'$/m);
  });

  test("says so if only peers on its own machine can join", () => {
    const loopback = ["/ip4/127.0.0.1/tcp/7401/p2p/12D3KooWalder"];
    assert.match(shown(loopback), /only listens on loopback/);
    assert.doesNotMatch(shown(addresses), /only listens on loopback/);
  });

  test("says what it is waiting for while it stops", () => {
    const terminal = recordingTerminal();
    printStopping(terminal, 2, 30_000);
    assert.match(terminal.stdout, /2 runs have 30s to end\. Press Ctrl-C again to stop at once/);
  });
});

test("a demo whose ports are taken names them, and says how to use others (4)", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const said = await cicada(["demo", "--port", String(address.port)]);
  server.close();
  assert.equal(said.code, 4);
  assert.match(said.stderr, new RegExp(`other programs use ${address.port}\\b`));
  assert.match(said.stderr, /demo --port 7400/);
});

test("for a mesh port that is in use a free one on the same address is offered, whatever the API's port is", async () => {
  const holder = createServer().listen(0, "127.0.0.1");
  await once(holder, "listening");
  const address = holder.address();
  assert.ok(address !== null && typeof address === "object");
  const busy = new CicadaError("PORT_IN_USE", `/ip4/127.0.0.1/tcp/${address.port}`);
  const argv = ["start", "--http", "0", "--listen", `127.0.0.1:${address.port}`, "--name", "a"];
  const error = await meshPortBusy(busy, { host: "127.0.0.1", port: 0 }, argv);
  holder.close();
  assert.ok(error instanceof CicadaError);
  const [, port = ""] =
    /`cicada start --http 0 --name a --listen \/ip4\/127\.0\.0\.1\/tcp\/(\d+)`/.exec(error.detail) ?? [];
  assert.equal((Number(port) - address.port) % 10, 0, error.detail);
  assert.ok(Number(port) > address.port);
});
