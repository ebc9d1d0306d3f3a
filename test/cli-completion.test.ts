/** Completion: what may come next on a command line, and the scripts in the shells that this machine has. */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { wordsIn } from "../src/cli/completion/completion.ts";
import { cicada, jobAnswer, runAnswer, StubPeer } from "./kit/cli-stage.ts";

async function namedPeer(): Promise<StubPeer> {
  const stub = await StubPeer.open();
  return stub
    .on("GET /v1/jobs", {
      body: {
        items: [jobAnswer({ id: "backup", group: "etl" }), jobAnswer({ id: "build" })],
        nextCursor: null,
      },
    })
    .on("GET /v1/groups", { body: { items: [{ name: "billing" }], nextCursor: null } })
    .on("GET /v1/runs", { body: { items: [runAnswer({})], nextCursor: null } })
    .on("GET /v1/peers", { body: { items: [{ name: "vm·DEm4Gy1e", state: "alive" }], roster: null } });
}

async function offered(stub: StubPeer, line: string, shell = "zsh"): Promise<string[]> {
  const said = await stub.cicada("complete", shell, line);
  assert.deepEqual([said.code, said.stderr], [0, ""]);
  return said.stdout.split("\n").filter((text) => text !== "");
}

describe("what may come next", () => {
  const cases: readonly [string, string[]][] = [
    ["cicada jo", ["jobs"]],
    ["cicada peers pro", ["promote"]],
    ["cicada jobs run ba", ["backup"]],
    ["cicada jobs rm backup bu", ["build"]],
    ["cicada jobs get backup ", []],
    ["cicada jobs create b", []],
    ["cicada runs log b", ["backup", "build"]],
    ["cicada runs log -f backup@2026", ["backup@2026-11-20T02:00:00Z~1@aaaaaaaa"]],
    ["cicada runs log backup@l", ["backup@latest"]],
    ["cicada peers drain v", ["vm·DEm4Gy1e"]],
    ["cicada runs ls --job ba", ["backup"]],
    ["cicada runs ls --on ", ["vm·DEm4Gy1e"]],
    ["cicada jobs ls --group ", ["etl", "default", "billing"]],
    ["cicada runs ls --state time", ["timeout"]],
    ["cicada jobs ls -o ", ["table", "wide", "json", "yaml", "name"]],
    ["cicada jobs ls --output=ya", ["--output=yaml"]],
    ["cicada jobs create x --tz Europe/Berl", ["Europe/Berlin"]],
    ["cicada jobs create x --overlap rep", ["replace"]],
    ["cicada jobs ls --fai", ["--failed"]],
    ["cicada completion f", ["fish"]],
    ["cicada jobs create x -- l", []],
    ["cicada import crontab ", []],
  ];
  for (const [line, expected] of cases) {
    test(line, async () => {
      await using stub = await namedPeer();
      assert.deepEqual(await offered(stub, line), expected);
    });
  }

  test("the hidden command is not offered, and the others are", async () => {
    await using stub = await namedPeer();
    const commands = await offered(stub, "cicada ");
    for (const one of ["start", "jobs", "top", "doctor", "backup", "completion"])
      assert.ok(commands.includes(one), one);
    assert.ok(!commands.includes("complete"));
  });

  test("asks the peer that the line names, with its token", async () => {
    await using stub = await namedPeer();
    const line = `cicada jobs get --peer ${stub.url} --token=t1 ba`;
    const said = await cicada(["complete", "fish", line], { CICADA_DATA: "/nonexistent" });
    assert.equal(said.stdout, "backup\tscheduled\n");
    assert.equal(stub.asked[0]?.headers.authorization, "Bearer t1");
  });

  test("nothing is said when no peer answers, or one hangs", async () => {
    const none = await cicada(["complete", "bash", "cicada jobs get b"], { CICADA_DATA: "/nonexistent" });
    assert.deepEqual(none, { code: 0, stdout: "", stderr: "" });
    const silent = createServer(() => undefined).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const address = silent.address();
    const port = typeof address === "object" ? address?.port : 0;
    const line = `cicada jobs get --peer 127.0.0.1:${port} --token t b`;
    assert.deepEqual(await cicada(["complete", "bash", line]), { code: 0, stdout: "", stderr: "" });
    silent.close();
  });

  test("a line is split as a shell does it", () => {
    assert.deepEqual(wordsIn(`cicada  jobs get 'a b' c\\ d "e`), [
      "cicada",
      "jobs",
      "get",
      "a b",
      "c d",
      "e",
    ]);
    assert.deepEqual(wordsIn("cicada jobs "), ["cicada", "jobs", ""]);
  });
});

