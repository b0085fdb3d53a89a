/** One thing that must not stay as it is. */
export interface Finding {
  /** File or package, relative to the repository. */
  readonly where: string;
  /** What is wrong and how to fix it. */
  readonly problem: string;
}
