/** Outputs of runs: what a run writes to $CICADA_OUTPUT, what is kept of it, and how runs after others get it (INTERFACE, Run). */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { readOutputs } from "../src/core/job/outputs.ts";
import { describeTick } from "../src/core/records/why.ts";
import { RunRecordSchema, outputsMaxBytes } from "../src/schema/run.ts";
import type { JobId } from "../src/schema/ids.ts";
import { Check } from "typebox/value";
import { Cores } from "./kit/cores.ts";

function read(text: string, isCut = false): { outputs: unknown; notes: readonly string[] } {
  const { outputs, notes = [] } = readOutputs({ text, isCut });
  return { outputs, notes };
}

describe("of the lines that a run writes", () => {
  it("KEY=VALUE is an output; a value may contain = and be empty, and the last of two counts", () => {
    assert.deepEqual(read("ROWS=12\nPATH.x-1=a=b\nEMPTY=\nROWS=13\n\n"), {
      outputs: { ROWS: "13", "PATH.x-1": "a=b", EMPTY: "" },
      notes: [],
    });
  });
  it("a line without a line break at its end counts, and a carriage return is no part of a value", () => {
    assert.deepEqual(read("A=1\r\nB=2").outputs, { A: "1", B: "2" });
  });
  it("nothing is no output", () => {
    assert.deepEqual(readOutputs(undefined), {});
    assert.deepEqual(readOutputs({ text: "\n", isCut: false }), {});
  });
  it("what is no KEY=VALUE is left out, and a note names the line", () => {
    assert.deepEqual(read("A=1\nhello\n"), {
      outputs: { A: "1" },
      notes: [
        "line 2 of $CICADA_OUTPUT is left out: it is not KEY=VALUE in UTF-8, with a key of letters, digits, _, . and -",
      ],
    });
    assert.match(
      read("=x\n1A=x\n__proto__=x\nB=2").notes.join(),
      /^3 lines of \$CICADA_OUTPUT are left out, the first is line 1/,
    );
    assert.deepEqual(Object.keys(read("__proto__=x\nB=2").outputs as object), ["B"]);
  });
  it("what is not UTF-8 is left out and not mended: jobs that run after it would get another value", () => {
    const { outputs, notes } = read(Buffer.from("A=1\nNAME=caf\u00e9\nB=2\n", "latin1").toString());
    assert.deepEqual(outputs, { A: "1", B: "2" });
    assert.match(notes.join(), /line 2 of \$CICADA_OUTPUT is left out/);
  });
  it("what goes beyond 64 KiB is left out, and a note says so", () => {
    const long = `LONG=${"x".repeat(outputsMaxBytes - 20)}\n`;
    assert.deepEqual(read(long).notes, []);
    const cut = read(`A=1\nB=2\nC=halfwa`, true);
    assert.deepEqual(cut.outputs, { A: "1", B: "2" }, "the cut line is no output");
    assert.match(
      cut.notes.join(),
      /outputs can have at most 64 KiB and 1000 keys: what \$CICADA_OUTPUT holds beyond that is left out/,
    );
    const keys = read(Array.from({ length: 1_500 }, (_, index) => `K${index}=1`).join("\n"));
    assert.equal(Object.keys(keys.outputs as object).length, 1_000);
    assert.match(keys.notes.join(), /500 lines of \$CICADA_OUTPUT left out/);
  });
  it("what is kept fits into a record, however it is written", () => {
    for (const text of [
      `A=${"\u0001".repeat(65_000)}`,
      `A=${"é\u2028".repeat(9_000)}`,
      "\0\0\0=\n".repeat(9_000),
      "A=\uFFFD",
    ]) {
      const { outputs = {}, notes = [] } = readOutputs({ text, isCut: true });
      assert.ok(Buffer.byteLength(JSON.stringify(outputs)) <= outputsMaxBytes);
      assert.ok(notes.length > 0 && notes.every((one) => one.length <= 256));
    }
  });
});

const parent = { id: "load", schedule: "@every 1h", command: "true" } as const;
const child = { id: "report", command: "true", after: { jobs: ["load"] as JobId[], on: "always" as const } };

