/** The writing thread of the disk. It opens the database first, and creates or migrates it where needed. */
import { join } from "node:path";
import { giveBackMemory } from "../memory.ts";
import { CommitCounter } from "./commit-counter.ts";
import { closeQuietly, openForWriting } from "./file.ts";
import type { WriteRequest } from "./protocol.ts";
import { Pruning } from "./pruning.ts";
import { Statements } from "./statements.ts";
import { attempt, failed, serve } from "./worker.ts";
import { Writes } from "./writes.ts";

serve<WriteRequest>((folder, path) => {
  const counter = new CommitCounter(join(folder, "cicada.mark"));
  const database = openForWriting(path, counter);
  const writes = new Writes(new Statements(database), counter);
  const pruning = new Pruning(writes);
  return {
    answer(requests) {
      const stores = requests.flatMap((request) => (request.kind === "store" ? [request.writes] : []));
      const stored = writes.store(stores, failed).values();
      return requests.map((request) => {
        if (request.kind === "store") return stored.next().value ?? { kind: "stored" };
        return attempt(() => ({ kind: "pruned", ...pruning.prune(request.rules) }));
      });
    },
    close() {
      closeQuietly(database);
      counter.close();
    },
  };
});
giveBackMemory();
