/** Which peers a job admits and which it prefers (core/job/target.ts), and what follows for its ticks, in cores. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { admits, preferredFirst, targetOf, type Tags } from "../src/core/job/target.ts";
import { jobNow } from "../src/core/view.ts";
import type { JobId, PeerId } from "../src/schema/ids.ts";
import type { JobChange } from "../src/core/events.ts";
import type { Job, JobSpec } from "../src/schema/job.ts";
import type { RequestedOrder } from "../src/schema/run.ts";
import { ownCapabilities } from "../src/schema/protocol.ts";
import { Cores } from "./kit/cores.ts";

const second = 1_000;

describe("a job's target admits", () => {
  const alder = { id: "p1" as PeerId, name: "alder", tags: { disk: "ssd", zone: "a" } };
  const cases: [string, JobSpec["target"], boolean, { requested?: string[]; tags?: undefined }?][] = [
    ["any peer if it has none", undefined, true],
    ["any peer if its tags are empty", { tags: {} }, true],
    ["a peer with its tag", { tags: { disk: "ssd" } }, true],
    ["a peer with all its tags", { tags: { disk: "ssd", zone: "a" } }, true],
    ["no peer with only one of its tags", { tags: { disk: "ssd", zone: "b" } }, false],
    ["no peer with another value of the tag", { tags: { disk: "hdd" } }, false],
    ["no peer whose tag differs in case", { tags: { Disk: "ssd" } }, false],
    ["no peer for a tag that every object has", { tags: { constructor: "x" } }, false],
    [
      "no peer that hasn't been heard, since its tags aren't known",
      { tags: { disk: "ssd" } },
      false,
      { tags: undefined },
    ],
    ["a peer that it names and that has its tags", { peers: ["alder"], tags: { disk: "ssd" } }, true],
    ["no peer that it names without its tags", { peers: ["alder"], tags: { disk: "hdd" } }, false],
    ["no peer with its tags that it doesn't name", { peers: ["birch"], tags: { disk: "ssd" } }, false],
    ["any peer that it merely doesn't prefer", { prefer: { tags: { disk: "hdd" } } }, true],
    ["the peers of a run by hand instead", { tags: { disk: "hdd" } }, true, { requested: ["alder"] }],
    ["no other peer for a run by hand", { tags: { disk: "ssd" } }, false, { requested: ["birch"] }],
  ];
  for (const [title, target, expected, { requested, ...other } = {}] of cases) {
    test(title, () => {
      const spec = target === undefined ? {} : { target };
      assert.equal(admits(targetOf(spec), requested, { ...alder, ...other }), expected);
    });
  }
});

test("preferred peers come first in their own order, then the others in theirs", () => {
  const tags: Record<string, Tags> = {
    b: { disk: "ssd" },
    d: { disk: "ssd", zone: "a" },
    e: { disk: "hdd" },
  };
  const ranks = ["a", "b", "c", "d", "e"] as PeerId[];
  assert.deepEqual(
    preferredFirst(ranks, { disk: "ssd" }, (peer) => tags[peer]),
    ["b", "d", "a", "c", "e"],
  );
});

const beat = { id: "beat", schedule: "@every 10s", command: "true" } as const;
const beatId = "beat" as JobId;
const ssd = { disk: "ssd" };

/** Where the job's ticks of the next two minutes start; each must start once. */
function placesOf(cores: Cores): string[] {
  const from = cores.now;
  cores.pass(120 * second);
  const starts = cores.starts.filter(({ at }) => at >= from);
  assert.equal(new Set(starts.map(({ tick }) => tick)).size, starts.length, "each tick starts once");
  assert.ok(starts.length >= 11, `${starts.length} starts`);
  return [...new Set(starts.map(({ peer }) => peer))].toSorted();
}

test("a job with tags runs each tick once, on peers that have them, also after a peer with them dies", () => {
  const cores = new Cores(["a", "b", "c"], { tags: { b: ssd, c: { ...ssd, zone: "a" } } });
  cores.put({ ...beat, target: { tags: ssd } });
  assert.deepEqual(placesOf(cores), ["b", "c"]);
  cores.kill("b");
  cores.pass(20 * second);
  assert.deepEqual(placesOf(cores), ["c"]);
});

