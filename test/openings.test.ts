/** Sockets at the mesh's port that have not yet said what libp2p has to hear, with real sockets. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { Openings, type OpeningsOptions } from "../src/real/mesh/openings.ts";

const greeting = "\x13/multistream/1.0.0\n";
const name = "\x22/cicada/noise/2/0123456789abcdef\n";

/** A server whose sockets wait for their openings. `reached`: those whose openings were complete, with what they read. */
async function stage(context: TestContext, options: Partial<OpeningsOptions> = {}) {
  const refused: { address: string; opening: string }[] = [];
  const reached: { socket: Socket; text: string }[] = [];
  const openings = new Openings({
    knowsHost: () => false,
    refused: (address, opening) =>
      refused.push({ address, opening: Buffer.from(opening).toString("latin1") }),
    ...options,
  });
  const handedOver = Promise.withResolvers<void>();
  const server = createServer((accepted) =>
    openings.enter(accepted, (socket) => {
      const one = { socket, text: "" };
      reached.push(one);
      socket.on("error", () => {}).on("data", (bytes) => (one.text += String(bytes)));
      socket.once("end", handedOver.resolve);
    }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    openings.stop();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const open = async (localAddress = "127.0.0.1"): Promise<{ socket: Socket; closed: Promise<void> }> => {
    const socket = connect({ host: "127.0.0.1", port, localAddress });
    const closed = new Promise<void>((resolve) =>
      socket.on("error", () => {}).once("close", () => resolve()),
    );
    context.after(() => socket.destroy());
    socket.resume();
    await once(socket, "connect");
    return { socket, closed };
  };
  return { openings, open, refused, reached, handedOver: handedOver.promise };
}

test("a dialler that sends its opening in any pieces is handed over, and nothing of what it sent is lost", async (context) => {
  const { open, refused, reached, handedOver } = await stage(context);
  const { socket } = await open();
  socket.setNoDelay(true);
  for (const piece of [
    greeting.slice(0, 7),
    greeting.slice(7) + name.slice(0, 9),
    name.slice(9) + "and more",
  ]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await new Promise<void>((resolve) => socket.write(Buffer.from(piece, "latin1"), () => resolve()));
  }
  socket.end();
  await handedOver;
  assert.deepEqual(refused, []);
  assert.equal(reached[0]?.text, `${greeting}${name}and more`);
});

for (const [what, opening] of [
  ["sends nothing", ""],
  ["sends the greeting and no name", greeting],
  ["stops in the middle of its greeting", greeting.slice(0, 9)],
] as const) {
  test(`a socket that ${what} is closed when its opening is due, and reaches nobody`, async (context) => {
    const { open, refused, reached } = await stage(context, { limitMs: 20 });
    const { socket, closed } = await open();
    socket.write(Buffer.from(opening, "latin1"));
    await closed;
    assert.deepEqual([refused, reached], [[], []]);
  });
}

test("a socket that sends a byte now and then has no more time than others", async (context) => {
  const { open, reached } = await stage(context, { limitMs: 200 });
  const { socket, closed } = await open();
  let at = 0;
  const dripping = setInterval(() => socket.write(greeting.slice(at, ++at)), 20);
  await closed;
  clearInterval(dripping);
  assert.ok(at < greeting.length);
  assert.deepEqual(reached, []);
});

test("a socket that says something else is closed at its first wrong byte, and reported with its address", async (context) => {
  const { open, refused, reached } = await stage(context);
  const { socket, closed } = await open();
  const { localPort } = socket;
  socket.write("GET / HTTP/1.1\r\n");
  await closed;
  assert.deepEqual(refused, [{ address: `/ip4/127.0.0.1/tcp/${localPort}`, opening: "GET / HTTP/1.1\r\n" }]);
  assert.deepEqual(reached, []);
});

test("a dialler gets through whatever number of silent sockets strangers hold", async (context) => {
  const limits = { all: 8, strangers: 6, perHost: 3 };
  const { open, reached, handedOver } = await stage(context, { limits });
  const [first] = [await open(), await open(), await open(), await open()];
  await first.closed; // the oldest of its host gave way
  for (let host = 2; host < 12; host++) await open(`127.0.0.${host}`);
  const { socket } = await open("127.0.0.99");
  socket.end(Buffer.from(greeting + name, "latin1"));
  await handedOver;
  assert.equal(reached.length, 1);
});

test("when the mesh stops, waiting sockets are closed, and new ones at once", async (context) => {
  const { openings, open } = await stage(context);
  const before = await open();
  openings.stop();
  await before.closed;
  await (
    await open()
  ).closed;
});
