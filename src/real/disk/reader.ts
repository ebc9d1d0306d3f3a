/** The reading thread of the disk. Its connection can't write. Because of this thread, a long list delays no claim. */
import { closeQuietly, openForReading } from "./file.ts";
import type { ReadRequest } from "./protocol.ts";
import { Reads } from "./reads.ts";
import { Statements } from "./statements.ts";
import { attempt, serve } from "./worker.ts";

serve<ReadRequest>((_folder, path) => {
  const database = openForReading(path);
  const reads = new Reads(new Statements(database));
  return {
    answer: (requests) => requests.map((request) => attempt(() => reads.answer(request))),
    close: () => closeQuietly(database),
  };
});
