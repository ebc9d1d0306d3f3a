/**
 * A program that leads into a network namespace: run inside one, it passes every connection to a socket file on to
 * the API there, which listens on that namespace's own loopback alone.
 *
 *   node test/kit/fault/door-child.ts SOCKET_FILE PORT
 */
import { connect, createServer } from "node:net";

const [, , socketFile, port] = process.argv;
const server = createServer((caller) => {
  const api = connect(Number(port), "127.0.0.1");
  // A broken API breaks the connection; one that has said all still lets the caller hear the end of it.
  api.on("error", () => caller.destroy());
  caller.on("error", () => api.destroy()).on("close", () => api.destroy());
  caller.pipe(api).pipe(caller);
});
server.listen(socketFile);
