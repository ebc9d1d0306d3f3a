/** What `bench:beside` needs of each scheduler: its agents on this machine, its jobs, and one agent to kill. */

/** One of the jobs that all schedulers get. */
export interface BenchJob {
  id: string;
  /** the job is due `offsetSeconds` after each multiple of this; a minute, or a divisor of a minute */
  everySeconds: number;
  offsetSeconds: number;
  /** a line for the shell */
  command: string;
}

export interface Rival extends AsyncDisposable {
  readonly name: string;
  /** Makes the jobs, and returns when all agents that can be asked know them. */
  makeJobs(jobs: readonly BenchJob[]): Promise<void>;
  /** the processes of the agents that are alive; their lasting children count as theirs */
  pids(): number[];
  /** Ends one agent with SIGKILL: the leader where there is one. */
  kill(): Promise<void>;
}

/** The job's schedule as a cron expression with seconds, which cicada and dkron read alike. */
export function sixFields({ everySeconds, offsetSeconds }: BenchJob): string {
  return everySeconds === 60 ? `${offsetSeconds} * * * * *` : `${offsetSeconds}-59/${everySeconds} * * * * *`;
}
