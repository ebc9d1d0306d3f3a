/** All doors that are fuzzed: the places where bytes from peers, people, programs and disks come in. */
import { apiDoor } from "./api.ts";
import { authorityDoor } from "./authority.ts";
import { costDoors } from "./costs.ts";
import type { Door } from "./door.ts";
import { diskDoor, folderDoor } from "./folder.ts";
import { bytesDoor, peerDoors } from "./peer.ts";
import { tableDoor } from "./table.ts";
import { textDoors } from "./text.ts";

export const plainDoors: readonly Door[] = [
  bytesDoor(),
  ...peerDoors(),
  authorityDoor(),
  tableDoor(),
  ...textDoors(),
  apiDoor(),
  folderDoor(),
  diskDoor(),
];

/** … and those where the steps of each input are counted as well. */
export const doors: readonly Door[] = [...plainDoors, ...costDoors()];
