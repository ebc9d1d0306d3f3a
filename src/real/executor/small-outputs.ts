/**
 * Outputs that lie in the database because they are small (DESIGN §8): this peer's own, and copies of others'.
 *
 * An output of this peer is stored in the same turn in which the end of its run is reported, so that both share one
 * fsync. Copies are gathered for a while and stored together: nobody waits for them, and one that is lost with this peer
 * was never confirmed. Until an output is stored, it is read from memory.
 */
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { CicadaError } from "../../errors.ts";
import { smallOutputBytes, type Disk, type Write } from "../../ports/disk.ts";
import type { RunId } from "../../schema/ids.ts";
import { checkStatedSize, statedSize } from "./copies.ts";

/** More costs memory, and loses more copies with this peer; less costs more fsyncs, for which claims wait. */
const gatheredMs = 5_000;

export class SmallOutputs {
  private readonly disk: Pick<Disk, "store" | "output">;
  /** not yet stored */
  private readonly underWay = new Map<RunId, Uint8Array>();
  private gathered: Gathered | undefined;

  constructor(disk: Pick<Disk, "store" | "output">) {
    this.disk = disk;
  }

  /** Resolves when it is durable. */
  store(run: RunId, output: Uint8Array): Promise<void> {
    this.underWay.set(run, output);
    return this.write([run]);
  }

  /** The same, up to `gatheredMs` later, together with others. */
  storeSoon(run: RunId, output: Uint8Array): Promise<void> {
    this.underWay.set(run, output);
    this.gathered ??= this.gather();
    this.gathered.runs.push(run);
    return this.gathered.stored;
  }

  /** An output that is not stored yet. */
  unstored(run: RunId): Uint8Array | undefined {
    return this.underWay.get(run);
  }

  async read(run: RunId): Promise<Uint8Array | undefined> {
    const output = this.underWay.get(run);
    if (output !== undefined) return output;
    return new Promise((resolve, reject) => {
      this.disk.output(run, (found) => (found instanceof CicadaError ? reject(found) : resolve(found)));
    });
  }

  /** Hands what was gathered to the disk at once. */
  flush(): void {
    this.gathered?.flush();
  }

  private gather(): Gathered {
    const { promise: stored, resolve } = Promise.withResolvers<void>();
    const runs: RunId[] = [];
    const flush = (): void => {
      clearTimeout(timer);
      this.gathered = undefined;
      resolve(this.write(runs));
    };
    const timer = setTimeout(flush, gatheredMs).unref();
    return { runs, stored, flush };
  }

  private async write(runs: readonly RunId[]): Promise<void> {
    const writes = runs.flatMap((run): Write[] => {
      const bytes = this.underWay.get(run);
      return bytes === undefined ? [] : [{ kind: "output", run, bytes }];
    });
    const error = await new Promise<CicadaError | undefined>((done) => this.disk.store(writes, done));
    for (const run of runs) this.underWay.delete(run);
    if (error !== undefined) throw error;
  }
}

interface Gathered {
  runs: RunId[];
  stored: Promise<void>;
  flush(): void;
}

const pack: (output: Uint8Array) => Promise<Uint8Array> = promisify(gzip);
const unpack = promisify(gunzip);

/** Gzipped; `too-large` when that takes more than the cap. */
export async function packSmall(output: Uint8Array, capBytes: number): Promise<Uint8Array | "too-large"> {
  const packed = await pack(output);
  return packed.length > capBytes ? "too-large" : packed;
}

/**
 * The output in a gzip file that states that it holds a small one; undefined for a larger one. Rejects bytes that are
 * not gzip, or that unpack to another size than stated.
 */
export async function unpackSmall(packed: Uint8Array): Promise<Uint8Array | undefined> {
  if (statedSize(packed) > smallOutputBytes) return undefined;
  const output = await unpack(packed, { maxOutputLength: smallOutputBytes });
  checkStatedSize(packed, output.length);
  return output;
}
