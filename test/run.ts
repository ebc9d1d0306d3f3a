/**
 * `npm test`: runs the test files that the patterns name, several at once, each in a process of its own.
 *
 * Some files start peers or a browser and mostly wait, others mostly compute. By name the first kind stands together, so that
 * the cores would be idle for minutes, and overloaded later. Therefore each kind is spread evenly over the other, and in each
 * those that take longest come first, so that none of them is left alone at the end.
 */
import { globSync } from "node:fs";
import path from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";

/** More shortens the waits for peers, and takes the cores from tests that compare times. */
const atOnce = 4;
const limitMs = 600_000;

const waits = /^(cluster|faults-|page-|trust|mesh-(bytes|keys))|-real\./;
/** Of each kind, the files that take longest. */
const takesLong =
  /-seeds\.|^planted\.|^(page-real|trust|cluster-start|cluster-apply|cluster-upgrade|faults-)/;

function isNamed(pattern: RegExp, file: string): boolean {
  return pattern.test(path.basename(file));
}

function inOrder(files: readonly string[]): string[] {
  const longestFirst = files.toSorted(
    (a, b) => Number(isNamed(takesLong, b)) - Number(isNamed(takesLong, a)),
  );
  const waiting = longestFirst.filter((file) => isNamed(waits, file));
  const computing = longestFirst.filter((file) => !isNamed(waits, file));
  const placed = [waiting, computing].flatMap((kind) =>
    kind.map((file, index) => ({ file, place: (index + 0.5) / kind.length })),
  );
  return placed.toSorted((a, b) => a.place - b.place).map(({ file }) => file);
}

const files = inOrder(globSync(process.argv.slice(2)).toSorted());
if (files.length === 0) throw new Error("no test file has such a name");
run({ files, concurrency: atOnce, timeout: limitMs })
  .on("test:fail", () => (process.exitCode = 1))
  .compose(spec)
  .pipe(process.stdout);