/** Runs the script in its shell, with a `cicada` that prints what it was asked and answers like the real one. */
function inShell(shell: string, ask: string, answers: string): string | undefined {
  if (spawnSync(shell, ["-c", "true"]).status !== 0) return undefined;
  const folder = mkdtempSync(path.join(tmpdir(), "cicada-completion-"));
  try {
    const program = path.join(folder, "cicada");
    writeFileSync(program, `#!/bin/sh\nprintf '%s\\n' "$@" > ${folder}/asked\nprintf '${answers}'\n`);
    chmodSync(program, 0o700);
    const env = { ...process.env, PATH: `${folder}:${process.env["PATH"] ?? ""}` };
    const ended = spawnSync(shell, ["-c", ask], { env, encoding: "utf8" });
    assert.equal(ended.stderr, "");
    return ended.stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("the scripts", () => {
  test("bash: takes over what is offered, and asks for the line up to the cursor", async () => {
    const { stdout: script } = await cicada(["completion", "bash"]);
    const shown = inShell(
      "bash",
      `${script}
       COMP_LINE='cicada runs log backup@2026 rest'; COMP_POINT=27
       COMP_WORDS=(cicada runs log backup @ 2026 rest); COMP_CWORD=5
       _cicada cicada @2026 @; printf '<%s>\n' "\${COMPREPLY[@]}"; complete -p cicada; cat "$(dirname "$(command -v cicada)")/asked"`,
      "@2026-11-20T02:00:00Z~1\\n@2026-11-21T02:00:00Z~1\\n",
    );
    assert.ok(shown !== undefined, "bash is there");
    assert.match(shown, /^<@2026-11-20T02:00:00Z~1>\n<@2026-11-21T02:00:00Z~1>\n/);
    assert.match(shown, /-F _cicada cicada/);
    assert.match(shown, /complete\nbash\ncicada runs log backup@2026\n@2026\n$/);
  });

  test("bash: nothing is offered where the program says nothing", async () => {
    const { stdout: script } = await cicada(["completion", "bash"]);
    const ask = `${script}\nCOMP_LINE='cicada x'; COMP_POINT=8; COMP_WORDS=(cicada x); COMP_CWORD=1; _cicada; echo "\${#COMPREPLY[@]}"`;
    assert.equal(inShell("bash", ask, ""), "0\n");
  });

  test("bash: only the rest behind a break is offered, as bash replaces only that", async () => {
    await using stub = await namedPeer();
    const asked = async (line: string, word: string) =>
      (await stub.cicada("complete", "bash", line, word)).stdout.split("\n")[0];
    assert.equal(await asked("cicada runs log backup@2026", "@2026"), "@2026-11-20T02:00:00Z~1@aaaaaaaa");
    assert.equal(await asked("cicada runs log backup@2026-11-20T02:", ""), "00:00Z~1@aaaaaaaa");
    assert.equal(await asked("cicada jobs ls --output=ya", "ya"), "yaml");
    assert.equal(await asked("cicada jobs get ba", "ba"), "backup");
  });

  test("zsh: Tab completes commands, jobs, peers, runs, options and their values, like a path", async (context) => {
    if (isMissing("zsh")) return context.skip("zsh is not installed");
    await using stub = await namedPeer();
    const lines = Object.keys(afterTab);
    const args = ["-f", path.join(import.meta.dirname, "fixtures", "complete.zsh"), ...lines];
    assert.deepEqual(await inRealShell(stub, "zsh", args), Object.values(afterTab));
  });

  test("zsh: the script works as a file of $fpath, too, from the first Tab on", async (context) => {
    if (isMissing("zsh")) return context.skip("zsh is not installed");
    await using stub = await namedPeer();
    writeFileSync(path.join(stub.folder, "_cicada"), (await cicada(["completion", "zsh"])).stdout);
    const args = ["-f", path.join(import.meta.dirname, "fixtures", "complete.zsh"), "cicada jobs run ba"];
    assert.deepEqual(await inRealShell(stub, "zsh", args, { FUNCTIONS: stub.folder }), [
      "cicada jobs run backup ",
    ]);
  });

  test("fish: offers commands, jobs, peers, runs, options and their values, with what they are", async (context) => {
    if (isMissing("fish")) return context.skip("fish is not installed");
    await using stub = await namedPeer();
    const asked = async (line: string): Promise<string[]> => {
      const ask = `cicada completion fish | source; complete -C '${line}'`;
      let lines: string[] = [];
      // On a busy machine the peer's answer may come too late, and a person presses Tab again.
      for (let times = 0; times < 10 && lines.length === 0; times++)
        lines = await inRealShell(stub, "fish", ["--no-config", "-c", ask]);
      return lines;
    };
    assert.deepEqual(await asked("cicada jobs run ba"), ["backup\tscheduled"]);
    assert.deepEqual(await asked("cicada runs log backup@2026-11-20T02:"), [
      "backup@2026-11-20T02:00:00Z~1@aaaaaaaa\tsucceeded",
    ]);
    assert.deepEqual(await asked("cicada peers drain v"), ["vm·DEm4Gy1e\talive"]);
    assert.deepEqual(await asked("cicada jobs ls --output=ya"), ["--output=yaml"]);
    assert.match((await asked("cicada jobs ls --fai"))[0] ?? "", /^--failed\t/);
    assert.match((await asked("cicada jo"))[0] ?? "", /^jobs\t/);
    assert.deepEqual(await asked(`cicada apply -f ${stub.folder}/da`), [`${stub.folder}/data/`]);
  });
});

/** What is typed, and what the line is after one Tab where there is one candidate. */
const afterTab: Readonly<Record<string, string>> = {
  "cicada jo": "cicada jobs ",
  "cicada jobs run ba": "cicada jobs run backup ",
  "cicada runs log backup@20": "cicada runs log backup@2026-11-20T02:00:00Z\\~1@aaaaaaaa ",
  "cicada runs ls --job 'backup' --state time": "cicada runs ls --job 'backup' --state timeout ",
  "cicada peers drain v": "cicada peers drain vm·DEm4Gy1e ",
  "cicada runs ls --job ba": "cicada runs ls --job backup ",
  "cicada jobs ls --fai": "cicada jobs ls --failed ",
  "cicada jobs ls --output=ya": "cicada jobs ls --output=yaml ",
  "cicada jobs create x --tz Europe/Berl": "cicada jobs create x --tz Europe/Berlin ",
  "cicada import crontab /etc/hostna": "cicada import crontab /etc/hostname ",
};

function isMissing(shell: string): boolean {
  return spawnSync(shell, ["-c", "true"]).error !== undefined;
}

/** The lines that the shell prints, with the real program in its PATH. */
async function inRealShell(
  stub: StubPeer,
  shell: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string[]> {
  const program = path.join(stub.folder, "cicada");
  const file = path.join(import.meta.dirname, "..", "src", "cicada.mjs");
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${file}' "$@"\n`);
  chmodSync(program, 0o700);
  const { stdout } = await promisify(execFile)(shell, args, {
    timeout: 120_000,
    env: {
      ...process.env,
      ...env,
      // Without UTF-8 a shell shows the point in a peer's name as bytes.
      LC_ALL: "C.UTF-8",
      PATH: `${stub.folder}:${process.env["PATH"] ?? ""}`,
      CICADA_DATA: stub.data,
    },
  });
  return stdout.split("\n").filter((line) => line !== "");
}
