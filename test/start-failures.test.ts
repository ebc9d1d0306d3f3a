/** Which failures a peer lives through, and that it says so of each. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { isOfMesh, surviveFailures } from "../src/cli/start/failures.ts";

const inMesh = "at Yamux.write (file:///srv/cicada/node_modules/@libp2p/yamux/dist/src/muxer.js:10:5)";
const inPeer = "at Peer.stop (file:///srv/cicada/src/peer/peer.ts:7:3)";
const inNode = "at Socket.emit (node:events:519:28)";

function failure(message: string, ...frames: string[]): Error {
  const error = new Error(message);
  error.stack = [`Error: ${message}`, ...frames.map((frame) => `    ${frame}`)].join("\n");
  return error;
}

function watched() {
  const process = new EventEmitter();
  const said: string[] = [];
  let ended = 0;
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (message: string) => void said.push(message),
  };
  // Only `on` is asked of it.
  const count = surviveFailures(log, () => (ended += 1), process as unknown as NodeJS.Process);
  return { process, said, count, ended: () => ended };
}

test("a failure inside the mesh's library is logged and counted, and the peer goes on", () => {
  const peer = watched();
  peer.process.emit("uncaughtException", failure("stream closed", inNode, inMesh, inNode));
  assert.equal(peer.count.uncaughtExceptions, 1);
  assert.equal(peer.ended(), 0);
  assert.match(peer.said.join(), /the peer goes on/);
});

test("any other failure is logged, and ends the process", () => {
  for (const other of [
    failure("undefined is not a function", inPeer),
    failure("thrown by the library within a decision", inMesh, inPeer),
    failure("within the library's call", inPeer, inMesh),
    failure("assertion failed: what can't be", inMesh),
    failure("of nobody", inNode),
  ]) {
    const peer = watched();
    peer.process.emit("uncaughtException", other);
    assert.equal(peer.ended(), 1, other.message);
    assert.equal(peer.count.uncaughtExceptions, 0);
    assert.match(peer.said.join(), /and stops/);
  }
});

test("a promise that nobody awaits is survived, unless an assertion broke in it", () => {
  const peer = watched();
  peer.process.emit("unhandledRejection", "no error at all");
  peer.process.emit("unhandledRejection", failure("late", inPeer));
  assert.equal(peer.count.unhandledRejections, 2);
  const broken = failure("assertion failed: x", inPeer);
  assert.throws(() => peer.process.emit("unhandledRejection", broken), broken);
  assert.equal(peer.ended(), 0, "it comes back as an exception");
});

test("what is no error is not of the mesh", () => {
  for (const odd of [undefined, "text", {}, new Error("fresh")]) assert.equal(isOfMesh(odd), false);
});
