/** The most common schedules in words. Others are told by their ticks alone: a wrong sentence is worse than none. */

const macros: Readonly<Record<string, string>> = {
  "@yearly": "Every year on 1 January at 00:00",
  "@annually": "Every year on 1 January at 00:00",
  "@monthly": "On the 1st of each month at 00:00",
  "@weekly": "Every Sunday at 00:00",
  "@daily": "Every day at 00:00",
  "@midnight": "Every day at 00:00",
  "@hourly": "Every hour on the hour",
  "@minutely": "Every minute",
};
const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const shortDays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

export function scheduleWords(schedule: unknown): string | undefined {
  if (typeof schedule !== "string") return undefined;
  const text = schedule.trim();
  const macro = macros[text.toLowerCase()];
  if (macro !== undefined) return macro;
  const [, period] = /^@every (\S+)$/.exec(text) ?? [];
  if (period !== undefined) return `Every ${period}`;
  const fields = text.split(/\s+/);
  const [minute = "", hour = "", date, month, weekday = ""] = fields;
  if (fields.length !== 5 || date !== "*" || month !== "*") return undefined;
  const when = dayWords(weekday.toLowerCase());
  if (when === undefined) return undefined;
  const [, step] = /^\*(?:\/(\d+))?$/.exec(minute) ?? [];
  if (minute.startsWith("*") && hour === "*" && weekday === "*") {
    if (step === undefined || step === "1")
      return minute === "*" || step === "1" ? "Every minute" : undefined;
    return 60 % Number(step) === 0 ? `Every ${step} minutes` : undefined;
  }
  if (!/^\d{1,2}$/.test(minute)) return undefined;
  if (hour === "*" && weekday === "*") return `Every hour at minute ${Number(minute)}`;
  if (!/^\d{1,2}$/.test(hour)) return undefined;
  return `${when} at ${hour.padStart(2, "0")}:${minute.padStart(2, "0")}`;
}

function dayWords(weekday: string): string | undefined {
  if (weekday === "*") return "Every day";
  if (weekday === "1-5" || weekday === "mon-fri") return "Monday to Friday";
  const index = /^[0-7]$/.test(weekday) ? Number(weekday) : shortDays.indexOf(weekday);
  const day = days[index];
  return day === undefined ? undefined : `Every ${day}`;
}
