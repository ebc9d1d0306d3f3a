/** All doors that are fuzzed: where bytes of peers, people, programs and disks come in. */
import { apiDoor } from "./fuzz-api.ts";
import { authorityDoor } from "./fuzz-authority.ts";
import type { Door } from "./fuzz-door.ts";
import { diskDoor, folderDoor } from "./fuzz-folder.ts";
import { bytesDoor, peerDoors } from "./fuzz-peer.ts";
import { tableDoor } from "./fuzz-table.ts";
import { textDoors } from "./fuzz-text.ts";

export const doors: readonly Door[] = [
  bytesDoor(),
  ...peerDoors(),
  authorityDoor(),
  tableDoor(),
  ...textDoors(),
  apiDoor(),
  folderDoor(),
  diskDoor(),
];
