/** The certificate's files: read at the start, and again on SIGHUP. If they can't be used then, those before stay in use. */
import { CicadaError } from "../../errors.ts";
import type { Log } from "../../ports.ts";
import { formatError } from "../terminal/client.ts";
import { readToEnd } from "../terminal/text-file.ts";

interface Replaceable {
  replace(cert: string, key: string): void;
}

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** The texts of both files. Throws a CicadaError that names the one that can't be read. */
export function readTlsFiles({ cert, key }: TlsFiles): { cert: string; key: string } {
  return { cert: read("--tls-cert", cert), key: read("--tls-key", key) };
}

/** Reads the files again at each SIGHUP, until it is disposed of. */
export function reloadOnSighup(files: TlsFiles, certificate: Replaceable, log: Log): Disposable {
  const reload = (): void => {
    try {
      const { cert, key } = readTlsFiles(files);
      certificate.replace(cert, key);
      log.info("the certificate's files were read again", { cert: files.cert });
    } catch (error) {
      if (!(error instanceof CicadaError)) throw error;
      log.error("the certificate's files can't be used; the ones before stay in use", {
        reason: error.detail,
      });
    }
  };
  process.on("SIGHUP", reload);
  return { [Symbol.dispose]: () => void process.off("SIGHUP", reload) };
}

function read(flag: string, file: string): string {
  try {
    return readToEnd(file).toString();
  } catch (error) {
    throw new CicadaError("BAD_SETTING", `${flag} ${file}: ${formatError(error)}`);
  }
}
