/** Which peers have the newest value of a secret, by the table and by what they say of themselves. */
import type { Control, MemberView } from "../../ports/control.ts";
import { namedSecrets, type NoticeChannel } from "../../schema/channel.ts";
import type { SealedSecret } from "../../schema/secret.ts";

export interface SecretHolder {
  id: string;
  name: string;
  /** the newest value */
  has: boolean;
  /** where its value is: in the table, or in its own folder */
  from: "sealed" | "own" | null;
  problem: string | null;
}

export function holderOf(
  control: Pick<Control, "settings" | "heldSecrets">,
  secret: string,
  { id, name, self, heartbeat }: MemberView,
): SecretHolder {
  const sealed = control.settings("secrets").get(secret) as SealedSecret | undefined;
  const shown = { id, name };
  const held = heartbeat?.secrets ?? {};
  const own = Object.hasOwn(held, secret) ? held[secret] : undefined;
  if (own !== undefined && own > (sealed?.version ?? -1)) {
    return { ...shown, has: true, from: "own", problem: null };
  }
  const fileFault = self ? control.heldSecrets().faults.get(secret) : undefined;
  const problem = fileFault === undefined ? null : `its file is not used: ${fileFault}`;
  if (sealed !== undefined && Object.hasOwn(sealed.keys, id)) {
    const fault = whyUnopened(secret, heartbeat?.lacks ?? []);
    return { ...shown, has: fault === undefined, from: "sealed", problem: fault ?? problem };
  }
  const older = own === undefined ? problem : "its own value is older than the sealed one";
  return { ...shown, has: false, from: own === undefined ? null : "own", problem: older };
}

/** `lacks`: what the peer says (core/members/equipment.ts). */
function whyUnopened(secret: string, lacks: readonly string[]): string | undefined {
  if (lacks.includes(`secret:${secret}`)) return "it can't open what is sealed to it";
  if (!lacks.includes("secret:*")) return undefined;
  return "it can't open so many sealed values that it doesn't list them, and this may be one";
}

/** The secrets that a channel names and no peer has: nothing can be sent through it. Needs a caller who sees secrets. */
export function missingSecrets(
  channel: NoticeChannel,
  control: Control,
): { pointer: string; message: string }[] {
  const { members } = control.view();
  return namedSecrets(channel).flatMap(({ field, name }) => {
    if (members.some((member) => holderOf(control, name, member).has)) return [];
    const message = `no peer has the secret ${name}, so nothing can be sent: \`cicada secrets set ${name}\``;
    return [{ pointer: `/${field}/name`, message }];
  });
}
