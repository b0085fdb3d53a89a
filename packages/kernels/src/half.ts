const scratch = new DataView(new ArrayBuffer(4));

/** The bits of the half-precision number nearest to each value (ties to even), beyond 65504 infinity; an even count, padded with zero, so that the bytes fill whole words. */
export function toHalf(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const bits = new Uint16Array(Math.ceil(values.length / 2) * 2);
  for (let i = 0; i < values.length; i++) bits[i] = halfBits(values[i] ?? 0);
  return bits;
}

/** The numbers that half-precision bits stand for. */
export function fromHalf(bits: Uint16Array): Float32Array<ArrayBuffer> {
  return Float32Array.from(bits, halfValue);
}

/** The half-precision number nearest to a value. */
export function roundToHalf(value: number): number {
  return halfValue(halfBits(value));
}

function halfBits(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  scratch.setFloat32(0, value);
  const sign = (scratch.getUint32(0) >>> 16) & 0x8000;
  const size = Math.abs(value);
  if (size >= 65520) return sign | 0x7c00;
  // Below 2^-14 numbers are multiples of 2^-24; above, of their exponent's last place.
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.max(size, 2 ** -30))));
  const place = 2 ** (exponent - 10);
  const steps = size / place;
  const floor = Math.floor(steps);
  const rest = steps - floor;
  const mantissa = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  // The leading bit of a normal mantissa raises the exponent field by one, and a carry by one more.
  return sign | (((exponent + 14) << 10) + mantissa);
}

function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const mantissa = bits & 0x3ff;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : Number.NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1024 + mantissa) * 2 ** (exponent - 25);
}
