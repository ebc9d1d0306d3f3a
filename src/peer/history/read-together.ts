/**
 * Reads of single jobs that are asked for in the same turn become one question to the disk: a list of thousands of jobs would
 * otherwise send as many messages to the disk's thread, and each of them costs this thread a tenth of a millisecond.
 */
const jobsMost = 100;

interface Asked<One, Found> {
  of: One;
  resolve: (found: Found) => void;
  reject: (error: unknown) => void;
}

export class ReadTogether<One, Found> {
  readonly #read: (all: readonly One[]) => Promise<readonly Found[]>;
  #asked: Asked<One, Found>[] = [];

  /** `read` answers in the order of what it is asked for. */
  constructor(read: (all: readonly One[]) => Promise<readonly Found[]>) {
    this.#read = read;
  }

  of(one: One): Promise<Found> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ of: one, resolve, reject });
      if (this.#asked.length === 1) void this.#sendSoon();
      else if (this.#asked.length === jobsMost) void this.#send();
    });
  }

  async #sendSoon(): Promise<void> {
    await Promise.resolve();
    if (this.#asked.length > 0) await this.#send();
  }

  async #send(): Promise<void> {
    const asked = this.#asked;
    this.#asked = [];
    try {
      const found = await this.#read(asked.map(({ of }) => of));
      for (const [index, { resolve }] of asked.entries()) resolve(found[index] as Found);
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
  }
}
