/** The help: its examples are lines that the program understands, written as the person calls it, and its list is of all commands. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { cicada } from "./kit/cli-stage.ts";

const commands = [
  "start",
  "jobs create",
  "jobs ls",
  "jobs edit",
  "jobs run",
  "jobs why",
  "jobs skip",
  "jobs pause",
];
const others = ["runs ls", "runs log", "runs wait", "peers invite", "schedule explain", "backup", "restore"];

/** Words of a line as a shell splits it, up to a pipe or another command. */
function wordsOf(line: string): string[] {
  const [first = ""] = line.split(/ (?:[|;>]|&&) /);
  return [...first.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "");
}

for (const command of [...commands, ...others, "token create"]) {
  test(command, async () => {
    const { stdout } = await cicada([...command.split(" "), "--help"], { npm_lifecycle_event: "npx" });
    const [, block = ""] = stdout.split("Examples:\n");
    const lines = block.split("\n").filter((line) => line.startsWith("  npx cicada-cron "));
    assert.ok(lines.length > 0, stdout);
    for (const line of lines) {
      const words = wordsOf(line).slice(2);
      // A peer would start, and a file is missing.
      if (words[0] === "start" || (words.includes("-f") && words[1] === "create")) continue;
      const said = await cicada(words, { CICADA_DATA: "/nonexistent/cicada", EDITOR: "true" });
      const isUnderstood = said.code === 0 || said.code === 5 || /no such (file|folder)/.test(said.stderr);
      assert.ok(isUnderstood, `${line}\n${said.stderr}`);
    }
  });
}

test("the list of all commands shows each as its own help does, with its options and arguments", async () => {
  const listed = (await cicada(["--help"])).stdout;
  const { stdout: withAll } = await cicada(["help"]);
  const terms = [...listed.matchAll(/^ {2}([a-z][^\n]*?) {2,}/gm)].map(([, term = ""]) => term);
  assert.ok(terms.length >= 26, listed);
  assert.equal(listed, withAll, "whether the others are read or not");
  for (const term of terms.filter((one) => !one.startsWith("help"))) {
    const [name = ""] = term.split(" ");
    const { stdout } = await cicada([name, "--help"]);
    // A noun takes a word of its own and no options but --help, which the list leaves out.
    const usage = /^Usage: cicada (.*)$/m.exec(stdout)?.[1]?.replace(" [options] [command]", "");
    const isWithout = !/^ {2}-(?!h, --help)/m.test(stdout);
    assert.equal(term, isWithout ? usage?.replace(" [options]", "") : usage);
  }
});

test("a command that doesn't exist is answered with the nearest one, no matter which files were read", async () => {
  const said = await cicada(["doktor"]);
  assert.equal(said.code, 2);
  assert.match(said.stderr, /Did you mean doctor\?/);
});
