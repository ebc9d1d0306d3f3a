/**
 * Parts of queries that the dashboard and the alerts share.
 *
 * Prometheus calls what it scrapes a job, too, and renames cicada's label `job` to `exported_job` unless the scrape
 * says `honor_labels`. These queries work either way.
 */

/** `series`, each with the job of cicada as its label `job`. */
export function withJob(series: string): string {
  return `label_replace(${series}, "job", "$1", "exported_job", "(.+)")`;
}

/** Ticks that nobody ran although they should have been run: a superseded one was left out in favour of a later one. */
export const missedTicks = [
  'cicada_ticks_without_run_total{state="missed",reason!="superseded"}',
  'cicada_ticks_without_run_total{state="skipped",reason="no-quorum"}',
] as const;
