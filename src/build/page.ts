/** Builds the dashboard (src/ui), which every peer serves from `dist/ui/`: by itself, or as a part of build.ts. */
import { join } from "node:path";
import { build } from "vite";

const root = join(import.meta.dirname, "..", "..");

/** Returns the files that are in the page, relative to the root, for their licences. */
export async function buildPage(folder: string): Promise<string[]> {
  const inputs = new Set<string>();
  await build({
    configFile: false,
    root: join(root, "src", "ui"),
    publicDir: false,
    logLevel: "warn",
    plugins: [
      {
        name: "inputs",
        moduleParsed: ({ id }) => void inputs.add(id.slice(root.length + 1)),
      },
      {
        // The schema by which js-yaml writes unless another is given. It is made by a method, which can't be named below.
        name: "unused schema",
        transform: (code, id) =>
          id.includes("/js-yaml/")
            ? code.replace("YAML11_SCHEMA.withTags(", "/* @__PURE__ */ YAML11_SCHEMA.withTags(")
            : undefined,
      },
    ],
    build: {
      outDir: folder,
      emptyOutDir: true,
      target: "es2024",
      // The page's policy allows neither inline scripts nor data URLs.
      modulePreload: { polyfill: false },
      assetsInlineLimit: 0,
      // js-yaml's: the tags and schemas that aren't used are left out.
      rolldownOptions: {
        treeshake: {
          manualPureFunctions: ["defineScalarTag", "defineSequenceTag", "defineMappingTag", "Schema"],
        },
      },
    },
  });
  return [...inputs];
}

if (import.meta.main) await buildPage(join(root, "dist", "ui"));
