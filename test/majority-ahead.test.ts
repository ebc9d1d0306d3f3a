/**
 * What voters decide by clocks that are ahead (DESIGN §6, §11): the tick that they chose a runner for runs when it is due by the
 * right clocks, if it has not run.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { instantOf, type JobId, type PeerId, type TickId } from "../src/schema/ids.ts";
import { Cores } from "./kit/cores.ts";

const minute = 60_000;
const daily = "daily" as JobId;
const tickName = "2026-11-20T04:00:00Z" as TickId;
const tick = instantOf(tickName);

/** A run of the job that begins at 2:02 and goes on keeps the daily tick from running if that seems to be due meanwhile. */
function putDaily(cores: Cores, id: JobId, overlap: "queue" | "skip"): void {
  const schedule = ["2 2 * * *", "0 4 * * *"];
  cores.put({ id, schedule, timezone: "UTC", command: "true", partition: "majority", overlap });
}

/** The clocks of the peers leap to just before the daily tick, at 2:02, and are set right 20 s later. */
function leapToTheTick(cores: Cores, peers: readonly string[], assertThen = (): void => undefined): void {
  cores.pass(Date.parse("2026-11-20T02:02:05Z") - cores.wall(cores.now));
  for (const peer of peers) cores.setClock(peer, tick - 10_000 - cores.wall(cores.now));
  cores.pass(20_000);
  assertThen();
  for (const peer of peers) cores.setClock(peer, 0);
  cores.pass(30_000);
}

function chosenAhead(peers: readonly string[], overlap: "queue" | "skip"): Cores {
  const cores = new Cores(peers, { runMs: 10 * minute });
  putDaily(cores, daily, overlap);
  leapToTheTick(cores, peers, () => {
    const [record] = cores.recordsOf("a", tickName);
    assert.equal(record?.state, overlap === "queue" ? "claimed" : "skipped");
    assert.ok(record?.epoch !== undefined, "by the runner that the voters chose");
  });
  return cores;
}

/** With all that is on its disk. */
function restart(cores: Cores, peer: string): void {
  const votes = [...(cores.votes.get(peer as PeerId)?.values() ?? [])];
  const [records, watermarks] = [cores.recordsOf(peer), cores.watermarksOf(peer)];
  cores.kill(peer);
  cores.pass(10_000);
  cores.up(peer as PeerId, { records, watermarks, votes, voteCount: 1_000 });
  cores.pass(30_000);
}

function assertRunsWhenDue(cores: Cores): void {
  cores.pass(tick + 5 * minute - cores.wall(cores.now));
  const starts = cores.starts.filter((start) => start.tick === tickName);
  assert.deepEqual(
    starts.map(({ at }) => cores.wall(at) - tick),
    [0],
  );
}

for (const [names, peers] of [
  ["a lone voter", ["a"]],
  ["three voters", ["a", "b", "c"]],
] as const) {
  for (const overlap of ["queue", "skip"] as const) {
    const what = overlap === "queue" ? "waited for another run" : "was skipped";
    test(`a tick that ${names} decided about hours too early, and that ${what} then, runs when it is due`, () => {
      const cores = chosenAhead(peers, overlap);
      assertRunsWhenDue(cores);
    });

    test(`the same, of ${names}, if it ${what} and all peers are restarted before it is due`, () => {
      const cores = chosenAhead(peers, overlap);
      for (const peer of peers) restart(cores, peer);
      assertRunsWhenDue(cores);
    });
  }
}

test("the same, of two voters while the third was down, whoever of the three is to run it then", () => {
  const cores = new Cores(["a", "b", "c"], { runMs: 10 * minute });
  const jobs = Array.from({ length: 8 }, (_, n) => `daily-${n}` as JobId);
  for (const id of jobs) putDaily(cores, id, "skip");
  cores.pass(minute);
  cores.kill("c");
  leapToTheTick(cores, ["a", "b"]);
  cores.up("c" as PeerId, { voteCount: 0 });
  cores.pass(tick + minute - cores.wall(cores.now));
  const starts = cores.starts.filter((start) => start.tick === tickName);
  assert.deepEqual(starts.map(({ run }) => run.slice(0, run.indexOf("@"))).toSorted(), jobs);
  assert.deepEqual(new Set(starts.map(({ peer }) => peer)), new Set(["a", "b", "c"]));
});
