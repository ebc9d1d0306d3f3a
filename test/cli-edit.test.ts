/** `cicada jobs edit`: by flags, and in an editor, whose text is never lost. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { NotAnswered } from "../src/cli/terminal/terminal.ts";
import { run } from "../src/main.ts";
import { cicada, jobAnswer, problem, recordingTerminal, StubPeer, type Said } from "./kit/cli-stage.ts";

/** The environment with an editor that runs this script. */
function editor(stub: StubPeer, script: string): Record<string, string> {
  const file = path.join(stub.folder, "editor");
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o700);
  return { CICADA_DATA: stub.data, EDITOR: file, PATH: process.env["PATH"] ?? "" };
}

async function editedPeer(): Promise<StubPeer> {
  const stub = await StubPeer.open();
  const job = jobAnswer({ id: "a", command: "true" });
  const headers = { "content-type": "application/json", etag: '"r1"' };
  return stub.on("GET /v1/jobs/a", { headers, body: job }).on("PUT /v1/jobs/a", { body: job });
}

/** Runs `jobs edit a` where a person can answer. Each answer is one line. */
async function editAnswering(stub: StubPeer, script: string, answers: readonly string[]): Promise<Said> {
  const left = [...answers];
  const terminal = Object.assign(recordingTerminal(editor(stub, script)), {
    ask: (): Promise<string> => Promise.resolve(left.shift() ?? "n"),
  });
  const code = await run(["jobs", "edit", "a"], terminal);
  return { code, stdout: terminal.stdout, stderr: terminal.stderr };
}

/** The text that was kept in the file that the message names. The file is removed. */
function keptText({ stderr }: Said): string {
  const file = /kept in (\S+\.yaml)/.exec(stderr)?.[1];
  assert.ok(file !== undefined && existsSync(file), stderr);
  const text = readFileSync(file, "utf8");
  rmSync(path.dirname(file), { recursive: true });
  return text;
}

test("with flags changes only these fields", async () => {
  await using stub = await StubPeer.open();
  stub.on("PATCH /v1/jobs/a", { body: jobAnswer({ id: "a" }) });
  const said = await stub.cicada("jobs", "edit", "a", "--schedule", "@hourly", "--enabled", "false");
  assert.equal(said.code, 0, said.stderr);
  assert.deepEqual(stub.asked.at(-1)?.body, { schedule: "@hourly", enabled: false });
});

test("says that a job is unchanged if the flags leave it as it was", async () => {
  await using stub = await StubPeer.open();
  stub.on("GET /v1/jobs/a", { body: { ...jobAnswer({ id: "a" }), revision: "r1" } });
  stub.on("PATCH /v1/jobs/a", { body: { ...jobAnswer({ id: "a" }), revision: "r1" } });
  assert.match((await stub.cicada("jobs", "edit", "a", "--owner", "eve")).stdout, /^a unchanged, /);
  stub.on("PATCH /v1/jobs/a", { body: { ...jobAnswer({ id: "a" }), revision: "r2" } });
  assert.match((await stub.cicada("jobs", "edit", "a", "--owner", "ada")).stdout, /^a changed, /);
});

test("opens $EDITOR on the job as YAML and sends what was saved, unless the job was changed meanwhile", async () => {
  await using stub = await editedPeer();
  const env = editor(stub, `sed -i 's/"true"/date/' "$1"`);
  const said = await cicada(["jobs", "edit", "a"], env);
  assert.equal(said.code, 0, said.stderr);
  const put = stub.asked.find(({ method }) => method === "PUT");
  assert.deepEqual(put?.body, { id: "a", command: "date" });
  assert.equal(put?.headers["if-match"], '"r1"');
});

test("leaves the job as it is if nothing was changed, the text was emptied, or the editor failed", async () => {
  await using stub = await editedPeer();
  for (const script of ["exit 0", `: > "$1"`]) {
    const untouched = await cicada(["jobs", "edit", "a"], editor(stub, script));
    assert.equal(untouched.stdout, "a not changed\n");
  }
  const failed = await cicada(["jobs", "edit", "a"], editor(stub, "exit 3"));
  assert.equal(failed.code, 2);
  assert.match(failed.stderr, /the editor .* failed/);
  assert.ok(stub.asked.every(({ method }) => method === "GET"));
});

