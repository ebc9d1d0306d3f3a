/** Settings: where each comes from, what is refused, and what the refusal says. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { configFile, readConfig, unknownVariables, type Config, type Flags } from "../src/config.ts";
import { defaultDataFolder, refuseBrokenVariables } from "../src/config/environment.ts";
import { settings } from "../src/config/settings.ts";
import { CicadaError } from "../src/errors.ts";
import type { ErrorCode } from "../src/errors/table.ts";

const host = { hostname: "alder", cores: 4, terminal: false };
const home = { HOME: "/home/ada" };

function read(flags: Flags = {}, env: Record<string, string> = {}, file?: string): Config {
  const sources = { flags, env: { ...home, ...env } };
  return readConfig(
    file === undefined ? sources : { ...sources, file: { path: "peer.yaml", text: file } },
    host,
  );
}

function refusal(code: ErrorCode, says: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CicadaError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, says);
    return true;
  };
}

test("nothing must be configured", () => {
  assert.deepEqual(read(), {
    data: "/home/ada/.local/state/cicada",
    name: "alder",
    listen: ["/ip4/0.0.0.0/tcp/7401"],
    bootstrap: [],
    join: undefined,
    announce: [],
    clusterKey: undefined,
    http: { host: "127.0.0.1", port: 7400 },
    behindTlsProxy: false,
    tls: undefined,
    trusted: undefined,
    tags: {},
    capacity: 40,
    exec: "cluster",
    allowExecutors: ["shell", "exec", "http", "script"],
    allowUsers: undefined,
    allowGroups: undefined,
    drainMs: 30_000,
    historyMaxBytes: 1_073_741_824,
    archive: undefined,
    syslog: undefined,
    role: "worker",
    mdns: false,
    newIdentity: false,
    clockSynchronised: undefined,
    logLevel: "info",
    logFormat: "json",
  });
});

test("a flag wins over the environment, the environment over the file, the file over the default", () => {
  const file = "name: from-file\n";
  assert.equal(read({ name: "from-flag" }, { CICADA_NAME: "from-env" }, file).name, "from-flag");
  assert.equal(read({}, { CICADA_NAME: "from-env" }, file).name, "from-env");
  assert.equal(read({}, {}, file).name, "from-file");
  assert.equal(read({}, { CICADA_NAME: "" }, file).name, "from-file", "an empty variable says nothing");
});

test("the data folder follows systemd, then XDG, then the home folder", () => {
  assert.equal(
    defaultDataFolder({ ...home, STATE_DIRECTORY: "/var/lib/cicada:/var/lib/other" }),
    "/var/lib/cicada",
  );
  assert.equal(defaultDataFolder({ ...home, XDG_STATE_HOME: "/state" }), "/state/cicada");
  assert.equal(read({}, { STATE_DIRECTORY: "/var/lib/cicada" }).data, "/var/lib/cicada");
  assert.equal(read({ data: "/d" }, { STATE_DIRECTORY: "/var/lib/cicada" }).data, "/d");
});

test("lists are repeated flags, words in a variable, lists in the file", () => {
  const listen = ["/ip4/10.0.0.1/tcp/1", "/ip6/::1/tcp/2"];
  assert.deepEqual(read({ listen }).listen, listen);
  assert.deepEqual(read({}, { CICADA_LISTEN: listen.join(",") }).listen, listen);
  assert.deepEqual(read({}, { CICADA_LISTEN: listen.join(" ") }).listen, listen);
  assert.deepEqual(read({}, {}, `listen: [${listen.map((each) => `"${each}"`).join(", ")}]`).listen, listen);
});

test("a peer has no more tags than its heartbeats may name", () => {
  const many = Array.from({ length: 65 }, (_, index) => `tag-${index}=x`);
  assert.equal(Object.keys(read({ tag: many.slice(1) }).tags).length, 64);
  assert.throws(() => read({ tag: many }), /at most 64 tags/);
  const long = Array.from({ length: 30 }, (_, index) => `tag-${index}=${"x".repeat(256)}`);
  assert.equal(Object.keys(read({ tag: long }).tags).length, 30);
  assert.throws(() => read({ tag: [...long, ...long.map((tag) => `2${tag}`)] }), /8192 characters in all/);
});

test("tags are K=V, and a mapping in the file", () => {
  const tags = { disk: "ssd", zone: "a=b" };
  assert.deepEqual(read({ tag: ["disk=ssd", "zone=a=b"] }).tags, tags);
  assert.deepEqual(read({}, { CICADA_TAGS: "disk=ssd,zone=a=b" }).tags, tags);
  assert.deepEqual(read({}, {}, "tag:\n  disk: ssd\n  zone: a=b\n").tags, tags);
  assert.deepEqual(read({}, {}, "tags:\n  disk: ssd\n  zone: a=b\n").tags, tags);
});

describe("an address of a peer is a multiaddr or HOST[:PORT]", () => {
  const cases: readonly [string, string][] = [
    ["192.0.2.7", "/ip4/192.0.2.7/tcp/7401"],
    ["192.0.2.7:99", "/ip4/192.0.2.7/tcp/99"],
    ["cron1.example", "/dns/cron1.example/tcp/7401"],
    ["cron1.example:99", "/dns/cron1.example/tcp/99"],
    ["[2001:db8::7]", "/ip6/2001:db8::7/tcp/7401"],
    ["[2001:db8::7]:99", "/ip6/2001:db8::7/tcp/99"],
    ["/ip4/192.0.2.7/tcp/99/p2p/12D3KooWx", "/ip4/192.0.2.7/tcp/99/p2p/12D3KooWx"],
  ];
  for (const [given, multiaddr] of cases) {
    test(`${given} is ${multiaddr}`, () =>
      assert.deepEqual(read({ bootstrap: [given] }).bootstrap, [multiaddr]));
  }
});

describe("the mesh's address", () => {
  for (const [given, multiaddr] of [
    ["7411", "/ip4/0.0.0.0/tcp/7411"],
    ["0", "/ip4/0.0.0.0/tcp/0"],
    ["127.0.0.1:7411", "/ip4/127.0.0.1/tcp/7411"],
    ["[::1]:7411", "/ip6/::1/tcp/7411"],
    ["/ip4/10.0.0.1/tcp/7411", "/ip4/10.0.0.1/tcp/7411"],
  ] as const) {
    test(`${given} is ${multiaddr}`, () => assert.deepEqual(read({ listen: [given] }).listen, [multiaddr]));
  }
});

test("an unknown variable that looks like a setting gets a warning with the nearest setting", () => {
  const env = {
    CICADA_HTPP: "1",
    CICADA_HTTP: ":0",
    CICADA_TOKEN: "t",
    CICADA_RUN: "r",
    CICADA_PARAM_X: "1",
    HOME: "/",
  };
  assert.deepEqual(unknownVariables(env), [
    'CICADA_HTPP in the environment is not a setting: did you mean "CICADA_HTTP"?',
  ]);
});

describe("the API's address", () => {
  test("is HOST:PORT, and the loopback when no host is given", () => {
    assert.deepEqual(read({ http: "7410" }).http, { host: "127.0.0.1", port: 7410 });
    assert.deepEqual(read({ http: "127.0.0.1:0" }).http, { host: "127.0.0.1", port: 0 });
    assert.deepEqual(read({ http: ":0" }).http, { host: "127.0.0.1", port: 0 });
    assert.deepEqual(read({ http: "[::1]:7400" }).http, { host: "::1", port: 7400 });
    assert.deepEqual(read({ http: "localhost:7400" }).http, { host: "localhost", port: 7400 });
  });

  test("is refused outside the loopback, unless a TLS proxy is in front of it", () => {
    for (const http of [
      "0.0.0.0:7400",
      "192.0.2.7:7400",
      "[::]:7400",
      "cron.example:7400",
      "127.0.0.1.evil:1",
    ]) {
      assert.throws(() => read({ http }), refusal("NOT_LOOPBACK", /from the command line/), http);
    }
    assert.equal(read({ http: "0.0.0.0:7400", "behind-tls-proxy": true }).http.host, "0.0.0.0");
  });
});

describe("the refusal of a bad value says where it came from and what would be right", () => {
  const cases: readonly [Flags, Record<string, string>, string | undefined, RegExp][] = [
    [{ capacity: "0" }, {}, undefined, /--capacity: "0" \(from the command line\); give a whole number/],
    [{}, { CICADA_CAPACITY: "many" }, undefined, /"many" \(from CICADA_CAPACITY in the environment\)/],
    [{}, {}, "capacity: -1", /--capacity: "-1" \(from peer\.yaml\)/],
    [{ announce: ["/ip4/0.0.0.0/tcp/7401"] }, {}, undefined, /--announce: .*that the other peers can reach/],
    [{ announce: ["/ip4/192.0.2.7/tcp/0"] }, {}, undefined, /--announce: .*that the other peers can reach/],
    [{ listen: ["/ip4/192.0.2.7/tcp/70000"] }, {}, undefined, /--listen: .*a multiaddr such as/],
    [{ drain: "30" }, {}, undefined, /--drain: "30".*give a duration such as 30s/],
    [{ role: "boss" }, {}, undefined, /give one of worker, witness/],
    [{ listen: ["cron.example:7401"] }, {}, undefined, /--listen: "cron\.example:7401".*give a port/],
    [{ listen: ["99999"] }, {}, undefined, /--listen: "99999".*give a port/],
    [{ bootstrap: ["not a host"] }, {}, undefined, /--bootstrap/],
    [{ bootstrap: ["host:0"] }, {}, undefined, /--bootstrap/],
    [{ http: "127.0.0.1" }, {}, undefined, /give PORT or HOST:PORT/],
    [{ http: "127.0.0.1:99999" }, {}, undefined, /give PORT or HOST:PORT/],
    [{ tag: ["ssd"] }, {}, undefined, /--tag: "ssd".*give KEY=VALUE/],
    [{ "allow-user": ["ada,bob"] }, {}, undefined, /--allow-user: "ada,bob".*repeat the flag for each user/],
    [{ "allow-user": ["u".repeat(65)] }, {}, undefined, /--allow-user: .*of up to 64 characters/],
    [{}, {}, "allow-user: ['ada:x']", /--allow-user: "ada:x" \(from peer\.yaml\)/],
    [{ name: "" }, {}, undefined, /--name/],
    [{ data: "" }, {}, undefined, /--data/],
    [{}, { CICADA_MDNS: "maybe" }, undefined, /give true or false/],
    [{}, { CICADA_LOG_LEVEL: "loud" }, undefined, /give one of debug, info, warn, error/],
  ];
  for (const [flags, env, file, says] of cases) {
    test(JSON.stringify(file ?? (Object.keys(env).length > 0 ? env : flags)), () =>
      assert.throws(() => read(flags, env, file), refusal("BAD_SETTING", says)),
    );
  }
});

describe("the file", () => {
  test("is refused if it has an unknown name, and the nearest one is offered", () => {
    assert.throws(
      () => read({}, {}, "capacty: 3"),
      refusal("BAD_FILE", /peer\.yaml: there is no setting "capacty": did you mean "capacity"\?/),
    );
    assert.throws(() => read({}, {}, "log_level: info"), refusal("BAD_FILE", /did you mean "log-level"/));
    assert.throws(() => read({}, {}, "zebra: 1"), refusal("BAD_FILE", /the settings are data, name, /));
  });

  test("is refused if it is not YAML, or not names and values", () => {
    assert.throws(() => read({}, {}, "name: [\n"), refusal("BAD_FILE", /line 2/));
    assert.throws(() => read({}, {}, "- name"), refusal("BAD_FILE", /expected one "name: value" per line/));
    assert.throws(() => read({}, {}, "name: {a: 1}"), refusal("BAD_FILE", /name takes a value/));
  });

  test("may be empty, have empty values, and use YAML's numbers and booleans", () => {
    assert.equal(read({}, {}, "").capacity, 40);
    assert.equal(read({}, {}, "name:\n").name, "alder");
    const config = read({}, {}, "capacity: 3\nmdns: true\ndrain: 0\n");
    assert.deepEqual([config.capacity, config.mdns, config.drainMs], [3, true, 0]);
  });

  test("is named by --config or CICADA_CONFIG", () => {
    assert.equal(configFile({ flags: { config: "a" }, env: { CICADA_CONFIG: "b" } }), "a");
    assert.equal(configFile({ flags: {}, env: { CICADA_CONFIG: "b" } }), "b");
    assert.equal(configFile({ flags: {}, env: {} }), undefined);
  });
});

test("every setting has a flag, a variable and a help line of its own", () => {
  for (const column of ["name", "variable", "help"] as const) {
    assert.equal(new Set(settings.map((setting) => setting[column])).size, settings.length);
  }
  for (const { variable } of settings) assert.match(variable, /^CICADA_[A-Z_]+$/);
});

test("a settings file with an alias that leads nowhere, or to itself, is refused with its name", () => {
  for (const text of ["name: *nobody\n", "name: &a [*a]\n"]) {
    assert.throws(
      () => readConfig({ flags: {}, env: {}, file: { path: "cicada.yaml", text } }, host),
      (error) => error instanceof CicadaError && /cicada\.yaml/.test(error.message),
      text,
    );
  }
});

test("a variable whose bytes are not UTF-8 is refused with its name", () => {
  for (const name of ["CICADA_NAME", "CICADA_DATA", "CICADA_TOKEN", "CICADA_PEER_URL", "CICADA_CONFIG"]) {
    const says = new RegExp(`${name} in the environment is not UTF-8`);
    assert.throws(
      () => refuseBrokenVariables({ ...home, [name]: "caf\ufffd" }),
      refusal("BAD_SETTING", says),
    );
  }
  for (const name of ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"]) {
    assert.throws(
      () => defaultDataFolder({ [name]: "/caf\ufffd" }),
      refusal("BAD_SETTING", new RegExp(name)),
    );
  }
  refuseBrokenVariables({ CICADA_NAME: "café", CICADA_PARAM_X: "\ufffd", OTHER: "\ufffd" });
  assert.equal(defaultDataFolder({ XDG_STATE_HOME: "/state", HOME: "/caf\ufffd" }), "/state/cicada");
});

test("a tag that is given twice is refused", () => {
  const says = /--tag: disk is given twice/;
  assert.throws(() => read({ tag: ["disk=ssd", "disk=hdd"] }), refusal("BAD_SETTING", says));
});

test("a certificate and its key are given together, and a proxy's headers with the proxy", () => {
  const { tls, trusted } = read({ "tls-cert": "a.crt", "tls-key": "a.key", http: "0.0.0.0:7400" });
  assert.deepEqual([tls, trusted], [{ cert: "a.crt", key: "a.key" }, undefined]);
  const proxied = read({
    "behind-tls-proxy": true,
    "trust-user-header": "X-User",
    "trust-proxy": ["10.0.0.7", "FD00:0::7", "::ffff:10.0.0.8", "FE80:0::1%eth0"],
  });
  assert.deepEqual(proxied.trusted, {
    userHeader: "x-user",
    roleHeader: undefined,
    addresses: ["10.0.0.7", "fd00::7", "10.0.0.8", "fe80::1%eth0"],
  });
  for (const [flags, said] of [
    [{ "tls-cert": "a.crt" }, /needs --tls-key/],
    [{ "tls-key": "a.key" }, /needs --tls-cert/],
    [{ "tls-cert": "a", "tls-key": "b", "behind-tls-proxy": true }, /one of them/],
    [{ "trust-user-header": "X-User" }, /--behind-tls-proxy/],
    [{ "trust-role-header": "X-Role", "behind-tls-proxy": true }, /needs --trust-user-header/],
    [{ "trust-user-header": "Authorization", "behind-tls-proxy": true }, /a header that only the proxy sets/],
    [{ "trust-user-header": "X-User", "behind-tls-proxy": true, "trust-proxy": ["proxy"] }, /an IP address/],
  ] as const) {
    assert.throws(() => read(flags), refusal("BAD_SETTING", said));
  }
});
