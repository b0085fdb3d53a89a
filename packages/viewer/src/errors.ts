/** Thrown when a picture or a report is asked of data it cannot show. */
export class ViewerError extends Error {
  readonly userFacing = true;
  override readonly name = "ViewerError";

  /**
   * @param where function that refused
   * @param what what is wrong, what was expected, what was got
   * @param fix how to fix it
   */
  constructor(where: string, what: string, fix: string) {
    super(`${where}: ${what}. ${fix}`);
  }
}
