/**
 * Driving data, or a question asked about it, that cannot be used. The message reads
 * "<where>: <what is wrong>, expected <..>, got <..>. <how to fix>" and is meant for the person at the keyboard.
 */
export class DatasetError extends Error {
  /** The message is for users: print it without a stack trace. */
  readonly userFacing = true;

  /** @param message "<where>: <what is wrong>, expected <..>, got <..>. <how to fix>" */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DatasetError";
  }
}
