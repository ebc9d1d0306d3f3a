/** Which connections are closed when too many incoming ones have not yet proved that they belong to the mesh. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Handshakes } from "../src/real/mesh/handshakes.ts";

const limits = { all: 10, strangers: 6, perHost: 4 };

/** Named connections; `gone` lists those that were closed, in that order. */
function stage() {
  const gone: string[] = [];
  const handshakes = new Handshakes<{ name: string; abort(): void }>(
    (host) => host.startsWith("member"),
    limits,
  );
  return {
    gone,
    handshakes,
    enter: (name: string, host: string) => {
      const line = { name, abort: () => void gone.push(name) };
      handshakes.enter(line, host);
      return line;
    },
  };
}

test("the oldest connection of a host is closed when the host's share is used up", () => {
  const { gone, enter } = stage();
  for (const name of ["a", "b", "c", "d", "e", "f"]) enter(name, "stranger");
  assert.deepEqual(gone, ["a", "b"]);
});

test("connections from many unknown hosts displace each other but no member", () => {
  const { gone, enter } = stage();
  for (const name of ["m1", "m2"]) enter(name, "member");
  for (let host = 0; host < 20; host++) enter(`stranger ${host}`, `stranger ${host}`);
  for (const name of ["m3", "m4"]) enter(name, "member");
  assert.equal(gone.length, 14);
  assert.ok(gone.every((name) => name.startsWith("stranger")));
});

test("a connection that has named the mesh's key is closed only if all others of its host have named it too", () => {
  const { gone, handshakes, enter } = stage();
  const named = enter("named", "member");
  handshakes.named(named);
  for (const name of ["b", "c", "d", "e", "f"]) enter(name, "member");
  assert.deepEqual(gone, ["b", "c"]);
  for (const name of ["g", "h", "i", "j"]) handshakes.named(enter(name, "member"));
  assert.deepEqual(gone, ["b", "c", "d", "e", "f", "named"]);
});

test("an encrypted or closed connection frees its place", () => {
  const { gone, handshakes, enter } = stage();
  for (let count = 0; count < 30; count++) {
    const line = enter(`${count}`, "stranger");
    assert.equal(handshakes.leave(line), true);
    assert.equal(handshakes.leave(line), false);
  }
  assert.deepEqual(gone, []);
});

test("there is a limit for all connections, however many hosts have members", () => {
  const { gone, enter } = stage();
  for (let host = 0; host < 15; host++) enter(`${host}`, `member ${host}`);
  assert.deepEqual(gone, ["0", "1", "2", "3", "4"]);
});
