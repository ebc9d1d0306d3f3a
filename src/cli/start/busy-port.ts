/** Whether somebody listens on a port already, so that every port in the way is told at once. */
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

/** The error with which the mesh's port was refused, with the API's port beside it when that one is busy too. */
export async function withBusyHttp(error: unknown, http: HostPort): Promise<unknown> {
  if (!(error instanceof CicadaError) || error.code !== "PORT_IN_USE" || !(await isBusy(http))) return error;
  return new CicadaError("PORT_IN_USE", `${error.detail} (--listen) and ${http.host}:${http.port} (--http)`);
}
