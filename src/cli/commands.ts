/** All commands except `start`, in the order in which the help lists them. */
import type { Command } from "commander";
import { completionCommands } from "./completion/completion.ts";
import { demoCommand } from "./demo.ts";
import { doctorCommand } from "./doctor/doctor.ts";
import { importCommands } from "./import/import.ts";
import { jobsCommands } from "./jobs.ts";
import { keyCommands } from "./key.ts";
import { secretCommands } from "./secrets.ts";
import { auditCommand } from "./audit.ts";
import { tokenCommands } from "./token.ts";
import { serviceCommand } from "./service/service.ts";
import { settingCommands } from "./settings.ts";
import { peersCommands } from "./peers.ts";
import { applyCommands } from "./apply.ts";
import { backupCommands } from "./backup/commands.ts";
import { channelsCommands } from "./channels.ts";
import { runsCommands } from "./runs.ts";
import { scheduleCommands } from "./schedule.ts";
import { topCommand } from "./top.ts";
import type { Terminal } from "./terminal/terminal.ts";

export function otherCommands(program: Command, terminal: Terminal): void {
  jobsCommands(program, terminal);
  runsCommands(program, terminal);
  channelsCommands(program, terminal);
  peersCommands(program, terminal);
  keyCommands(program, terminal);
  settingCommands(program, terminal);
  secretCommands(program, terminal);
  tokenCommands(program, terminal);
  auditCommand(program, terminal);
  applyCommands(program, terminal);
  importCommands(program, terminal);
  scheduleCommands(program, terminal);
  backupCommands(program, terminal);
  topCommand(program, terminal);
  doctorCommand(program, terminal);
  serviceCommand(program, terminal);
  completionCommands(program, terminal);
  demoCommand(program, terminal);
}
