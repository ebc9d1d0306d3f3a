/** Writes one source's output into its run's file, with its secrets masked. */
import type { Masker, MaskStream } from "./masker.ts";

interface File {
  write(bytes: Buffer): void;
  readonly isPastCap: boolean;
  readonly writtenBytes: number;
}

export class MaskedFile {
  readonly #file: File;
  readonly #masker: Masker | undefined;
  #stream: MaskStream | undefined;

  /** `masker`: undefined = the run has no secrets */
  constructor(file: File, masker: Masker | undefined) {
    this.#file = file;
    this.#masker = masker;
  }

  get isPastCap(): boolean {
    return this.#file.isPastCap;
  }

  write(bytes: Buffer): void {
    if (this.#masker === undefined) return this.#file.write(bytes);
    this.#stream ??= this.#masker.stream();
    this.#file.write(this.#stream.push(bytes));
  }

  /** Writes what is held back, because what follows can't complete a secret with it. Returns how much the file has been given. */
  flush(): number {
    if (this.#stream !== undefined) this.#file.write(this.#stream.end());
    this.#stream = undefined;
    return this.#file.writtenBytes;
  }
}
