/** Says whether a port is in use, so that one message can name every port in the way. */
import { once } from "node:events";
import { createServer } from "node:net";
import type { HostPort } from "../../config/values.ts";
import { CicadaError } from "../../errors.ts";
import { isSystemError } from "../terminal/client.ts";

export async function isBusy({ host, port }: HostPort): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, "listening");
    return false;
  } catch (error) {
    return isSystemError(error) && error.code === "EADDRINUSE";
  } finally {
    server.close();
  }
}

/** The error for the mesh's port, which also names the API's port if that one is in use, too. */
export async function withBusyHttp(error: unknown, http: HostPort): Promise<unknown> {
  if (!(error instanceof CicadaError) || error.code !== "PORT_IN_USE" || !(await isBusy(http))) return error;
  return new CicadaError("PORT_IN_USE", `${error.detail} (--listen) and ${http.host}:${http.port} (--http)`);
}
