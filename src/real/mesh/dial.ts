/** One dial of one address, and what came of it. */
import { multiaddr } from "@multiformats/multiaddr";
import type { PeerId } from "../../schema/ids.ts";
import { joinAddress } from "./addresses.ts";
import { forgottenWords } from "./encrypter.ts";
import type { Host } from "./host.ts";

/**
 * `self`: the address leads to this very peer; `refused`: the host says that nobody listens there; `turned-away`:
 * whoever is there has another cluster key, or is no cicada peer; `forgotten`: whoever is there keeps this peer out.
 */
export type DialOutcome = "linked" | "self" | "refused" | "turned-away" | "forgotten" | "failed";

/** A host that swallows packets must not hold up the next address for long; a handshake takes milliseconds. */
const timeoutMs = 3_000;

/** Never rejects. With a peer, only that one will do; `anew`: although there is a connection to it. */
export async function dialAddress(
  host: Host,
  address: string,
  peer: PeerId | undefined,
  anew: boolean,
): Promise<DialOutcome> {
  try {
    const target = multiaddr(peer === undefined ? address : joinAddress(address, peer));
    await host.dial(target, { signal: AbortSignal.timeout(timeoutMs), force: anew });
    return "linked";
  } catch (error) {
    return outcomeOf(error);
  }
}

function outcomeOf(error: unknown): DialOutcome {
  if (!(error instanceof Error)) return "failed";
  if (error.name === "InvalidPeerIdError") return "self";
  if ("code" in error && error.code === "ECONNREFUSED") return "refused";
  // libp2p keeps only the words of what went wrong in a handshake.
  if (error.message.includes(forgottenWords)) return "forgotten";
  const isTurnedAway =
    error.name === "EncryptionFailedError" && error.message.includes("Protocol selection failed");
  return isTurnedAway ? "turned-away" : "failed";
}
