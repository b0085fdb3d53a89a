/** A number as a WGSL literal that parses as a float. */
export function literal(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`literal: WGSL has no ${value}. Use a finite number.`);
  const text = Math.fround(value).toString();
  return /[.e]/.test(text) ? text : `${text}.0`;
}
