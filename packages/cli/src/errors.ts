/** The command line itself is wrong: exit status 2. The message ends with what to type instead. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly userFacing = true;
}

/** A folder or file that a command cannot write, or a run directory that does not hold what it should: exit status 1. */
export class RunError extends Error {
  override readonly name = "RunError";
  readonly userFacing = true;
}
