/**
 * Says whether a peer that belongs to a mesh has found it: "joined ada and bob", or that no peer has answered yet and
 * where this one has tried. The mesh keeps dialling for ever anyway. This only watches, so that a person who has pasted
 * a join line doesn't leave a peer behind that is alone.
 */
import type { Control, NotReady, View } from "../../ports/control.ts";

/** How long to wait for the first answer before saying that no peer answered. Unit: ms. A bit more than a warm-up. */
const answerWithinMs = 6_000;
/** How long to wait after the first answer, so that other peers can be named in the same line. Unit: ms. */
const companyMs = 500;
const checkEveryMs = 100;

export class Joining {
  readonly #peer: Pick<Control, "view">;
  readonly #named: readonly string[];
  readonly #first = Promise.withResolvers<string | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #hasJoined = false;

  /** `named` are the addresses where other peers should be; none = this peer is the first of its mesh. */
  constructor(peer: Pick<Control, "view">, named: readonly string[]) {
    this.#peer = peer;
    this.#named = named;
  }

  /** The names of the peers that it joined first; undefined if none has answered in time. */
  get first(): Promise<string | undefined> {
    return this.#first.promise;
  }

  /** Call it when the peer is up. `joined` is called once with the names, however late. */
  begin(joined: (names: string) => void): void {
    const began = performance.now();
    let firstSeen: number | undefined;
    this.#timer = setInterval(() => {
      const names = othersUp(this.#peer.view());
      const now = performance.now();
      if (names.length > 0) firstSeen ??= now;
      if (firstSeen !== undefined && now - firstSeen >= companyMs) {
        this.end();
        this.#hasJoined = true;
        joined(inWords(names));
        this.#first.resolve(inWords(names));
      } else if (now - began >= answerWithinMs) this.#first.resolve(undefined);
    }, checkEveryMs);
  }

  end(): void {
    clearInterval(this.#timer);
  }

  /**
   * The sentence that no peer has answered yet; undefined once one has, or has turned this peer away and proved why: its
   * key is an old one, or the mesh has forgotten it.
   */
  alone(): string | undefined {
    if (this.#hasJoined || this.#named.length === 0) return undefined;
    const view = this.#peer.view();
    if (othersUp(view).length > 0 || view.notReady.some(({ code }) => isTurnedAway(code))) return undefined;
    const places = [...new Set(this.#named.map(hostAndPort))].slice(0, placesNamed);
    const ports = [...new Set(places.map((place) => place.slice(place.lastIndexOf(":") + 1)))];
    const question = ports.length === 1 ? `is ${ports[0]}/tcp open there?` : "are these ports open?";
    return `No peer has answered at ${inWords(places, "or")} yet. This peer is alone; ${question}`;
  }
}

/** Whether a peer that isn't ready for that reason has been turned away, which it believes only with a proof. */
function isTurnedAway(code: NotReady["code"]): boolean {
  return code === "key-superseded" || code === "forgotten";
}

/** How many places the sentence names; those of a mesh of fifty would fill the screen. */
const placesNamed = 3;

function othersUp({ members }: View): string[] {
  return members.filter(({ self, state }) => !self && state === "alive").map(({ name }) => name);
}

/** `ada`, `ada and bob`, `ada, bob and cyd` */
function inWords(words: readonly string[], link = "and"): string {
  const last = words.at(-1) ?? "";
  return words.length <= 1 ? last : `${words.slice(0, -1).join(", ")} ${link} ${last}`;
}

/** `/ip4/192.0.2.7/tcp/7401/p2p/12D3…` → `192.0.2.7:7401` */
function hostAndPort(multiaddr: string): string {
  const [, , host = "", , port = ""] = multiaddr.split("/");
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
