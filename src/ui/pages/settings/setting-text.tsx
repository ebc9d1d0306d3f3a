/** What a setting says, in words, and how it is. */
import type { JSX } from "preact";
import { jobLink } from "../../live/address.ts";
import { me } from "../../live/me.ts";
import { StateWord } from "../../parts/parts.tsx";
import { At, Away } from "../../parts/times.tsx";
import { countText, scheduleText } from "../../words.ts";
import type { Kind, Setting } from "./kinds.ts";
import { fieldsText, valueText } from "./words.ts";

const holdersNamed = 5;

interface Slot {
  job: string;
  run: string;
}

interface LastMessage {
  at: string;
  ok: boolean;
  error: string | null;
}

export function SettingText({ item, kind }: { item: Setting; kind: Kind }): JSX.Element {
  const note = textOf(item, "note") ?? textOf(item, "description");
  return (
    <>
      <span>{whatItSays(item, kind)}</span>
      {note !== undefined && <span class="under">{note}</span>}
      {kind.path === "pools" && <PoolNow item={item} />}
      {kind.path === "channels" && <ChannelNow item={item} />}
    </>
  );
}

function textOf(item: Setting, field: string): string | undefined {
  const value = item[field];
  return value === undefined || value === null || value === "" ? undefined : valueText(value);
}

function whatItSays(item: Setting, { path, readOnly }: Kind): JSX.Element | string {
  switch (path) {
    case "pools":
      return countText(Number(item["slots"]), "slot");
    case "maintenance":
      return <Maintenance item={item} />;
    case "calendars":
      return textOf(item, "dates") ?? "the days of its iCalendar text";
    case "channels":
      return `${textOf(item, "type")}, ${fieldsText(item, [...readOnly, "name", "type", "description"])}`;
    default:
      return fieldsText(item, [...readOnly, "name", "description"]);
  }
}

function Maintenance({ item }: { item: Setting }): JSX.Element {
  const [from, to, group, zone] = ["from", "to", "group", "timezone"].map((name) => textOf(item, name));
  const schedule = item["schedule"] as string | string[] | undefined;
  return (
    <>
      {from !== undefined && to !== undefined && (
        <>
          from <At at={from} /> to <At at={to} />
        </>
      )}
      {schedule !== undefined &&
        `${scheduleText(schedule)} (${zone ?? "UTC"}), each time for ${textOf(item, "duration")}`}
      {group === undefined ? ", all jobs" : `, jobs of the group ${group}`}
    </>
  );
}

function PoolNow({ item }: { item: Setting }): JSX.Element {
  const count = (name: string): number => (Array.isArray(item[name]) ? item[name].length : 0);
  const holders = (item["holders"] ?? []) as Slot[];
  const isOfGroups = me.value !== undefined && me.value.groups !== null;
  return (
    <span class="under">
      {holders.length} of {String(item["slots"])} taken
      {holders.slice(0, holdersNamed).map(({ job, run }, index) => (
        <span key={run}>
          {index === 0 ? " by " : ", "}
          <a href={jobLink(job)}>{job}</a>
        </span>
      ))}
      {holders.length > holdersNamed && " and others"}, {countText(count("waiting"), "tick")} waiting,{" "}
      {countText(count("jobs"), "job")}
      {isOfGroups && ", of the jobs that you may see"}
    </span>
  );
}

function ChannelNow({ item }: { item: Setting }): JSX.Element {
  const last = item["lastMessage"] as LastMessage | null | undefined;
  const problems = (item["problems"] ?? []) as { pointer: string; message: string }[];
  const uses = Array.isArray(item["usedBy"]) ? item["usedBy"].length : 0;
  return (
    <>
      {problems.map(({ pointer, message }) => (
        <span key={pointer + message} class="under bad">
          {`${pointer.slice(1)} ${message}`.trim()}
        </span>
      ))}
      <span class="under">
        {countText(uses, "job")} ·{" "}
        {last === null || last === undefined ? (
          "nothing has been sent yet"
        ) : (
          <>
            <StateWord tone={last.ok ? "good" : "bad"}>
              {last.ok ? "delivered" : (last.error ?? "refused")}
            </StateWord>{" "}
            <Away at={last.at} />
          </>
        )}
      </span>
    </>
  );
}
