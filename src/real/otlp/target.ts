/** Where spans are sent: read from the variables that OpenTelemetry's specification names (OTLP exporter configuration). */
import { CicadaError } from "../../errors.ts";

export interface OtlpTarget {
  url: string;
  headers: Readonly<Record<string, string>>;
  timeoutMs: number;
  serviceName: string;
  /** further attributes of the resource */
  attributes: Readonly<Record<string, string>>;
}

const defaultTimeoutMs = 10_000;
const longestTimeoutMs = 60_000;

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Undefined: no endpoint is given, or tracing is off. `unsupported`: an endpoint is given with a protocol that cicada doesn't
 * speak; jobs run all the same. Throws a CicadaError for an endpoint that can't be one.
 */
export function otlpTarget(env: Env): OtlpTarget | { unsupported: string } | undefined {
  const ofTraces = read(env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
  const base = read(env, "OTEL_EXPORTER_OTLP_ENDPOINT");
  if (ofTraces === undefined && base === undefined) return undefined;
  if (read(env, "OTEL_SDK_DISABLED")?.toLowerCase() === "true") return undefined;
  if (read(env, "OTEL_TRACES_EXPORTER") === "none") return undefined;
  const protocol = either(env, "PROTOCOL");
  if (protocol === "grpc") {
    return {
      unsupported:
        "OTEL_EXPORTER_OTLP_PROTOCOL is grpc, so no spans are sent: this peer speaks OTLP over HTTP (a collector's port 4318)",
    };
  }
  const url =
    ofTraces === undefined
      ? parseUrl(`${(base ?? "").replace(/\/+$/u, "")}/v1/traces`, "OTEL_EXPORTER_OTLP_ENDPOINT")
      : parseUrl(ofTraces, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
  const { "service.name": named, ...attributes } = pairs(read(env, "OTEL_RESOURCE_ATTRIBUTES"));
  const timeout = Number(either(env, "TIMEOUT") ?? defaultTimeoutMs);
  return {
    url,
    headers: pairs(either(env, "HEADERS")),
    timeoutMs: timeout > 0 ? Math.min(timeout, longestTimeoutMs) : defaultTimeoutMs,
    serviceName: read(env, "OTEL_SERVICE_NAME") ?? named ?? "cicada",
    attributes,
  };
}

/** A variable for traces alone comes before the one for all signals. */
function either(env: Env, what: string): string | undefined {
  return read(env, `OTEL_EXPORTER_OTLP_TRACES_${what}`) ?? read(env, `OTEL_EXPORTER_OTLP_${what}`);
}

function read(env: Env, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === "" ? undefined : value;
}

function parseUrl(text: string, name: string): string {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    throw new CicadaError("BAD_SETTING", `${name}: give an address such as http://localhost:4318`);
  }
  return url.href;
}

/** `a=1,b=2`, percent-encoded. A pair that isn't one is left out, as the specification asks. */
function pairs(text = ""): Record<string, string> {
  const found = text.split(",").map((pair) => /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/u.exec(pair));
  return Object.fromEntries(
    found.flatMap((match) => (match === null ? [] : [[match[1] ?? "", decoded(match[2] ?? "")]])),
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
