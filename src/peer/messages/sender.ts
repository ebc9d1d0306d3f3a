/** Sends this peer's messages, encoded in their envelope, to one peer or to all. */
import type { Doors } from "../../ports.ts";
import type { PeerId } from "../../schema/ids.ts";
import { messageCapBytes, type Message, type Protocol, type Topic } from "../../schema/message.ts";
import type { Codec } from "../../wire/codec.ts";

export class Sender {
  readonly #doors: Pick<Doors, "keys" | "mesh" | "log">;
  readonly #codec: Codec;
  readonly #count: (name: string) => void;
  #seq = 0;
  #silent = false;

  constructor(doors: Pick<Doors, "keys" | "mesh" | "log">, codec: Codec, count: (name: string) => void) {
    this.#doors = doors;
    this.#codec = codec;
    this.#count = count;
  }

  /** Returns how many bytes the message has. */
  send(to: PeerId, protocol: Protocol, message: Message): number {
    const bytes = this.#encode(message);
    if (bytes !== undefined) this.#doors.mesh.send(to, protocol, bytes);
    return bytes?.length ?? 0;
  }

  publish(topic: Topic, message: Message): void {
    const bytes = this.#silent ? undefined : this.#encode(message);
    if (bytes !== undefined) this.#doors.mesh.publish(topic, bytes);
  }

  /** Called after the farewell: nothing is published from then on. */
  silence(): void {
    this.#silent = true;
  }

  /** Undefined for a message that is too large, which every receiver would refuse. Callers split large messages beforehand. */
  #encode(message: Message): Uint8Array | undefined {
    const { self, cluster } = this.#doors.keys;
    const bytes = this.#codec.encode({ cluster, sender: self, seq: this.#seq++ }, message);
    if (bytes.length <= messageCapBytes) return bytes;
    this.#count("too_large_to_say");
    this.#doors.log.error("a message is too large to be sent", { kind: message.kind, bytes: bytes.length });
    return undefined;
  }
}
