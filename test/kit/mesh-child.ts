/** A mesh in its own process, so that it can be killed. Its parent (mesh-world.ts) tells it what to do. */
import { openTestMesh, startReporting, stopped, type FromChild, type ToChild } from "./mesh-world.ts";
import type { RealMesh } from "../../src/real/mesh.ts";

let mesh: RealMesh | undefined;

// If the parent is gone, messages are dropped; this process ends with the parent.
const send = (said: FromChild) => void process.send?.(said, undefined, {}, () => undefined);
const sendState = () => {
  if (mesh === undefined) return;
  send({
    kind: "state",
    known: mesh.known(),
    unresolved: mesh.unresolved(),
    addresses: mesh.addresses(),
  });
};

process.on("message", async (order: ToChild) => {
  switch (order.kind) {
    case "open":
      mesh = await openTestMesh(order.options, (addresses) => send({ kind: "remember", addresses }));
      startReporting(mesh, (report) => {
        send({ kind: "report", report });
        sendState();
      });
      sendState();
      break;
    case "publish":
      mesh?.publish(...order.args);
      break;
    case "send":
      mesh?.send(...order.args);
      break;
    case "stop":
      if (mesh !== undefined) await stopped(mesh);
      process.disconnect();
  }
});
process.on("disconnect", () => process.exit(0));
