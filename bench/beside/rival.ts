/** What `bench:beside` needs of each scheduler: its agents on this machine, its jobs, and one agent to kill. */

/** One of the jobs that all schedulers get. */
export interface BenchJob {
  id: string;
  /** due at each instant that is `offsetSeconds` after a multiple of this; a minute, or a divisor of it */
  everySeconds: number;
  offsetSeconds: number;
  /** a line for the shell */
  command: string;
}

export interface Rival extends AsyncDisposable {
  readonly name: string;
  /** Makes the jobs, and returns when all agents know them, as far as they can be asked. */
  makeJobs(jobs: readonly BenchJob[]): Promise<void>;
  /** the processes of its agents that live; their children that stay belong to them */
  pids(): number[];
  /** Ends one agent with SIGKILL: the leader where there is one. */
  kill(): Promise<void>;
}

/** With seconds, as cicada and dkron take it. */
export function sixFields({ everySeconds, offsetSeconds }: BenchJob): string {
  return everySeconds === 60 ? `${offsetSeconds} * * * * *` : `${offsetSeconds}-59/${everySeconds} * * * * *`;
}
