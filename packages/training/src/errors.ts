/** A run directory or checkpoint that is missing, damaged, or belongs to something else. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
  readonly userFacing = true;
}

/** A configuration value that is unknown, missing or out of range; the message has its path. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly userFacing = true;
}

/** Training produced a number that is not finite; the message names step, op and the last good checkpoint. */
export class NonFiniteError extends Error {
  override readonly name = "NonFiniteError";
  readonly userFacing = true;
}
