/** What an event of Cronicle runs: a script of its shell plugin, or a request of its HTTP plugin. */
import { basename } from "node:path";
import { isObject, unread, wordOf, type Draft } from "./drafts.ts";
import type { Fields } from "./cronicle-file.ts";

export function actionOfEvent(
  event: Fields,
  plugins: ReadonlyMap<string, Fields>,
  draft: Draft,
  user: string | undefined,
): Fields {
  const plugin = wordOf(event["plugin"]);
  const params = isObject(event["params"]) ? event["params"] : {};
  if (plugin === "urlplug") return requestOf(params, draft);
  if (plugin !== "shellplug") {
    draft.refuse(`the plugin ${JSON.stringify(plugin)} has no counterpart: shellplug and urlplug are known`);
  }
  const uid = plugins.get(plugin)?.["uid"];
  const runsAs = typeof uid === "string" || typeof uid === "number" ? String(uid) : "";
  if (params["json"] === 1 || params["json"] === true) {
    draft.note(
      "the JSON that it prints (progress, figures, data for a chain) is kept as output and not read",
    );
  }
  const others = unread(params, ["script", "annotate", "json"]);
  if (others.length > 0) draft.note(`not carried over of params: ${others.join(", ")}`);
  return { ...scriptOf(wordOf(params["script"]), draft), user: runsAs || user };
}

/** How each interpreter takes its program as an argument. */
const programFlags: readonly (readonly [RegExp, string])[] = [
  [/^(ba|da|z|k|a)?sh$/, "-c"],
  [/^python[\d.]*$/, "-c"],
  [/^(perl|ruby|node|nodejs)[\d.]*$/, "-e"],
];

function scriptOf(script: string, draft: Draft): Fields {
  if (script.trim() === "") draft.refuse("its script is empty");
  const text = script.replaceAll("\r\n", "\n");
  const [, line = ""] = /^#!\s*([^\n]*)/.exec(text) ?? [];
  const words = line
    .trim()
    .split(/\s+/)
    .filter((word) => word !== "");
  const isEnv = basename(words[0] ?? "") === "env";
  const named = isEnv ? words.slice(1).filter((word) => word !== "-S") : words;
  const [interpreter = "/bin/sh", ...flags] = named;
  if (interpreter === "/bin/sh" && flags.length === 0) return { command: text };
  const flag = programFlags.find(([pattern]) => pattern.test(basename(interpreter)))?.[1];
  if (flag === undefined) {
    draft.refuse(
      `its script is for ${interpreter}: upload it (jobs create --script FILE --interpreter ${basename(interpreter)})`,
    );
  }
  return { argv: [interpreter, ...flags, flag, text] };
}

const requestFields =
  "method url headers data timeout connect_timeout idle_timeout follow ssl_cert_bypass success_match error_match annotate".split(
    " ",
  );

function requestOf(params: Fields, draft: Draft): Fields {
  const text = (name: string) => {
    const value = params[name];
    return typeof value === "string" || typeof value === "number" ? wordOf(value) : "";
  };
  if (/\[\/?\w/.test(`${text("url")}${text("headers")}${text("data")}`)) {
    draft.disable("its [placeholders] are not filled in: write what they stand for, then enable it");
  }
  const others = unread(params, requestFields);
  if (others.length > 0) draft.note(`not carried over of params: ${others.join(", ")}`);
  const headers: Record<string, string> = {};
  for (const line of text("headers")
    .split(/\r?\n/)
    .filter((one) => one.trim() !== "")) {
    const [, name, value = ""] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined) draft.addRefusal(`the header ${line} is not NAME: VALUE`);
    else headers[name.trim()] = value.trim();
  }
  const on = (name: string) => params[name] === 1 || params[name] === true || params[name] === "1";
  return {
    http: {
      method: (text("method") || "GET").toUpperCase(),
      url: text("url"),
      ...(Object.keys(headers).length === 0 ? {} : { headers }),
      ...(text("data") === "" ? {} : { body: text("data") }),
      ...(/^[1-9]\d*$/.test(text("timeout")) ? { timeout: `${text("timeout")}s` } : {}),
      expectStatus: [200, 201, 202, 203, 204, 205, 206],
      ...(text("success_match") === "" ? {} : { expectBody: text("success_match") }),
      ...(on("follow") ? { followRedirects: true } : {}),
      ...(on("ssl_cert_bypass") ? { insecureTls: true } : {}),
    },
    ...(text("error_match") === "" ? {} : { success: { mustNotMatch: text("error_match") } }),
  };
}