test("a job runs on the peers that it prefers while there are any, then on the others, and goes back", () => {
  const cores = new Cores(["a", "b", "c"], { tags: { b: ssd } });
  cores.put({ ...beat, target: { prefer: { tags: ssd } } });
  cores.pass(20 * second);
  assert.deepEqual(placesOf(cores), ["b"]);
  for (const peer of ["a", "c"]) {
    const [next] = jobNow(cores.state(peer), cores.state(peer).now, beatId)?.next?.peers ?? [];
    assert.equal(next?.id, "b", `${peer} knows which peer comes first`);
  }
  cores.kill("b");
  cores.pass(20 * second);
  assert.deepEqual(placesOf(cores), ["a", "c"]);
  cores.up("b" as PeerId);
  cores.pass(20 * second);
  assert.deepEqual(placesOf(cores), ["b"]);
});

function hindrance(cores: Cores) {
  const now = jobNow(cores.state("a"), cores.state("a").now, beatId);
  assert.equal(now?.state, "blocked");
  return now.hindrances[0];
}

describe("a job that no living peer can run because of its tags is blocked, and its problem", () => {
  test("names the tags that no peer has", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ ...beat, target: { tags: { disk: "ssd", zone: "a" } } });
    assert.deepEqual(hindrance(cores), {
      code: "NO_PEER",
      pointer: "/target/tags",
      message: "no peer of the mesh has its tags (disk=ssd, zone=a)",
    });
  });

  test("tells what happened to the peers that have them", () => {
    const cores = new Cores(["a", "b"], { tags: { b: ssd } });
    cores.put({ ...beat, target: { tags: ssd } });
    cores.kill("b");
    cores.pass(20 * second);
    assert.match(
      hindrance(cores)?.message ?? "",
      /^of the peers with its tags \(disk=ssd\), host-b has been dead since /,
    );
  });

  test("tells which of the peers that it names lacks them", () => {
    const cores = new Cores(["a", "b"]);
    cores.put({ ...beat, target: { peers: ["host-b"], tags: ssd } });
    assert.deepEqual(hindrance(cores), {
      code: "NO_PEER",
      pointer: "/target/peers",
      message: "its target host-b doesn't have the tags disk=ssd",
    });
  });

  test("says once what is true of several of them, in words for one or for many", () => {
    const lacks = { a: ["user:deploy"], b: ["user:deploy"], c: ["user:*"], d: ["user:deploy"] };
    const cores = new Cores(["a", "b", "c", "d"], { lacks });
    cores.put({ ...beat, user: "deploy" });
    const cant =
      "can't run jobs as the user deploy (there is no such user, or it would take root and setpriv)";
    const doesnt = "doesn't allow jobs of the user deploy (start --allow-user)";
    assert.equal(hindrance(cores)?.message, `host-a, host-b and host-d ${cant}; host-c ${doesnt}`);
    cores.put({ ...beat, user: "deploy", target: { peers: ["nosuch", "none", "host-b"] } });
    assert.equal(
      hindrance(cores)?.message,
      `of its targets, host-b ${cant}; nosuch and none are not members of the mesh`,
    );
    cores.put({ ...beat, target: { peers: Array.from({ length: 9 }, (_, index) => `no${index}`) } });
    assert.equal(
      hindrance(cores)?.message,
      "of its targets, no0, no1, no2, no3, no4 and 4 more are not members of the mesh",
    );
  });

  test("counts the members whose tags aren't known", () => {
    const cores = new Cores(["a", "b"], { tags: { b: ssd } });
    cores.put({ ...beat, target: { tags: ssd } });
    cores.kill("b");
    cores.kill("a");
    cores.up("a" as PeerId, { expected: ["b"] });
    cores.pass(20 * second);
    assert.equal(
      hindrance(cores)?.message,
      "no peer of the mesh has its tags (disk=ssd), as far as they are known: 1 peer has not been heard since this one started",
    );
  });
});

test("a peer of a version without tags doesn't run a job that has them, even if it has the tags", () => {
  const older = { b: ["executor:process", "majority"] };
  for (const target of [{ tags: ssd }, { prefer: { tags: ssd } }]) {
    const cores = new Cores(["a", "b", "c"], { capabilities: older, tags: { a: ssd, b: ssd, c: ssd } });
    cores.pass(10 * second);
    cores.put({ ...beat, target });
    assert.deepEqual(placesOf(cores), ["a", "c"]);
  }
  assert.ok(ownCapabilities.includes("field:target.tags"));
});

