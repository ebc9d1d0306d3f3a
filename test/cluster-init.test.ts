/** A real peer as process 1 of a process namespace, as in a container without an init. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { cicada, freePort, plainEnv, readReadyFile, root, Started, until } from "./kit/cluster.ts";

const isRoot = process.getuid?.() === 0;
const limitMs = 60_000;

interface Process {
  pid: number;
  state: string;
  parent: number;
}

function processes(): Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
        const [state = "", parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return [{ pid: Number(pid), state, parent: Number(parent) }];
      } catch {
        return []; // It has ended meanwhile.
      }
    });
}

test(
  "as process 1 of a container a peer leaves no zombies, is stopped by SIGTERM, and ends with its own exit code",
  { skip: isRoot ? false : "needs root to make a process namespace" },
  async () => {
    const data = mkdtempSync(path.join(tmpdir(), "cicada-init-"));
    const flags = [`--data=${data}`, "--http=127.0.0.1:0", `--listen=/ip4/127.0.0.1/tcp/${await freePort()}`];
    const program = path.join(root, "src", "cicada.mjs");
    const inside = [process.execPath, program, "start", "--name=it's me", ...flags];
    const container = new Started(
      "unshare",
      ["--pid", "--fork", "--mount-proc", "--kill-child", ...inside],
      plainEnv(),
    );
    try {
      const ready = await until("the peer is ready", limitMs, () => {
        if (container.hasEnded) throw new Error(container.said);
        return readReadyFile(data);
      });
      assert.equal(ready.name, "it's me");
      const first = processes().find(({ parent }) => parent === container.pid)?.pid ?? 0;
      const zombies = () => processes().filter(({ parent, state }) => parent === first && state === "Z");

      const runCicada = async (...words: string[]) => {
        const said = await cicada(words, { CICADA_DATA: data });
        assert.equal(said.code, 0, said.stderr);
      };
      // The inner shell ends at once, and process 1 inherits the process that it left in another session.
      await runCicada("jobs", "create", "orphan", "--command", "(setsid sleep 0.1 &)");
      for (let run = 0; run < 3; run++) await runCicada("jobs", "run", "orphan", "--wait");
      await until("what the runs left behind has ended and been collected", limitMs, () => {
        const left = processes().filter(({ parent }) => parent === first);
        return zombies().length === 0 && left.length === 1;
      });

      process.kill(first, "SIGTERM");
      assert.deepEqual(await container.ended, { code: 0, signal: null }, container.said);
      assert.equal(readReadyFile(data), undefined, "a clean stop");
    } finally {
      container.kill("SIGKILL");
      rmSync(data, { recursive: true, force: true });
    }
  },
);
