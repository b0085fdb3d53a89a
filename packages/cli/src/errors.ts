/** The command line itself is wrong: exit status 2. The message ends with what to type instead. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly userFacing = true;
}
