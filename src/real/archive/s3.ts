/**
 * Outputs in an S3-compatible store: one object for each run that wrote something, gzipped, under `PREFIX/JOB/RUN.log`. It is
 * signed anew at each try (AWS Signature Version 4), because a signature is good for minutes only. Writing the same object again
 * changes nothing, so a repeated try does no harm.
 *
 * Credentials, region and endpoint come from the variables that AWS's own tools read. Not read: ~/.aws, and the credentials that
 * a cloud machine can ask for.
 */
import { AwsV4Signer } from "aws4fetch";
import { createHash } from "node:crypto";
import { CicadaError } from "../../errors.ts";
import { runId } from "../../schema/ids.ts";
import type { RunRecord } from "../../schema/run.ts";
import { describeFetchFailure, readSome } from "../fetch-answer.ts";
import type { Sent } from "./queue.ts";

/** Longest try, ms: the largest output over a slow line. */
const triedMs = 60_000;
/** How much of a refusing answer is read. */
const readChars = 4_096;
/** Refusals of one object, and not of the caller or the bucket: trying the same object again is of no use. */
const refusesObject: ReadonlySet<number> = new Set([400, 412, 413, 414, 422]);
/**
 * What S3 answers with status 400 although the object is not at fault: credentials that have expired, another region, or a request
 * that was damaged on its way. A person can mend that, or the next try does, so the outputs wait.
 */
const refusesCaller: ReadonlySet<string> = new Set([
  "AuthorizationHeaderMalformed",
  "BadDigest",
  "ExpiredToken",
  "IllegalLocationConstraintException",
  "IncompleteBody",
  "IncompleteSignature",
  "InvalidAccessKeyId",
  "InvalidBucketName",
  "InvalidRegion",
  "InvalidToken",
  "RequestExpired",
  "RequestTimeout",
  "TokenRefreshRequired",
  "XAmzContentSHA256Mismatch",
]);

export interface S3Address {
  bucket: string;
  /** without slashes at its ends; may be empty */
  prefix: string;
}

export interface S3Store extends S3Address {
  endpoint: URL;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string | undefined;
}

/** Throws BAD_SETTING if there are no credentials, or the endpoint is no address. */
export function s3StoreOf(address: S3Address, env: Readonly<Record<string, string | undefined>>): S3Store {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
  if (!accessKeyId || !secretAccessKey) {
    throw new CicadaError(
      "BAD_SETTING",
      "--archive needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the peer's environment",
    );
  }
  const region = env["AWS_REGION"] || env["AWS_DEFAULT_REGION"] || "us-east-1";
  const given = env["AWS_ENDPOINT_URL_S3"] || env["AWS_ENDPOINT_URL"];
  const endpoint = URL.parse(given ?? `https://s3.${region}.amazonaws.com`);
  if (endpoint === null || !/^https?:$/.test(endpoint.protocol)) {
    throw new CicadaError(
      "BAD_SETTING",
      `AWS_ENDPOINT_URL is ${JSON.stringify(given)}: give an address such as http://127.0.0.1:9000`,
    );
  }
  const sessionToken = env["AWS_SESSION_TOKEN"] || undefined;
  return { ...address, endpoint, region, accessKeyId, secretAccessKey, sessionToken };
}

export async function putObject(
  store: S3Store,
  record: RunRecord,
  gzip: Uint8Array,
  stop: AbortSignal,
): Promise<Sent> {
  try {
    const request = await signedPut(store, record, gzip, new Date());
    const signal = AbortSignal.any([stop, AbortSignal.timeout(triedMs)]);
    const { url, headers, body } = request;
    const response = await fetch(url, { method: "PUT", headers, body, signal, redirect: "manual" });
    const text = await readSome(response, readChars);
    if (response.ok) return "sent";
    const { code, message } = refusalIn(text);
    return {
      failed: `${store.endpoint.host} answered ${response.status}${describe(code, message)}`,
      refused: refusesObject.has(response.status) && !refusesCaller.has(code ?? ""),
    };
  } catch (error) {
    return { failed: `${store.endpoint.host}: ${describeFetchFailure(error, triedMs)}`, refused: false };
  }
}

/** The request that puts a run's output there, with its signature of that moment. */
export async function signedPut(
  store: S3Store,
  record: RunRecord,
  gzip: Uint8Array,
  at: Date,
): Promise<{ url: URL; headers: Headers; body: Uint8Array<ArrayBuffer> }> {
  const body = new Uint8Array(gzip);
  const { region, accessKeyId, secretAccessKey, sessionToken } = store;
  const signer = new AwsV4Signer({
    method: "PUT",
    url: objectUrl(store, keyOf(store, record)),
    headers: {
      "content-encoding": "gzip",
      "content-type": "text/plain; charset=utf-8",
      "x-amz-content-sha256": createHash("sha256").update(body).digest("hex"),
      "x-amz-meta-cicada-state": record.state,
      ...(record.exitCode === undefined ? {} : { "x-amz-meta-cicada-exit-code": String(record.exitCode) }),
      ...(record.finishedAt === undefined
        ? {}
        : { "x-amz-meta-cicada-finished-at": new Date(record.finishedAt).toISOString() }),
    },
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    service: "s3",
    region,
    datetime: at.toISOString().replaceAll(/[:-]|\.\d{3}/g, ""),
  });
  const { url, headers } = await signer.sign();
  return { url, headers, body };
}

/** The object of a run: its job's folder, and in it the run's own id, which holds `@`, `:` and `~`, and may hold `#`. */
export function keyOf({ prefix }: S3Address, record: RunRecord): string {
  return [...(prefix === "" ? [] : [prefix]), record.job, `${runId(record)}.log`].join("/");
}

/**
 * At AWS the bucket is part of the host's name. At other stores it is in the path, and so is a bucket with dots in its name,
 * because AWS's certificate doesn't cover that host. Everything but unreserved characters and slashes is percent-encoded, so that
 * no reader of the address takes a part of the key for something else.
 */
export function objectUrl({ endpoint, bucket }: S3Store, key: string): string {
  const isAws = /\.amazonaws\.com(\.cn)?$/.test(endpoint.hostname);
  const base = endpoint.pathname.replace(/\/+$/, "");
  const path = key.split("/").map(encodeStrictly).join("/");
  if (isAws && !bucket.includes("."))
    return `${endpoint.protocol}//${bucket}.${endpoint.host}${base}/${path}`;
  return `${endpoint.origin}${base}/${bucket}/${path}`;
}

function encodeStrictly(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** What S3's XML says. A store may answer anything, and this is logged. */
function refusalIn(xml: string): { code: string | undefined; message: string | undefined } {
  const part = (name: string) => {
    const text = new RegExp(`<${name}>([^<]{1,400})</${name}>`).exec(xml)?.[1];
    return text === undefined ? undefined : unescapeXml(text).replaceAll(/\p{Cc}+/gu, " ");
  };
  return { code: part("Code"), message: part("Message") };
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replaceAll(/&(?:#(\d{1,6})|#x([0-9a-f]{1,5})|([a-z]{2,4}));/gi, (all, decimal, hex, name) => {
    if (name !== undefined) return entities[name] ?? all;
    return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal));
  });
}

function describe(code: string | undefined, message: string | undefined): string {
  return code === undefined ? "" : `: ${code}${message === undefined ? "" : ` (${message})`}`;
}
