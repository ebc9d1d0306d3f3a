/**
 * One flood of `npm run bench:doors`, as a process of its own. The first argument is its order, as JSON. The flood prints
 * `flooding` when it begins, ends by itself, and then prints what it has sent, as JSON.
 */
import type { FloodOrder, Tally } from "./flood-order.ts";
import { memberFloods } from "./member-floods.ts";
import { strangerFloods } from "./stranger-floods.ts";

async function main(): Promise<void> {
  const order = JSON.parse(process.argv[2] ?? "") as FloodOrder; // of this program's own parent
  const flood = strangerFloods[order.kind]?.(order) ?? memberFloods[order.kind];
  if (flood === undefined) throw new Error(`no flood is called ${order.kind}`);
  const tally: Tally = { opened: 0, closed: 0, most: 0, sent: 0 };
  const end = performance.now() + order.seconds * 1_000;
  console.log("flooding");
  await flood(order, tally, () => performance.now() >= end);
  console.log(JSON.stringify(tally));
  process.exit(0);
}

await main();
