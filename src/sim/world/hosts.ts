/**
 * The hosts and the peers' processes on them, which are started, stopped, killed, paused and resumed. A peer that ends
 * itself is started again a little later, as systemd would do.
 *
 * Each life (process) gets new doors to what outlives it: the host's clock, its stable storage, its children. Each door
 * draws from dice named by host and life.
 */
import { assert } from "../../errors.ts";
import type { Doors } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import { HostClock, SimClock } from "../clock.ts";
import { SimNotifier } from "../notifier.ts";
import { SimDisk } from "../disk.ts";
import { StableStorage } from "../disk/storage.ts";
import { Children, SimExecutor } from "../executor.ts";
import { firstKey, SimKeyring, type KeptKeys } from "../keyring.ts";
import { SimKeys } from "../keys.ts";
import { simScripts, worldScript } from "../scripts.ts";
import { simSecrets } from "../secrets.ts";
import { SimLog, type LogLevel } from "../log.ts";
import { ownProtocol } from "../../schema/protocol.ts";
import { Greeter } from "../mesh/greeter.ts";
import type { SimNetwork } from "../mesh.ts";
import type { HostName } from "../mesh/wires.ts";
import { hashText, type Dice } from "../random.ts";
import type { Host, Life } from "./host.ts";
import { KeyWatch } from "./key-watch.ts";
import { Process } from "./process.ts";
import type { Queue } from "./queue.ts";
import type { PeerTraits, WorldSettings } from "./settings.ts";
import { livesOfCopies, type Run } from "./truth.ts";
import { hearsOthers, watchedDisk, watchedMesh, type Observers } from "./watched-doors.ts";

/** After this time a peer that ended itself is started again, ms. */
const startedAgainMs = 2_000;

const everyInterpreter = ["sh", "python3"];

const plainTraits: PeerTraits = { role: "worker", capacity: 100 };

export interface HostsParts {
  settings: WorldSettings;
  peers: readonly PeerId[];
  queue: Queue;
  dice: Dice;
  simNetwork: SimNetwork;
  observers: Observers;
}

export class Hosts {
  readonly logCounts: Record<LogLevel, number> = { debug: 0, info: 0, warn: 0, error: 0 };
  readonly #parts: HostsParts;
  readonly #keyWatch: KeyWatch;
  readonly #hosts = new Map<HostName, Host>();
  readonly #pauses = new Map<HostName, { how: "stopped" | "suspended"; at: number; leaptMs: number }>();
  #copies = 0;

