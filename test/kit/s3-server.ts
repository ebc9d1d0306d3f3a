/**
 * A small S3 store for tests. It computes each request's signature with another implementation than the peer's, and refuses a
 * request whose signature, body hash or date is not right, as S3 does.
 */
import { SignatureV4 } from "@smithy/signature-v4";
import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";

/** How far a request's date may be off, ms (S3 allows 15 minutes). */
const skewMaxMs = 900_000;

interface Keys {
  accessKeyId: string;
  secretAccessKey: string;
}

interface StoredObject {
  body: Buffer;
  headers: IncomingHttpHeaders;
}

export class S3Server implements AsyncDisposable {
  /** by bucket and key */
  readonly objects = new Map<string, StoredObject>();
  badSignatures = 0;
  /** what it answers to every request; undefined = it works */
  refuses: { status: number; code: string } | undefined;
  readonly #server: Server;
  readonly #keys: Keys;
  url = "";

  private constructor(keys: Keys) {
    this.#keys = keys;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async listen(keys: Keys): Promise<S3Server> {
    const store = new S3Server(keys);
    store.#server.listen(0, "127.0.0.1");
    await once(store.#server, "listening");
    const address = store.#server.address();
    store.url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
    return store;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, code } = await this.#answer(request);
    response.writeHead(status, { "content-type": "application/xml" });
    const message = "the &#34;key&#x22; &amp; no";
    response.end(
      code === undefined ? "" : `<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
    );
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; code?: string }> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    if (this.refuses !== undefined) return this.refuses;
    if (request.method !== "PUT") return { status: 405, code: "MethodNotAllowed" };
    if (!(await this.#isSigned(request, body))) {
      this.badSignatures += 1;
      return { status: 403, code: "SignatureDoesNotMatch" };
    }
    this.objects.set(decodeURIComponent(request.url ?? "").slice(1), { body, headers: request.headers });
    return { status: 200 };
  }

  async #isSigned({ method = "", url = "", headers }: IncomingMessage, body: Buffer): Promise<boolean> {
    const given = /Credential=([^/]+)\/\d{8}\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), /.exec(
      headers.authorization ?? "",
    );
    if (given === null) return false;
    const [, id = "", region = "", names = ""] = given;
    const stamp = String(headers["x-amz-date"]);
    const at = new Date(stamp.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)$/, "$1-$2-$3:$4:$5"));
    const isNow = Math.abs(Date.now() - at.getTime()) < skewMaxMs;
    const isWhole = headers["x-amz-content-sha256"] === createHash("sha256").update(body).digest("hex");
    if (!isNow || !isWhole || id !== this.#keys.accessKeyId) return false;
    const signer = new SignatureV4({
      credentials: this.#keys,
      region,
      service: "s3",
      sha256: Sha256,
      uriEscapePath: false,
    });
    const { host = "" } = headers;
    const signed = await signer.sign(
      {
        method,
        protocol: "http:",
        hostname: host,
        path: url,
        headers: Object.fromEntries(names.split(";").map((name) => [name, String(headers[name])])),
        body,
      },
      { signingDate: at },
    );
    return signed.headers["authorization"] === headers.authorization;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** SHA-256 in the form that @smithy/signature-v4 takes. */
class Sha256 {
  readonly #hash: ReturnType<typeof createHmac | typeof createHash>;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash =
      secret === undefined ? createHash("sha256") : createHmac("sha256", secret as Uint8Array | string);
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(data as Uint8Array | string);
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }

  reset(): void {
    throw new Error("each signature uses a new one");
  }
}