function stage(specs: readonly Parameters<Cores["put"]>[0][], names = ["a", "b", "c"]): Cores {
  const cores = new Cores(names, { runMs: 1_000 });
  cores.pass(60_000);
  for (const spec of specs) cores.put(spec);
  cores.pass(3_600_000 - (cores.wall(cores.now) % 3_600_000) - 5_000);
  return cores;
}

test("outputs are part of the run's record on every peer, and the run after it gets them with the parent's state", () => {
  const cores = stage([parent, child]);
  cores.writtenBy = ({ run }) => (run.startsWith("load@") ? "ROWS=12\nbad line\n" : "");
  cores.exitCodeOf = ({ run }) => (run.startsWith("load@") ? 3 : 0);
  cores.pass(60_000);
  for (const peer of "abc") {
    const record = cores.recordsOf(peer).find(({ job, state }) => job === "load" && state === "failed");
    assert.deepEqual(record?.outputs, { ROWS: "12" });
    assert.equal(record.notes?.length, 1);
    assert.ok(Check(RunRecordSchema, record));
    const { why } = describeTick(record.tick, [record], (one) => one);
    assert.match(why.join(), /Note: line 2 of \$CICADA_OUTPUT is left out/);
  }
  const run = cores.starts.find((start) => start.run.startsWith("report@"));
  const parents = JSON.parse(run?.parents ?? "null") as Record<string, { run: string }>;
  assert.deepEqual(parents, {
    load: { run: parents["load"]?.run, state: "failed", exitCode: 3, outputs: { ROWS: "12" } },
  });
  assert.match(parents["load"]?.run ?? "", /^load@2026-/);
});

test("the outputs are those of the attempt that ended the tick", () => {
  const cores = stage([{ ...parent, retry: { attempts: 1, backoff: "10s" } }, child]);
  cores.writtenBy = ({ env }) => `TRY=${env["CICADA_ATTEMPT"]}`;
  cores.exitCodeOf = ({ run, env }) => (run.startsWith("load@") && env["CICADA_ATTEMPT"] === "1" ? 1 : 0);
  cores.pass(120_000);
  const run = cores.starts.find((start) => start.run.startsWith("report@"));
  assert.match(run?.parents ?? "", /"outputs":\{"TRY":"2"\}/);
});

test("a child that is repeated, also after a restart, gets its parents' outputs again", () => {
  const cores = stage([parent, { ...child, retry: { attempts: 1, backoff: "1m" } }], ["a"]);
  cores.writtenBy = () => "ROWS=12";
  cores.exitCodeOf = ({ run }) => (run.startsWith("load@") ? 0 : 1);
  cores.pass(10_000);
  cores.restart("a", 5_000);
  cores.pass(120_000);
  const runs = cores.starts.filter(({ run }) => run.startsWith("report@"));
  assert.equal(runs.length, 2);
  for (const { parents } of runs) assert.match(parents, /"outputs":\{"ROWS":"12"\}/);
});

test("a run that nobody chained gets no file about parents", () => {
  const cores = stage([parent, child]);
  cores.ask("a", { kind: "run-job", id: "report" as JobId, by: "ann" });
  cores.pass(2_000);
  assert.deepEqual(
    cores.starts.map(({ parents }) => parents),
    [""],
  );
});

test("many large outputs leave a peer's memory soon, and are still on its disk", () => {
  const jobs = ["load", "more", "most"].map((id) => ({
    ...parent,
    id,
    schedule: "@every 1s",
    overlap: "allow" as const,
  }));
  const cores = stage(jobs, ["a", "b"]);
  cores.writtenBy = ({ tick }) => `BIG=${"x".repeat(60_000)}\nT=${tick}`;
  cores.pass(120_000);
  const { ledger } = cores.state("b");
  const held = [...ledger.orders.values()].flatMap((records) => [...records.values()]);
  const bytes = held.reduce((sum, { outputs = {} }) => sum + (outputs["BIG"] ?? "").length, 0);
  assert.ok(bytes < 4_500_000, `${bytes} bytes`);
  assert.ok(cores.recordsOf("b").filter(({ outputs }) => outputs !== undefined).length > 100);
});
