/** How far a number may be from its reference: `absolute + relative * |expected|`. */
export interface Tolerance {
  readonly name: string;
  readonly absolute: number;
  readonly relative: number;
}

const eps32 = 2 ** -23;

/** No difference at all, except the sign of zero. */
export const exact: Tolerance = { name: "exact", absolute: 0, relative: 0 };

/** A handful of float32 operations, with transcendental functions as imprecise as WGSL allows, on values around 1. */
export const f32: Tolerance = { name: "f32", absolute: 2e-6, relative: 1e-5 };

/** Angles of tens of radians and other functions whose argument's own float32 rounding shows. */
export const transcendental: Tolerance = { name: "transcendental", absolute: 2e-5, relative: 2e-5 };

/** Values stored in, or computed with, half precision (11 significant bits). */
export const f16: Tolerance = { name: "f16", absolute: 1e-3, relative: 2e-3 };

/**
 * A float32 sum of `terms` products in any order: rounding grows with the number of terms.
 * @param scale size of one term, default 1
 */
export function f32Reduce(terms: number, scale = 1): Tolerance {
  const relative = Math.max(f32.relative, eps32 * (4 + Math.sqrt(terms)));
  return { name: `f32Reduce(${terms}${scale === 1 ? "" : `, scale ${scale}`})`, absolute: Math.max(f32.absolute, eps32 * (16 + terms)) * scale, relative };
}
