/** The heartbeat of a member that runs nothing, with what a test or a bench has it say instead. */
import type { Heartbeat } from "../../src/schema/heartbeat.ts";
import { ownCapabilities } from "../../src/schema/protocol.ts";

export function idleHeartbeat(more: Partial<Heartbeat>): Heartbeat {
  return {
    kind: "heartbeat",
    incarnation: 1,
    name: "mallory",
    version: "1",
    sentAt: Date.now(),
    clock: { count: 0, synchronised: false },
    load: 0,
    capacity: 10,
    role: "witness",
    tags: {},
    draining: false,
    warmingUp: false,
    table: "",
    open: { count: 0, digest: "" },
    tzdata: "",
    capabilities: [...ownCapabilities],
    hears: [],
    addresses: [],
    ...more,
  };
}
