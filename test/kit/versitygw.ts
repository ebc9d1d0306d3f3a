/** Versity's S3 gateway, a real S3 server that verifies signatures, in a temporary folder: one folder in it is one bucket. */
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { freePort, Started, until } from "./cluster.ts";

const name = "versitygw";
export const howToGet = `go install github.com/versity/${name}/cmd/${name}@v1.8.0`;

/** Where the program is; undefined = it is not on PATH. */
export const versitygw = (process.env["PATH"] ?? "")
  .split(delimiter)
  .map((folder) => join(folder, name))
  .find(isProgram);

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

export const s3Keys = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG" };

/** One server, which can be stopped and started again at the same address with the same objects. */
export class Versitygw implements AsyncDisposable {
  readonly #folder: string;
  readonly #port: number;
  #process: Started | undefined;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
  }

  static async start(folder: string): Promise<Versitygw> {
    const server = new Versitygw(folder, await freePort());
    for (const part of ["buckets", "metadata"]) mkdirSync(join(folder, part), { recursive: true });
    await server.start();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    if (versitygw === undefined) throw new Error(`${name} is not on PATH: ${howToGet}`);
    const { accessKeyId, secretAccessKey } = s3Keys;
    const server = [
      "--access",
      accessKeyId,
      "--secret",
      secretAccessKey,
      "--port",
      `127.0.0.1:${this.#port}`,
    ];
    const more = ["--quiet", "--health", "/health", "--virtual-domain", "s3.us-east-1.amazonaws.com"];
    const files = ["posix", "--sidecar", join(this.#folder, "metadata"), join(this.#folder, "buckets")];
    this.#process = new Started(versitygw, [...server, ...more, ...files], { PATH: process.env["PATH"] });
    await until(`${name} answers`, 30_000, async () => {
      const reply = await fetch(`${this.url}/health`).catch(() => undefined);
      return reply?.ok;
    });
  }

  async stop(): Promise<void> {
    this.#process?.child.kill("SIGTERM");
    await this.#process?.ended;
    this.#process = undefined;
  }

  makeBucket(bucket: string): void {
    mkdirSync(join(this.#folder, "buckets", bucket));
  }

  /** The keys of the bucket's objects. */
  keys(bucket: string): string[] {
    const folder = join(this.#folder, "buckets", bucket);
    if (!existsSync(folder)) return [];
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name: file }) => join(parentPath, file).slice(folder.length + 1));
  }

  /** What a run has written, unpacked. */
  text(bucket: string, key: string): string {
    return gunzipSync(readFileSync(join(this.#folder, "buckets", bucket, key))).toString();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
