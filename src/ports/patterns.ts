/**
 * What patterns (RE2 syntax) say about a run's output. Each rule names the job's field, so that a reason can name it, too.
 */
export interface PatternRule {
  /** such as `success.mustMatch` */
  field: string;
  pattern: string;
  /** false: it must not match */
  matches: boolean;
  /** of the output, or of the answer's body alone */
  over: "output" | "body";
}
