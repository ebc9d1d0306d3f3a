/**
 * Guards every entry into the peer from outside: the callbacks of its doors, and the requests of the API. An exception
 * that leaves the peer may have left its state half-changed. So it is passed to `fail`, which ends the process. It
 * never reaches the caller, which may be a library that swallows it.
 */
import type { Doors } from "../../ports.ts";
import type { Control } from "../../ports/control.ts";
import { CicadaError } from "../../errors.ts";

type Fail = (error: unknown) => void;

export function guardDoors(doors: Doors, fail: Fail): Doors {
  return {
    ...doors,
    clock: guardCallbacks(doors.clock, fail),
    mesh: guardCallbacks(doors.mesh, fail),
    disk: guardCallbacks(doors.disk, fail),
    executor: guardCallbacks(doors.executor, fail),
    scripts: guardCallbacks(doors.scripts, fail),
    secrets: guardCallbacks(doors.secrets, fail),
    notifier: guardCallbacks(doors.notifier, fail),
    keyring: guardCallbacks(doors.keyring, fail),
  };
}

/** A coded error is an answer. Any other error means that the peer is broken. */
export function guardControl(control: Control, fail: Fail): Control {
  return {
    ...control,
    async ask(command) {
      try {
        return await control.ask(command);
      } catch (error) {
        if (!(error instanceof CicadaError)) fail(error);
        throw error;
      }
    },
  };
}

/** The same door, with a guard around each function that is passed to it, alone or in an object of functions. */
function guardCallbacks<Door extends object>(door: Door, fail: Fail): Door {
  return new Proxy(door, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown =>
        Reflect.apply(
          member,
          target,
          args.map((arg) => guarded(arg, fail)),
        );
    },
  });
}

function guarded(value: unknown, fail: Fail): unknown {
  if (typeof value === "function") {
    return (...args: unknown[]): unknown => {
      try {
        return Reflect.apply(value, undefined, args);
      } catch (error) {
        fail(error);
        return undefined;
      }
    };
  }
  if (!isEvents(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, guarded(member, fail)]));
}

/** True for the argument of a door's `start`: an object that holds only functions. */
function isEvents(value: unknown): value is object {
  // Bytes and lists may be long, and are never searched.
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
    return false;
  }
  const members = Object.values(value);
  return members.length > 0 && members.every((member) => typeof member === "function");
}
