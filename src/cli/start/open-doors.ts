/** Opens the doors of a peer (ports.ts) on the data folder and the mesh, as the settings say. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../../config.ts";
import { formatClusterKey, parseClusterKey } from "../../identity/cluster-key.ts";
import { CicadaError } from "../../errors.ts";
import type { Doors, Log } from "../../ports.ts";
import { openClock } from "../../real/clock.ts";
import { openDisk } from "../../real/disk.ts";
import { openExecutor } from "../../real/executor.ts";
import type { PeerId } from "../../schema/ids.ts";
import type { Compatibility } from "../../schema/protocol.ts";
import { openKeyring } from "../../real/keyring.ts";
import type { Folder } from "../../real/folder.ts";
import { generateClusterKey, generatePeerKey, openKeys, peerIdOf } from "../../real/keys.ts";
import { openNotifier } from "../../real/notifier.ts";
import { openMesh, type RealMesh } from "../../real/mesh.ts";
import { openScripts } from "../../real/scripts.ts";
import { openSecrets } from "../../real/secrets.ts";
import { ownLimit } from "../../real/process-limits.ts";
import { openRandom } from "../../real/random.ts";
import { meshPortBusy } from "./busy-port.ts";
import { connectionsWithin } from "../../config/descriptors.ts";
import type { FailureWatch } from "./failures.ts";
import { guardDoors } from "./guarded-doors.ts";
import { chooseKey, type Membership } from "./keys.ts";
import { hostEnvironment } from "./host.ts";
import { readVersion } from "../version.ts";

export interface Opened {
  doors: Doors;
  mesh: RealMesh;
  membership: Membership;
  founder: PeerId | undefined;
  /** The data folder has served a peer before. */
  used: boolean;
  /** The peer's key was made in this start. */
  isNewIdentity: boolean;
}

/** Opens all doors of the peer, which closes them when it stops. If one can't be opened, none stays open. */
export async function openDoors(
  config: Config,
  compatibility: Compatibility,
  folder: Folder,
  log: Log,
  watch: { diskLost: () => void; broken: FailureWatch["broken"] },
): Promise<Opened> {
  // The database is created after the keys, so a first start that was interrupted is still a first start next time.
  const used = existsSync(join(folder.path, "cicada.db"));
  const kept = { file: folder.clusterKeyFile, text: folder.clusterKey(), used };
  const membership = chooseKey(config, kept, generateClusterKey);
  const { key, rotation, stale } = membership;
  if (stale !== undefined) {
    log.warn("the mesh's key has been rotated; a setting that names the old key is ignored", {
      named: stale,
    });
  }
  if (used && !folder.hasPeerKey() && !config.newIdentity) {
    throw new CicadaError(
      "DATA_FOLDER_DAMAGED",
      `${folder.path}/peer.key is gone, which identifies this peer: restore it from a backup, or use --new-identity ` +
        "once to start as a new peer (and `cicada peers forget` the old one)",
    );
  }
  const isNewIdentity = !folder.hasPeerKey();
  const peerKey = folder.peerKey(generatePeerKey);
  const founder = membership.founded ? peerIdOf(peerKey) : membership.founder;
  if (membership.keep) folder.keepClusterKey(formatClusterKey(key, founder, rotation));
  // The folder's own key, if it is older than the given one.
  const replaced = membership.keep && kept.text !== undefined ? parseClusterKey(kept.text) : undefined;
  const clock = openClock({ synchronised: config.clockSynchronised });
  const keyring = openKeyring(folder, { key, founder, rotation, replaced }, () => clock.now().wall, log);
  const keys = openKeys({ peerKey, mesh: keyring.mesh });
  const random = openRandom();

  await using opened = new AsyncDisposableStack();
  const disk = await openDisk({ folder: folder.path, log, lost: () => watch.diskLost() });
  folder.raiseFormat();
  opened.defer(() => new Promise<void>((done) => disk.close(done)));
  const secrets = openSecrets({ folder: folder.secrets, peerKey, keys, log });
  const notifier = openNotifier({ log, wall: () => clock.now().wall, version: readVersion(), secrets });
  opened.defer(() => notifier.close());
  const executor = openExecutor({ folder, disk, log, secrets });
  const path = hostEnvironment(process.env)["PATH"] ?? "";
  const scripts = openScripts({ folder: folder.scripts, path, log });
  opened.defer(() => new Promise<void>((done) => executor.close(done)));
  const mesh = await openMesh({
    peerKey,
    keyring,
    listen: config.listen,
    announce: config.announce,
    bootstrap: [...config.bootstrap, ...membership.addresses],
    remembered: rememberInvitation(folder, membership),
    remember: (addresses) => folder.rememberAddresses(addresses),
    protocol: compatibility.protocol,
    mdns: config.mdns,
    connections: connectionsWithin(ownLimit("Max open files") ?? Infinity),
    clock,
    random,
    log,
  }).catch(async (error: unknown) => {
    throw await meshPortBusy(error, config.http, process.argv.slice(2));
  });
  opened.move();
  return {
    doors: guardDoors(
      { clock, random, keys, keyring, mesh, disk, executor, scripts, secrets, notifier, log },
      watch.broken,
    ),
    mesh,
    membership,
    founder,
    used,
    isNewIdentity,
  };
}

/** Stores the addresses of the invitation at once, in case the peer is killed before the mesh has learned others. */
function rememberInvitation(folder: Folder, { addresses }: Membership): readonly string[] {
  const known = folder.addresses();
  const all = [...new Set([...known, ...addresses])];
  if (all.length > known.length) folder.rememberAddresses(all);
  return all;
}
