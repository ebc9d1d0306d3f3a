/**
 * A program that leads into a network namespace: run inside one, it passes every connection to a socket file on to
 * the API there, which listens on that namespace's own loopback alone.
 *
 *   node test/fault-door.ts SOCKET_FILE PORT
 */
import { connect, createServer } from "node:net";

const [, , socketFile, port] = process.argv;
const server = createServer((caller) => {
  const api = connect(Number(port), "127.0.0.1");
  // Whichever end breaks, the other one is told by a broken connection.
  caller.on("error", () => api.destroy()).on("close", () => api.destroy());
  api.on("error", () => caller.destroy()).on("close", () => caller.destroy());
  caller.pipe(api).pipe(caller);
});
server.listen(socketFile);