test("opens a text again that is no YAML or is refused, with the reason on top, and sends the corrected one", async () => {
  await using stub = await editedPeer();
  const script = `case "$(cat "$1")" in
*'# refused: schedule too few'*) sed -i 's/^schedule:.*/schedule: "@daily"/' "$1";;
*'# refused:'*) sed -i 's/^command.*/command: date/' "$1"; echo 'schedule: "* *"' >> "$1";;
*) sed -i 's/^command.*/command: [/' "$1";;
esac`;
  stub.on("PUT /v1/jobs/a", ({ body }) =>
    (body as { schedule?: string }).schedule === "@daily"
      ? { body: jobAnswer({ id: "a" }) }
      : problem(422, "INVALID_JOB", "x", [{ pointer: "/schedule", message: "too few fields" }]),
  );
  const said = await editAnswering(stub, script, ["", "y"]);
  assert.equal(said.code, 0, said.stderr);
  assert.match(said.stderr, /refused: .*\n {2}schedule: too few fields/);
  const sent = stub.asked.filter(({ method }) => method === "PUT").map(({ body }) => body);
  assert.equal(sent.length, 2);
  assert.deepEqual(sent[1], { id: "a", command: "date", schedule: "@daily" });
});

describe("keeps the text", () => {
  const broken = `echo 'owner: [' >> "$1"`;
  const cases: readonly [string, string, string[], number][] = [
    ["if the person doesn't open it again", broken, ["n"], 2],
    ["if the person leaves it as it was refused", `grep -q refused "$1" || ${broken}`, ["y"], 0],
    ["if the editor fails after it has saved", `echo 'owner: me' >> "$1"; exit 1`, [], 2],
    ["if the editor fails at the second opening", `grep -q refused "$1" && exit 1; ${broken}`, ["y"], 2],
  ];
  for (const [title, script, answers, code] of cases) {
    test(title, async () => {
      await using stub = await editedPeer();
      const said = await editAnswering(stub, script, answers);
      assert.equal(said.code, code, said.stderr);
      assert.match(keptText(said), /owner: /);
      assert.ok(stub.asked.every(({ method }) => method === "GET"));
    });
  }

  test("if there is nobody to ask", async () => {
    await using stub = await editedPeer();
    const said = await cicada(["jobs", "edit", "a"], editor(stub, broken));
    assert.equal(said.code, 2);
    assert.match(keptText(said), /owner: /);
  });

  for (const [refusal, code, advice] of [
    [problem(412, "REVISION_CONFLICT", "changed"), 4, /jobs history a\n.*-f (\S+) --update/],
    [problem(503, "NOT_READY", "x"), 1, /Later, run: .*-f (\S+) --update/],
  ] as const) {
    test(`if the peer answers ${refusal.status}, and says how to go on`, async () => {
      await using stub = await editedPeer();
      stub.on("PUT /v1/jobs/a", refusal);
      const said = await editAnswering(stub, `echo 'owner: me' >> "$1"`, []);
      assert.equal(said.code, code);
      assert.match(said.stderr, advice);
      assert.match(keptText(said), /owner: me/);
    });
  }
});

test("is refused at once for an editor that needs a terminal, if there is none", async () => {
  await using stub = await editedPeer();
  for (const env of [{}, { EDITOR: "/usr/bin/vim -n" }, { VISUAL: "nano", EDITOR: "true" }]) {
    const said = await cicada(["jobs", "edit", "a"], { CICADA_DATA: stub.data, ...env });
    assert.equal(said.code, 2);
    assert.match(said.stderr, /needs a terminal/);
  }
});

describe("leaving a question with Ctrl-C or Ctrl-D", () => {
  const left = { ask: (): Promise<string> => Promise.reject(new NotAnswered()) };

  test("keeps the text of an edit", async () => {
    await using stub = await editedPeer();
    stub.on("PUT /v1/jobs/a", problem(422, "INVALID_JOB", "bogus: unknown field"));
    const terminal = Object.assign(recordingTerminal(editor(stub, `echo 'bogus: 1' >> "$1"`)), left);
    const code = await run(["jobs", "edit", "a"], terminal);
    assert.equal(code, 2, terminal.stderr);
    assert.match(keptText({ code, stdout: terminal.stdout, stderr: terminal.stderr }), /bogus: 1/);
  });

  test("is no fault of cicada, and deletes nothing", async () => {
    await using stub = await StubPeer.open();
    stub.on("GET /v1/jobs", { body: { items: [jobAnswer({ id: "a" })], nextCursor: null } });
    const terminal = Object.assign(recordingTerminal({ CICADA_DATA: stub.data }), left);
    assert.equal(await run(["jobs", "rm", "--group", "web"], terminal), 130, terminal.stderr);
    assert.match(terminal.stderr, /not answered: stopped/);
    assert.doesNotMatch(terminal.stderr, /inside cicada|AbortError/);
    assert.deepEqual(
      stub.asked.map(({ method }) => method),
      ["GET"],
    );
  });
});
