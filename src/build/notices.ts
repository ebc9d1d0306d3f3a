/** Collects the licences of the packages in the bundle, which have to be published with it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface BundledPackage {
  /** `name@version` */
  name: string;
  /** as its package.json says, an SPDX expression */
  license: string;
  author: string;
  /** its files LICENSE, NOTICE and the like */
  texts: readonly string[];
}

/** The packages that these files (relative to `root`) belong to, each once, by name. */
export function packagesOf(root: string, files: readonly string[]): BundledPackage[] {
  const folders = files.map((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]);
  return [...new Set(folders)]
    .filter((folder) => folder !== undefined)
    .map((folder) => readPackage(join(root, folder)))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function readPackage(folder: string): BundledPackage {
  const described = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, unknown>;
  const { name, version, license, author } = described;
  if (typeof license !== "string")
    throw new Error(`${folder}: package.json names no licence: look what it permits`);
  const texts = readdirSync(folder)
    .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
    .map((file) => readFileSync(join(folder, file), "utf8").trim());
  return { name: `${String(name)}@${String(version)}`, license, author: nameOf(author), texts };
}

function nameOf(author: unknown): string {
  if (typeof author === "object" && author !== null && "name" in author) return String(author.name);
  return typeof author === "string" && author !== "" ? author : "its authors";
}

/** Each text once, below the packages that come with it, or that name its licence and come without a text. */
export function formatNotices(packages: readonly BundledPackage[], ownLicense: string): string {
  const packagesByText = new Map<string, string[]>();
  const add = (text: string, line: string): void => {
    packagesByText.set(text, [...(packagesByText.get(text) ?? []), line]);
  };
  const all = packages.flatMap(({ texts }) => texts);
  const standard: Readonly<Record<string, string | undefined>> = {
    "Apache-2.0": all.find((text) => /^\s*Apache License\s+Version 2\.0/.test(text)),
    MIT: ownLicense.slice(ownLicense.indexOf("Permission is hereby granted")).trim(),
  };
  for (const { name, license, author, texts } of [...packages, swaggerUi]) {
    for (const text of texts) add(text, `${name} (${license})`);
    if (texts.length > 0) continue;
    const text = standard[license.split(" OR ")[0] ?? ""];
    if (text === undefined) throw new Error(`${name}: no text of its licence ${license} was found`);
    add(text, `${name} (${license}), copyright ${author}`);
  }
  const rule = `\n\n${"-".repeat(80)}\n\n`;
  const parts = [...packagesByText].map(([text, names]) => `${names.join("\n")}\n\n${text}`);
  return `${["The files below dist/ contain these packages, under these licences.", ...parts].join(rule)}\n`;
}

/** @fastify/swagger-ui brings its files along without its licence. */
const swaggerUi: BundledPackage = {
  name: "swagger-ui-dist, as @fastify/swagger-ui has it",
  license: "Apache-2.0",
  author: "SmartBear Software Inc. and others (https://github.com/swagger-api/swagger-ui)",
  texts: [],
};