  constructor(parts: HostsParts) {
    this.#parts = parts;
    this.#keyWatch = new KeyWatch(parts.observers.chronicle);
    const { settings, peers, queue, simNetwork } = parts;
    const [first] = peers;
    for (const peer of peers) {
      const dice = parts.dice.fork(peer);
      const skewMs = dice.between(-settings.skewMs, settings.skewMs);
      const clock = new HostClock(queue, settings.epoch, skewMs, dice.between(1_000, 10_000_000));
      clock.drift(dice.between(-settings.driftPpm, settings.driftPpm));
      simNetwork.addHost(peer, peer, first === undefined ? [] : [first]);
      const storage = new StableStorage();
      storage.scripts.set(worldScript.use.sha256, worldScript.bytes);
      this.#hosts.set(peer, {
        name: peer,
        peer,
        clock,
        storage,
        keys: firstKey,
        children: new Children(),
        lives: 0,
        startsAgain: false,
        life: undefined,
      });
    }
  }

  get(name: HostName): Host {
    const host = this.#hosts.get(name);
    assert(host !== undefined, `${name} is a host`);
    return host;
  }

  all(): Host[] {
    return [...this.#hosts.values()];
  }

  isUp(name: HostName): boolean {
    return this.get(name).life?.process.running ?? false;
  }

  start(name: HostName): void {
    const host = this.get(name);
    const { peer } = host;
    if (host.life !== undefined) return;
    host.lives++;
    const { settings, queue, observers } = this.#parts;
    const traits = settings.traits?.(peer, host.lives) ?? plainTraits;
    if (traits.isLater === false) observers.chronicle.earlierLives.add(`${peer}#${host.lives}`);
    const process = new Process(name, queue);
    const log = this.#logOf(name);
    const greeter = new Greeter(traits.protocol ?? ownProtocol, host.clock, log);
    const { doors, disk, executor } = this.#doorsOf(host, process, traits, greeter, log);
    observers.chronicle.line(name, "STARTED");
    if (name === peer) observers.chronicle.outageEnds(peer, "down");
    const life: Life = {
      process,
      disk,
      executor,
      peer: settings.makePeer(doors, peer, traits),
      greeter,
      ready: false,
      heartbeatAt: -Infinity,
      hear: undefined,
    };
    host.life = life;
    // In an event of its own, so that a process's code runs only from the queue.
    queue.after(0, process, () => {
      life.peer.start((failed) => {
        life.ready = failed === undefined;
        if (failed !== undefined) queue.after(0, process, () => this.#gaveUp(host, failed));
      });
    });
  }

  /** New doors for the present life of the peer, to what outlives it. Each draws from dice named by host and life. */
  #doorsOf(
    host: Host,
    process: Process,
    traits: PeerTraits,
    greeter: Greeter,
    log: SimLog,
  ): { doors: Doors; disk: SimDisk; executor: SimExecutor } {
    const { name, peer } = host;
    const { settings, queue, observers } = this.#parts;
    const dice = this.#parts.dice.fork(`${name}#${host.lives}`);
    const disk = new SimDisk(queue, process, host.storage, settings.disk, dice.fork("disk"));
    const executor = this.#executorOf(host, process, disk, dice.fork("executor"));
    const keyDice = dice.fork("keyring");
    const keyring = new SimKeyring({
      self: host.peer,
      kept: () => host.keys,
      keep: (keys) => this.keepKeys(name, keys),
      generate: () => keyDice.bytes(32),
      wall: () => host.clock.wall(),
      later: (ms, act) => void queue.after(ms, process, act),
    });
    const doors: Doors = {
      clock: new SimClock(queue, host.clock, process, dice.fork("clock")),
      random: dice.fork("random"),
      keys: new SimKeys(peer, settings.seed),
      keyring,
      mesh: watchedMesh(host, this.#parts.simNetwork.mesh(process, { keyring, greeter }), observers),
      disk: watchedDisk(host, disk, observers),
      executor,
      scripts: simScripts({
        queue,
        process,
        storage: host.storage,
        interpreters: traits.interpreters ?? everyInterpreter,
        dice: dice.fork("scripts"),
      }),
      secrets: simSecrets({
        queue,
        process,
        storage: host.storage,
        peer,
        dice: dice.fork("secrets"),
      }),
      notifier: new SimNotifier(queue, process, dice.fork("notifier"), (delivery) => {
        observers.chronicle.noticesDelivered(peer, delivery);
      }),
      log,
    };
    return { doors, disk, executor };
  }

  /** kill -9. With `hostToo` the host loses power: no connection is reset, and the children are gone at once. */
  kill(name: HostName, hostToo = false): void {
    const host = this.get(name);
    const life = host.life;
    if (life === undefined) return;
    this.#parts.observers.chronicle.line(name, hostToo ? "HOST WENT DARK" : "KILLED");
    this.resume(name);
    life.process.kill();
    life.disk.lost();
    life.executor.orphaned(hostToo);
    this.#parts.simNetwork.processDied(life.process, hostToo);
    this.#ended(host);
  }

  /** SIGTERM: the peer drains and ends by itself. */
  stop(name: HostName): void {
    const host = this.get(name);
    const life = host.life;
    if (life === undefined || !life.process.running) return;
    this.#parts.observers.chronicle.line(name, "TERMINATED");
    this.#parts.queue.after(0, life.process, () => {
      life.peer.stop(() => {
        if (host.life !== life) return;
        life.process.kill();
        life.executor.orphaned(false);
        this.#parts.simNetwork.processDied(life.process, false);
        this.#ended(host);
      });
    });
  }

  /** SIGSTOP; or a suspend of the whole host, during which its monotonic clock stands still. */
  pause(name: HostName, how: "stopped" | "suspended" = "stopped"): void {
    const { queue } = this.#parts;
    const { peer, life } = this.get(name);
    const process = life?.process;
    if (process === undefined || !process.running) return;
    this.#parts.observers.chronicle.line(name, how === "stopped" ? "PAUSED" : "SUSPENDED");
    this.#pauses.set(name, { how, at: queue.now, leaptMs: queue.leaptMs });
    process.pause();
    this.#parts.simNetwork.processPaused(process);
    this.#parts.observers.chronicle.outageBegins(peer, "paused");
  }

  resume(name: HostName): void {
    const { peer, life } = this.get(name);
    const process = life?.process;
    if (process === undefined || !process.paused) return;
    this.#parts.observers.chronicle.line(name, "RESUMED");
    this.#moveClock(name);
    process.resume();
    this.#parts.simNetwork.processPaused(process);
    this.#parts.observers.chronicle.outageEnds(peer, "paused");
  }

  /** Puts these cluster keys into the host's folder. */
  keepKeys(name: HostName, keys: KeptKeys): void {
    this.get(name).keys = keys;
    this.#keyWatch.check(this.all());
  }

  /** True if its cluster key was replaced while it was away, and no peer with the new key accepts it. */
  isLeftBehind(peer: PeerId): boolean {
    return this.#keyWatch.isLeftBehind(peer);
  }

  /** Adds a host with the same clock and a copy of the peer's present folder. No process runs there yet. */
  addCopy(peer: PeerId): HostName {
    const host = this.get(peer);
    const number = ++this.#copies;
    const name = `${peer}/copy-${number}`;
    const storage = host.storage.copy();
    const lives = number * livesOfCopies;
    this.#hosts.set(name, { ...host, name, storage, children: new Children(), lives, life: undefined });
    this.#parts.simNetwork.addCopy(name, peer);
    return name;
  }

  removeCopy(name: HostName): void {
    this.#hosts.delete(name);
    this.#parts.simNetwork.removeHost(name);
  }

  /** After a stop the monotonic clock has counted the whole pause, leaps included; after a suspend it has not. */
  #moveClock(name: HostName): void {
    const { queue } = this.#parts;
    const pause = this.#pauses.get(name);
    if (pause === undefined) return;
    this.#pauses.delete(name);
    const { how, at, leaptMs } = pause;
    const { clock } = this.get(name);
    const missedMs = queue.leaptMs - leaptMs;
    if (how === "stopped") clock.advanceMono(missedMs);
    else clock.suspend(queue.now - at, missedMs);
  }

  /** Called when the peer has ended itself: its supervisor starts it again. */
  #gaveUp(host: Host, why: string): void {
    this.#parts.observers.chronicle.line(host.name, `GAVE UP ${why}`);
    this.kill(host.name);
    if (host.startsAgain) return;
    host.startsAgain = true;
    this.#parts.queue.after(startedAgainMs, undefined, () => {
      host.startsAgain = false;
      this.start(host.name);
    });
  }

  #ended(host: Host): void {
    host.life = undefined;
    // A copy is no outage: the peer itself is up meanwhile.
    if (host.name !== host.peer) return;
    this.#parts.observers.chronicle.outageBegins(host.peer, "down");
  }

  #executorOf(host: Host, process: Process, disk: SimDisk, dice: Dice): SimExecutor {
    const { settings, queue, observers } = this.#parts;
    return new SimExecutor({
      peer: host.peer,
      queue,
      host: host.clock,
      process,
      disk,
      children: host.children,
      settings: settings.children,
      dice,
      life: host.lives,
      record: (run) => this.#ran(host, run),
      ended: () => (observers.chronicle.ranAt = observers.chronicle.now()),
      trueTime: observers.chronicle.now,
    });
  }

  #ran({ life }: Host, run: Run): void {
    const { queue, observers } = this.#parts;
    run.heardOthers = hearsOthers(life, run.start);
    observers.chronicle.runs.push(run);
    observers.chronicle.ranAt = run.start;
    observers.occasions.happens("start", run.peer);
    queue.trace(hashText(`${run.job}@${run.tick}~${run.attempt}@${run.peer}`));
    observers.chronicle.line(run.peer, `RUNS ${run.job}@${run.tick}~${run.attempt}`);
  }

  #logOf(name: HostName): SimLog {
    return new SimLog((level, message, fields) => {
      this.logCounts[level]++;
      const detail = fields === undefined ? "" : ` ${JSON.stringify(fields)}`;
      this.#parts.observers.chronicle.line(name, `${level} ${message}${detail}`);
    });
  }
}
