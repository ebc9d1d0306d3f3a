/** What a joining peer prints: which peers it has joined, or that none has answered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Joining } from "../src/cli/start/joining.ts";
import type { PeerId } from "../src/schema/ids.ts";
import { FakeControl, member } from "./kit/fake-control.ts";

const named = ["/ip4/192.0.2.7/tcp/7401/p2p/12D3KooWada"];

const person = (name: string, self = false) => member(`id of ${name}` as PeerId, name, self);

function watched(addresses: readonly string[] = named) {
  const control = new FakeControl();
  control.members = [person("self", true)];
  const announced: string[] = [];
  const joining = new Joining(control, addresses);
  joining.begin((names) => announced.push(names));
  return { control, announced, joining };
}

test("a successful join names the joined peers, once", async () => {
  const { control, announced, joining } = watched();
  const others = ["ada", "bob", "cyd"].map((name) => person(name));
  control.members.push(...others, { ...person("dan"), state: "dead" as const });
  assert.equal(await joining.first, "ada, bob and cyd");
  assert.deepEqual(announced, ["ada, bob and cyd"]);
  assert.equal(joining.alone(), undefined);
});

test("a join that reaches no peer says which addresses it tried, and later names the peer that answers", async () => {
  const { control, joining } = watched();
  assert.equal(
    joining.alone(),
    "No peer has answered at 192.0.2.7:7401 yet. This peer is alone; is 7401/tcp open there?",
  );
  control.members.push(person("ada"));
  assert.equal(joining.alone(), undefined);
  assert.equal(await joining.first, "ada");
});

test("a peer that was turned away, and knows why, is not told that no peer answered", () => {
  for (const code of ["key-superseded", "forgotten"] as const) {
    const { control, joining } = watched();
    control.notReady.push({ code, message: "rejoin" });
    assert.equal(joining.alone(), undefined, code);
    joining.end();
  }
});

test("the first peer of a mesh is not told that it is alone", () => {
  const { joining } = watched([]);
  assert.equal(joining.alone(), undefined);
  joining.end();
});
