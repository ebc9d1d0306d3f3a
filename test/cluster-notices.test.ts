/** What channels are told of the mesh, with real peers: one is killed and comes back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { signWebhook } from "../src/real/notifier/webhook.ts";
import { Cluster, until } from "./kit/cluster.ts";
import { Listener } from "./kit/notifier-stage.ts";

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

test("when a peer is killed one of the others tells it, signed, once, and that it is back once it has stayed", async () => {
  await using cluster = new Cluster();
  await using listener = await Listener.open();
  const [ada, bob, cyd] = await cluster.mesh(["ada", "bob", "cyd"]);
  assert.ok(ada !== undefined && bob !== undefined && cyd !== undefined);
  const channel = { type: "webhook", url: `${listener.url}/hook/hidden-part`, secret, mesh: ["peer-dead"] };
  const shown = await ada.ask("PUT", "/v1/channels/ops", channel);
  assert.doesNotMatch(JSON.stringify(shown), /hidden-part|MfKQ9r8/);
  const noticesOf = (type: string) => listener.got.filter(({ body }) => JSON.parse(body).type === type);
  await cyd.crash();
  await until("the death is told", 90_000, async () => noticesOf("cicada.mesh.peer-dead").length > 0);
  const [dead] = noticesOf("cicada.mesh.peer-dead");
  assert.ok(dead !== undefined);
  const [notice] = JSON.parse(dead.body).data.notices;
  assert.equal(notice.peer.name, "cyd");
  const [id, time] = [String(dead.headers["webhook-id"]), String(dead.headers["webhook-timestamp"])];
  assert.equal(id, notice.key);
  assert.equal(dead.headers["webhook-signature"], signWebhook(secret, id, time, dead.body));
  await cyd.restart();
  await until("its return is told", 150_000, async () => noticesOf("cicada.mesh.peer-back").length > 0);
  assert.equal(listener.got.length, 2, "one peer has told each");
});
