/**
 * Where a peer sends what its runs leave, besides the mesh: their outputs and their spans. The code for it is loaded only if a
 * destination is given.
 */
import { hostname } from "node:os";
import type { Config } from "../../config.ts";
import type { Doors, Log } from "../../ports.ts";
import type { Archive } from "../../real/archive.ts";
import type { Folder } from "../../real/folder.ts";
import type { Otlp } from "../../real/otlp.ts";
import { readVersion } from "../version.ts";

/** Copies finished outputs to a store and a syslog server, if any is given. */
export async function archiveOf(
  { archive: address, syslog }: Config,
  folder: Folder,
  { clock, executor, disk, keys }: Doors,
  log: Log,
): Promise<Archive | undefined> {
  if (address === undefined && syslog === undefined) return undefined;
  const [{ Archive }, { s3StoreOf }] = await Promise.all([
    import("../../real/archive.ts"),
    import("../../real/archive/s3.ts"),
  ]);
  return new Archive({
    self: keys.self,
    host: hostname(),
    store: address === undefined ? undefined : s3StoreOf(address, process.env),
    syslog,
    clock,
    executor,
    disk,
    log,
    loadProgress: () => folder.archived(),
    saveProgress: (text) => folder.keepArchived(text),
  });
}

/** Sends runs as spans, if an OpenTelemetry endpoint is given. */
export async function otlpOf({ name }: Config, { clock, keys }: Doors, log: Log): Promise<Otlp | undefined> {
  if (!Object.keys(process.env).some((variable) => variable.startsWith("OTEL_EXPORTER_OTLP_")))
    return undefined;
  const [{ Otlp }, { otlpTarget }] = await Promise.all([
    import("../../real/otlp.ts"),
    import("../../real/otlp/target.ts"),
  ]);
  const target = otlpTarget(process.env);
  if (target !== undefined && "unsupported" in target) log.warn(target.unsupported);
  if (target === undefined || "unsupported" in target) return undefined;
  const self = { id: keys.self, name };
  return new Otlp({ target, self, host: hostname(), version: readVersion(), clock, log });
}
