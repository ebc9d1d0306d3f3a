/** Files that a person names on the command line, and that are something else than the person thinks. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { cicada, StubPeer } from "./kit/cli-stage.ts";
import { cicada as startedProgram } from "./kit/cluster.ts";

/** What takes a file, and the call that it makes with what is in it. */
const takers: readonly (readonly [string[], string])[] = [
  [["jobs", "create", "-f"], "POST /v1/jobs"],
  [["apply", "-f"], "POST /v1/apply"],
  [["secrets", "set", "DEPLOY_KEY", "--file"], "PUT /v1/secrets/DEPLOY_KEY"],
  [
    ["channels", "set", "ops", "--type", "gotify", "--url", "https://push.example", "--secret-file"],
    "PUT /v1/channels/ops",
  ],
  [["channels", "set", "ops", "-f"], "PUT /v1/channels/ops"],
  [["calendars", "set", "holidays", "--ical"], "PUT /v1/calendars/holidays"],
];

test(
  "a file that never ends is refused with its name",
  { skip: existsSync("/dev/zero") ? false : "there is no /dev/zero here" },
  async () => {
    await using stub = await StubPeer.open();
    const others = [
      ["import", "crontab", "--dry-run"],
      ["jobs", "create", "report", "--interpreter", "sh", "--script"],
      ["start", "--config"],
      ["start", "--join"],
      ["start", "--cluster-key"],
      ["start", "--tls-key", "/dev/null", "--tls-cert"],
    ];
    for (const words of [...takers.map(([taker]) => taker), ...others]) {
      const data = words[0] === "start" ? path.join(stub.folder, "new") : stub.data;
      // A peer of its own process: what a refused start leaves open ends with it.
      const run = words[0] === "start" ? startedProgram : cicada;
      const said = await run([...words, "/dev/zero", "--data", data]);
      assert.match(said.stderr, /\/dev\/zero: it has more than 64 MiB/, words.join(" "));
      assert.notEqual(said.code, 0);
    }
    assert.deepEqual(stub.asked, []);
  },
);

test("a file whose bytes are not UTF-8 is refused with the place, and nothing is sent in its stead", async () => {
  await using stub = await StubPeer.open();
  const file = path.join(stub.folder, "latin1");
  writeFileSync(file, Buffer.from("summary: one\ntoken: caf\u00e9 au lait\n", "latin1"));
  for (const [words, call] of takers) {
    stub.on(call, { status: 201, body: {} });
    const said = await cicada([...words, file, "--data", stub.data]);
    assert.equal(said.code, 2, words.join(" "));
    assert.match(said.stderr, /latin1: line 2, byte 11 is not UTF-8/, words.join(" "));
  }
  assert.deepEqual(stub.asked, []);
});

const goodLine = '{"kind":"job","id":"b","schedule":"@every 1h","command":"true"}';

for (const [what, text, says] of [
  [
    "a tag that isn't known, whose text would be the value",
    "id: a\ncommand: !include run.sh\n",
    /tag: !include/,
  ],
  ["something that contains itself", "id: a\nlabels: &it {a: *it}\n", /contains itself/],
  [
    "more lists in each other than anybody writes",
    `id: a\nlabels: ${"[".repeat(200)}${"]".repeat(200)}\n`,
    /nested more than 100 deep/,
  ],
  ["a key that is given twice", "id: a\nid: b\n", /unique/],
  ["… in lines of JSON", `${goodLine}\n{"kind":"job","id":"a","id":"c"}\n`, /line 2: \/id is given twice/],
  [
    "half a surrogate pair in lines of JSON",
    `{"id":"\\ud800"}\n${goodLine}\n`,
    /line 1: \/id: half a surrogate/,
  ],
] as const) {
  test(`a file that holds ${what}, is refused, and nothing is sent`, async () => {
    await using stub = await StubPeer.open();
    const file = path.join(stub.folder, "mesh.yaml");
    writeFileSync(file, text);
    for (const [words, call] of [
      [["apply", "-f"], "POST /v1/apply"],
      ...(text.startsWith("{") ? [] : [[["channels", "set", "ops", "-f"], "PUT /v1/channels/ops"] as const]),
    ] as const) {
      stub.on(call, { status: 200, body: {} });
      const said = await cicada([...words, file, "--data", stub.data]);
      assert.equal(said.code, 2, `${words.join(" ")}: ${said.stderr}`);
      assert.match(said.stderr, says);
    }
    assert.deepEqual(stub.asked, []);
  });
}

test("a name that is given twice with a flag is refused", async () => {
  await using stub = await StubPeer.open();
  for (const [words, says] of [
    [["jobs", "create", "a", "--command", "true", "--env", "A=1", "--env", "A=2"], /--env: A is given twice/],
    [["jobs", "run", "a", "--param", "day=1", "--param", "day=2"], /--param: day is given twice/],
    [["jobs", "create", "a", "--command", "true", "--params", '{"a":{},"a":{}}'], /a is given twice/],
  ] as const) {
    const said = await cicada([...words, "--data", stub.data]);
    assert.equal(said.code, 2, said.stderr);
    assert.match(said.stderr, says);
  }
  assert.deepEqual(stub.asked, []);
});

test("a backup is neither read from nor written over a folder, a pipe or a device", async () => {
  await using stub = await StubPeer.open();
  const [folder, pipe] = ["folder", "pipe"].map((name) => path.join(stub.folder, name)) as [string, string];
  mkdirSync(folder);
  execFileSync("mkfifo", [pipe]);
  for (const [file, what] of [
    [folder, "it is a folder"],
    [pipe, "it is not a plain file"],
    ["/dev/null", "it is not a plain file"],
  ] as const) {
    const data = path.join(stub.folder, "new");
    for (const words of [
      ["restore", file],
      ["backup", file, "--force"],
    ]) {
      const said = await cicada([...words, "--data", data]);
      assert.ok(said.stderr.includes(`${file}: ${what}`), said.stderr);
      assert.equal(said.code, 2);
    }
  }
  assert.ok(statSync(pipe).isFIFO());
});

test("a backup into a folder that isn't there is refused with that folder", async () => {
  await using stub = await StubPeer.open();
  const plain = path.join(stub.folder, "plain");
  writeFileSync(plain, "");
  for (const above of [plain, path.join(plain, "within"), path.join(stub.folder, "missing")]) {
    const said = await cicada(["backup", path.join(above, "file"), "--data", stub.data]);
    assert.ok(said.stderr.includes(`${above}: there is no such folder`), said.stderr);
    assert.equal(said.code, 2);
  }
});