const byHand = { id: beatId, command: "true", overlap: "queue" } as const;

/** The job runs for a minute, so the second run that is asked for waits. Returns its order too. */
function waitingRun(): { cores: Cores; order: RequestedOrder } {
  const cores = new Cores(["a", "b"], { runMs: 60 * second });
  cores.put(byHand);
  for (let times = 0; times < 2; times++) {
    cores.ask("a", { kind: "run-job", id: beatId, by: "ann" });
    cores.pass(5 * second);
  }
  const [order] = [...(cores.state("a").book.byJob.get(beatId) ?? [])];
  assert.ok(order?.requested !== undefined);
  assert.equal(cores.starts.length, 1);
  cores.remove(beatId);
  return { cores, order: order.requested };
}

function makeAgain(cores: Cores): void {
  cores.put(byHand);
  cores.pass(120 * second);
  assert.equal(cores.starts.length, 1);
  cores.ask("a", { kind: "run-job", id: beatId, by: "ann" });
  cores.pass(5 * second);
  assert.equal(cores.starts.length, 2, "the job that was made again can be run");
}

describe("a run by hand that waits while its job is deleted and made again", () => {
  test("doesn't start, however soon that is", () => {
    makeAgain(waitingRun().cores);
  });

  test("doesn't start if it comes again from a disk", () => {
    const { cores, order } = waitingRun();
    cores.pass(120 * second);
    cores.put(byHand);
    for (const peer of ["a", "b"] as PeerId[])
      cores.feed(peer, { kind: "learned", records: [], orders: [order] });
    makeAgain(cores);
  });

  test("doesn't start if a peer of an earlier version asked for it long before, without telling which job it meant", () => {
    const { cores, order } = waitingRun();
    cores.put(byHand, { createdAt: cores.wall(cores.now) });
    const { jobCreatedAt: _, ...ofEarlierVersion } = {
      ...order,
      requestedAt: order.requestedAt - 90 * second,
    };
    for (const peer of ["a", "b"] as PeerId[])
      cores.feed(peer, { kind: "learned", records: [], orders: [ofEarlierVersion] });
    makeAgain(cores);
  });
});

describe("a run by hand that is asked for before its peer has the job", () => {
  const spec: JobSpec = {
    id: "load" as JobId,
    schedule: "@every 1d",
    command: "true",
    target: { peers: ["host-b"] },
  };

  /** The edits of the job reach peer b only with `arrive`. */
  function askedFor(): { cores: Cores; arrive: (changes: Partial<Job>) => void } {
    const cores = new Cores(["a", "b"]);
    cores.put(spec);
    const job = cores.state("a").jobs.plans.get(spec.id)?.job;
    assert.ok(job);
    const learn = (change: JobChange): void =>
      cores.feed("b" as PeerId, { kind: "tableChanged", changes: [change], tableDigest: "b" });
    learn({ id: spec.id, job: undefined });
    cores.ask("a", { kind: "run-job", id: spec.id, by: "ann" });
    cores.pass(5 * second);
    assert.deepEqual(cores.starts, []);
    return { cores, arrive: (changes) => learn({ id: spec.id, job: { ...job, ...changes } }) };
  }

  test("starts as soon as the job is there", () => {
    const { cores, arrive } = askedFor();
    arrive({});
    cores.pass(second);
    assert.deepEqual(
      cores.starts.map(({ peer }) => peer),
      ["b"],
    );
  });

  test("doesn't start if the job that comes was made later, under the same name", () => {
    const { cores, arrive } = askedFor();
    arrive({ createdAt: cores.wall(cores.now) });
    cores.pass(10 * second);
    assert.deepEqual(cores.starts, []);
  });

  test("starts if its job was dated by a clock that is ahead", () => {
    const cores = new Cores(["a", "b"]);
    cores.put(spec, { createdAt: cores.wall(20 * second), scheduledAt: 0 });
    cores.ask("a", { kind: "run-job", id: spec.id, by: "ann" });
    cores.pass(5 * second);
    assert.equal(cores.starts.length, 1);
  });

  test("is forgotten in time if no such job comes", () => {
    const { cores } = askedFor();
    assert.equal(cores.state("b").book.awaitingJob.size, 1);
    cores.pass(900 * second);
    assert.equal(cores.state("b").book.awaitingJob.size, 0);
  });
});
