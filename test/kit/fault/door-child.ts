/**
 * A way into a network namespace: run inside one, it forwards every connection to a socket file to the API there, which
 * listens only on that namespace's own loopback.
 *
 *   node test/kit/fault/door-child.ts SOCKET_FILE PORT
 */
import { connect, createServer } from "node:net";

const [, , socketFile, port] = process.argv;
const server = createServer((caller) => {
  const api = connect(Number(port), "127.0.0.1");
  // If the API fails, the connection is broken. If the API has sent everything, the caller still gets the rest.
  api.on("error", () => caller.destroy());
  caller.on("error", () => api.destroy()).on("close", () => api.destroy());
  caller.pipe(api).pipe(caller);
});
server.listen(socketFile);
