/**
 * The certificate's files: read at the start, and again on SIGHUP. If they can't be used then, the earlier ones stay in use. At
 * the start they may be pipes; later they may not, because the peer would wait for the writers.
 */
import { CicadaError } from "../../errors.ts";
import type { Log } from "../../ports.ts";
import { formatError } from "../terminal/client.ts";
import { readPlainFile } from "../terminal/plain-file.ts";
import { readToEnd } from "../terminal/text-file.ts";

interface Replaceable {
  replace(cert: string, key: string): void;
}

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** The texts of both files at the start. Throws a CicadaError that names the one that can't be read. */
export function readTlsFiles(files: TlsFiles): { cert: string; key: string } {
  return readBoth(files, (file) => readToEnd(file).toString());
}

/** Reads the files again at each SIGHUP, until it is disposed of. */
export function reloadOnSighup(files: TlsFiles, certificate: Replaceable, log: Log): Disposable {
  const reload = (): void => {
    try {
      const { cert, key } = readBoth(files, readPlainFile);
      certificate.replace(cert, key);
      log.info("the certificate's files were read again", { cert: files.cert });
    } catch (error) {
      if (!(error instanceof CicadaError)) throw error;
      log.error("the certificate's files can't be used; the previous ones stay in use", {
        reason: error.detail,
      });
    }
  };
  process.on("SIGHUP", reload);
  return { [Symbol.dispose]: () => void process.off("SIGHUP", reload) };
}

function readBoth({ cert, key }: TlsFiles, textOf: (file: string) => string): { cert: string; key: string } {
  const read = (flag: string, file: string): string => {
    try {
      return textOf(file);
    } catch (error) {
      throw new CicadaError("BAD_SETTING", `${flag} ${file}: ${formatError(error)}`);
    }
  };
  return { cert: read("--tls-cert", cert), key: read("--tls-key", key) };
}
