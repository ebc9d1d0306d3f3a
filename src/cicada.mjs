#!/usr/bin/env node
/**
 * The door of the program, in plain JavaScript that any Node can read: a Node that is too old gets a polite word
 * instead of a syntax error in the first TypeScript file.
 */
const oldestMajor = 24;
const major = Number(process.versions.node.split(".")[0]);

if (major < oldestMajor) {
  process.stderr.write(
    `cicada needs Node ${oldestMajor} or newer; this is ${process.versions.node}, at ${process.execPath}.\n` +
      "In a clone, `npm ci` brings the right one along: use `npm start -- FLAGS` or `npm run cicada -- ARGS`.\n",
  );
  process.exitCode = 1;
} else {
  const { main } = await import("./main.ts");
  await main(process.argv.slice(2));
}
