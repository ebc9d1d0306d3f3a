/** A job as YAML in a file of its own, which an editor opens. The file stays until `remove` is called. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { stringify } from "yaml";
import { CicadaError } from "../../errors.ts";
import { formatError, isSystemError } from "./client.ts";
import type { Terminal } from "./terminal.ts";
import { readTextFile } from "./text-file.ts";

const heading = "# Save and close to change the job. Close without a change to leave it as it is.\n";
/** Lines that a refusal has put there, and that the next one replaces. */
const refusalMark = "# refused: ";

export class Draft {
  readonly path: string;
  readonly #editor: string;
  readonly #terminal: Terminal;
  #opened: string;
  /** Somebody has changed the text, so it is not thrown away. */
  #isEdited = false;

  /** Throws USAGE if no editor can be opened here; nothing is written then. */
  constructor(id: string, job: Readonly<Record<string, unknown>>, terminal: Terminal) {
    this.#terminal = terminal;
    this.#editor = chosenEditor(terminal);
    this.path = join(mkdtempSync(join(tmpdir(), "cicada-edit-")), `${id}.yaml`);
    this.#opened = `${heading}${stringify(job)}`;
    writeFileSync(this.path, this.#opened, { mode: 0o600 });
  }

  /** Opens the editor; false if the text was left as it was, or emptied. Throws USAGE if the editor fails. */
  open(): boolean {
    // $EDITOR may contain arguments (`code --wait`), so a shell splits it, as git and crontab do.
    const ended = spawnSync("/bin/sh", ["-c", `${this.#editor} "$1"`, "sh", this.path], {
      stdio: [this.#terminal.ask === undefined ? "ignore" : "inherit", "inherit", "inherit"],
      env: { ...this.#terminal.env },
    });
    const text = this.text();
    const isChanged = text !== this.#opened && text.trim() !== "";
    this.#isEdited ||= isChanged;
    if (ended.status === 0) return isChanged;
    const why = isSystemError(ended.error)
      ? formatError(ended.error)
      : `it exited with ${ended.status ?? ended.signal}`;
    if (!this.#isEdited) this.remove();
    const kept = this.#isEdited ? `; what was saved is kept in ${this.path}` : "";
    throw new CicadaError(
      "USAGE",
      `the editor "${this.#editor}" failed: ${why}; set EDITOR to one that works${kept}`,
    );
  }

  get isEdited(): boolean {
    return this.#isEdited;
  }

  text(): string {
    return readTextFile(this.path);
  }

  /** Writes the refusal on top of the text, for the next time that it is opened. */
  explain(error: CicadaError): void {
    const reasons =
      error.problems.length === 0
        ? [error.message]
        : error.problems.map(({ pointer, message }) => `${pointer} ${message}`.trim());
    const text = this.text()
      .split("\n")
      .filter((line) => !line.startsWith(refusalMark))
      .join("\n");
    const lines = reasons.flatMap((reason) => reason.split("\n")).map((line) => `${refusalMark}${line}\n`);
    this.#opened = `${lines.join("")}${text}`;
    writeFileSync(this.path, this.#opened);
  }

  remove(): void {
    rmSync(dirname(this.path), { recursive: true, force: true });
  }
}

/** Editors that need a screen. Without one they hang or leave the text in a strange state. */
const onScreen = "vi vim nvim view nano pico emacs micro hx helix joe ne mcedit mg kak".split(" ");

function chosenEditor({ env, ask }: Terminal): string {
  const editor = env["VISUAL"] || env["EDITOR"] || "vi";
  const [program = ""] = editor.trim().split(/\s+/);
  if (ask !== undefined || !onScreen.includes(basename(program))) return editor;
  throw new CicadaError(
    "USAGE",
    `${editor} needs a terminal, and there is none here: give the fields to change as flags, or use jobs create -f FILE --update`,
  );
}
