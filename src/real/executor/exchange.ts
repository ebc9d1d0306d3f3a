/**
 * The files through which a run and its peer exchange values: $CICADA_OUTPUT, which the run may write, and $CICADA_PARENTS,
 * which it reads if it runs after others. A run of another user gets them in a folder of that user's, because it may not enter
 * the peer's.
 *
 * The run's user owns what lies there, and the launcher may be root. So what is read must be a plain file of that user: a link or a
 * pipe that the run has put in its place is refused.
 */
import {
  chownSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Written } from "../../ports.ts";
import { isSystemError } from "../folder/files.ts";
import type { As } from "./users.ts";

/** As in schema/run.ts `outputsMaxBytes`, which the launcher doesn't load. */
const readMaxBytes = 65_536;

/** Makes the folder, without what an earlier launcher has left in it. */
export function openExchange(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
}

export class Exchange {
  readonly env: Readonly<Record<string, string>>;
  readonly #output: string;
  readonly #parents: string;
  /** the folder, if it was made for this run */
  readonly #own: string | undefined;
  readonly #uid: number | undefined;

  /** `name`: of the run's files in `folder`. `parents`: the text for $CICADA_PARENTS; "" = none. */
  constructor(folder: string, name: string, parents: string, as: As | undefined) {
    const other = as === undefined || as.prefix.length === 0 ? undefined : as.user;
    this.#own = other === undefined ? undefined : mkdtempSync(join(tmpdir(), "cicada-run-"));
    this.#uid = other?.uid ?? process.getuid?.();
    const base = join(this.#own ?? folder, this.#own === undefined ? name : "run");
    this.#output = `${base}.output`;
    this.#parents = `${base}.parents.json`;
    if (parents !== "") writeFileSync(this.#parents, parents, { mode: 0o600, flag: "wx" });
    if (other !== undefined && this.#own !== undefined) {
      if (parents !== "") chownSync(this.#parents, other.uid, other.gid);
      chownSync(this.#own, other.uid, other.gid);
    }
    this.env = { CICADA_OUTPUT: this.#output, ...(parents === "" ? {} : { CICADA_PARENTS: this.#parents }) };
  }

  /** What the run has written, once; undefined = nothing. The files are removed. */
  take(): Written | undefined {
    try {
      return this.#read();
    } finally {
      this.discard();
    }
  }

  discard(): void {
    try {
      if (this.#own !== undefined) return rmSync(this.#own, { recursive: true, force: true });
      for (const path of [this.#output, this.#parents]) rmSync(path, { recursive: true, force: true });
    } catch {
      // What stays is removed by the next launcher, or with the host's temporary files.
    }
  }

  #read(): Written | undefined {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    let file: number;
    try {
      file = openSync(this.#output, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      if (isSystemError(error) && error.code === "ENOENT") return undefined;
      return {
        text: "",
        isCut: false,
        fault: `it can't be read (${isSystemError(error) ? error.code : String(error)})`,
      };
    }
    try {
      const { uid, size } = fstatSync(file);
      if (!fstatSync(file).isFile() || (this.#uid !== undefined && uid !== this.#uid))
        return { text: "", isCut: false, fault: "it is not a plain file of the run's user" };
      const buffer = Buffer.alloc(Math.min(size, readMaxBytes));
      const length = readSync(file, buffer, 0, buffer.length, 0);
      return { text: buffer.toString("utf8", 0, length), isCut: size > readMaxBytes };
    } catch (error) {
      return {
        text: "",
        isCut: false,
        fault: `it can't be read (${isSystemError(error) ? error.code : String(error)})`,
      };
    } finally {
      closeSync(file);
    }
  }
}
