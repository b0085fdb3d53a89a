/** A pose in the plane: m, m, rad. */
export interface Pose {
  readonly x: number;
  readonly y: number;
  readonly yaw: number;
}

/** A point of a curve. */
export interface CurvePoint {
  x: number;
  y: number;
  /** rad, not wrapped: continuous along the curve. */
  yaw: number;
  /** 1/m, left positive. */
  curvature: number;
}

/** A piece of a clothoid spline: curvature runs linearly from k0 to k1 over the length. */
export interface ClothoidPiece {
  readonly length: number;
  readonly k0: number;
  readonly k1: number;
}

/** A curve sampled at equal arc lengths (`step`, about SAMPLE_SPACING); n + 1 samples for n steps. */
export interface Curve {
  readonly length: number;
  readonly step: number;
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly yaw: Float64Array;
  readonly curvature: Float64Array;
}

/** m between the samples of a curve, at most. */
const SAMPLE_SPACING = 0.5;

/** Share of a fillet's turning angle that its two clothoids take; the arc between them takes the rest. */
const CLOTHOID_SHARE = 0.5;
/** rad; a corner that turns less needs no fillet. */
const STRAIGHT_ANGLE = 1e-6;
const GAUSS_OFFSET = Math.sqrt(3 / 5) / 2;

function emptyCurve(length: number): { curve: Curve; steps: number } {
  const steps = Math.max(2, 2 * Math.ceil(length / (2 * SAMPLE_SPACING)));
  const make = (): Float64Array => new Float64Array(steps + 1);
  return { curve: { length, step: length / steps, x: make(), y: make(), yaw: make(), curvature: make() }, steps };
}

/**
 * Samples a clothoid spline. Heading is exact, positions are integrated by three-point Gauss-Legendre.
 * @param start pose of the first sample
 * @param pieces in order; the curvature should agree where they meet
 */
function sampleClothoids(start: Pose, pieces: readonly ClothoidPiece[]): Curve {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const { curve, steps } = emptyCurve(length);
  const starts: number[] = [];
  const yaws: number[] = [];
  let at = 0;
  let yaw = start.yaw;
  for (const piece of pieces) {
    starts.push(at);
    yaws.push(yaw);
    at += piece.length;
    yaw += ((piece.k0 + piece.k1) / 2) * piece.length;
  }
  let index = 0;
  const locate = (s: number): ClothoidPiece => {
    while (index < pieces.length - 1 && s > (starts[index + 1] as number)) index++;
    while (index > 0 && s < (starts[index] as number)) index--;
    return pieces[index] as ClothoidPiece;
  };
  const yawAt = (s: number): number => {
    const piece = locate(s);
    const t = s - (starts[index] as number);
    return (yaws[index] as number) + piece.k0 * t + ((piece.k1 - piece.k0) * t * t) / (2 * piece.length);
  };
  let x = start.x;
  let y = start.y;
  for (let i = 0; i <= steps; i++) {
    const s = i * curve.step;
    const piece = locate(s);
    const t = s - (starts[index] as number);
    curve.curvature[i] = piece.k0 + ((piece.k1 - piece.k0) * t) / piece.length;
    curve.yaw[i] = yawAt(s);
    curve.x[i] = x;
    curve.y[i] = y;
    if (i === steps) break;
    for (let node = -1; node <= 1; node++) {
      const angle = yawAt(s + curve.step * (0.5 + node * GAUSS_OFFSET));
      const weight = ((node === 0 ? 8 : 5) / 18) * curve.step;
      x += weight * Math.cos(angle);
      y += weight * Math.sin(angle);
    }
  }
  return curve;
}

/** Pieces of a fillet that turns by `angle` with smallest radius `radius`: clothoid, arc, clothoid. */
function filletPieces(angle: number, radius: number): ClothoidPiece[] {
  const k = Math.sign(angle) / radius;
  const clothoid = Math.abs(angle) * radius * CLOTHOID_SHARE;
  const arc = Math.abs(angle) * radius * (1 - CLOTHOID_SHARE);
  return [
    { length: clothoid, k0: 0, k1: k },
    { length: arc, k0: k, k1: k },
    { length: clothoid, k0: k, k1: 0 },
  ];
}

/** Distance from the corner at which a fillet of radius 1 leaves the straight line (scales with the radius). */
function unitTangentLength(angle: number): number {
  const end = curvePoint(sampleClothoids({ x: 0, y: 0, yaw: 0 }, scalePieces(filletPieces(Math.abs(angle), 1), 16)), Infinity);
  return (end.x - end.y / Math.tan(Math.abs(angle))) / 16;
}

function scalePieces(pieces: readonly ClothoidPiece[], scale: number): ClothoidPiece[] {
  return pieces.map(({ length, k0, k1 }) => ({ length: length * scale, k0: k0 / scale, k1: k1 / scale }));
}

/**
 * A smooth road line through a control polygon: straight lines joined by clothoid-arc-clothoid fillets, so that
 * heading and curvature are continuous.
 * @param points control polygon, at least two points
 * @param radii wished smallest radius at each inner point (m); smaller where the neighbouring segments are too short
 */
export function filletedPolyline(points: readonly (readonly [number, number])[], radii: readonly number[]): Curve {
  const directions: number[] = [];
  const lengths: number[] = [];
  for (let i = 1; i < points.length; i++) {
    const [x0, y0] = points[i - 1] as readonly [number, number];
    const [x1, y1] = points[i] as readonly [number, number];
    directions.push(Math.atan2(y1 - y0, x1 - x0));
    lengths.push(Math.hypot(x1 - x0, y1 - y0));
  }
  const pieces: ClothoidPiece[] = [];
  let spent = 0;
  for (let i = 0; i < lengths.length; i++) {
    const length = lengths[i] as number;
    const next = lengths[i + 1];
    if (next === undefined) {
      pieces.push({ length: length - spent, k0: 0, k1: 0 });
      break;
    }
    let angle = (directions[i + 1] as number) - (directions[i] as number);
    angle -= 2 * Math.PI * Math.round(angle / (2 * Math.PI));
    if (Math.abs(angle) < STRAIGHT_ANGLE) {
      pieces.push({ length: length - spent, k0: 0, k1: 0 });
      spent = 0;
      continue;
    }
    // An inner segment serves two corners; the first and the last serve one.
    const room = Math.min(i === 0 ? length : length / 2, i + 2 === lengths.length ? next : next / 2);
    const unit = unitTangentLength(angle);
    const radius = Math.min(radii[i] ?? Infinity, (0.98 * room) / unit);
    const tangent = radius * unit;
    pieces.push({ length: length - spent - tangent, k0: 0, k1: 0 }, ...filletPieces(angle, radius));
    spent = tangent;
  }
  const [x, y] = points[0] as readonly [number, number];
  return sampleClothoids({ x, y, yaw: directions[0] as number }, pieces.filter((piece) => piece.length > 1e-9));
}

/**
 * A path through a junction, straight at both ends: one fillet where the two lines meet ahead, else (nearly parallel
 * poses) a quintic Hermite curve with zero curvature at the ends.
 * @param from pose at the entry
 * @param to pose at the exit
 * @param largestRadius m, of the fillet
 */
export function connect(from: Pose, to: Pose, largestRadius: number): Curve {
  const angle = to.yaw - from.yaw - 2 * Math.PI * Math.round((to.yaw - from.yaw) / (2 * Math.PI));
  if (Math.abs(angle) > 0.35) {
    const dx = to.x - from.x;
    const dy = to.y - from.y;
    const before = (dx * Math.sin(to.yaw) - dy * Math.cos(to.yaw)) / Math.sin(angle);
    const after = (dy * Math.cos(from.yaw) - dx * Math.sin(from.yaw)) / Math.sin(angle);
    if (before > 0 && after > 0) {
      const unit = unitTangentLength(angle);
      const radius = Math.min(largestRadius, Math.min(before, after) / unit);
      const pieces = [
        { length: before - radius * unit, k0: 0, k1: 0 },
        ...filletPieces(angle, radius),
        { length: after - radius * unit, k0: 0, k1: 0 },
      ];
      return sampleClothoids(from, pieces.filter((piece) => piece.length > 1e-9));
    }
  }
  return quinticCurve(from, to, angle);
}

function quinticCurve(from: Pose, to: Pose, angle: number): Curve {
  const reach = Math.hypot(to.x - from.x, to.y - from.y);
  const axis = (p0: number, p1: number, d0: number, d1: number): ((u: number) => readonly [number, number, number]) => {
    const c3 = 10 * (p1 - p0) - 6 * d0 - 4 * d1;
    const c4 = -15 * (p1 - p0) + 8 * d0 + 7 * d1;
    const c5 = 6 * (p1 - p0) - 3 * d0 - 3 * d1;
    return (u) => [
      p0 + u * (d0 + u * u * (c3 + u * (c4 + u * c5))),
      d0 + u * u * (3 * c3 + u * (4 * c4 + u * 5 * c5)),
      u * (6 * c3 + u * (12 * c4 + u * 20 * c5)),
    ];
  };
  const alongX = axis(from.x, to.x, reach * Math.cos(from.yaw), reach * Math.cos(to.yaw));
  const alongY = axis(from.y, to.y, reach * Math.sin(from.yaw), reach * Math.sin(to.yaw));
  const fine = 200;
  const distance = new Float64Array(fine + 1);
  const speedAt = (u: number): number => Math.hypot(alongX(u)[1], alongY(u)[1]);
  for (let i = 0; i < fine; i++) {
    const simpson = speedAt(i / fine) + 4 * speedAt((i + 0.5) / fine) + speedAt((i + 1) / fine);
    distance[i + 1] = (distance[i] as number) + simpson / (6 * fine);
  }
  const { curve, steps } = emptyCurve(distance[fine] as number);
  let j = 0;
  for (let i = 0; i <= steps; i++) {
    const s = i * curve.step;
    while (j < fine - 1 && (distance[j + 1] as number) < s) j++;
    const low = distance[j] as number;
    const u = i === steps ? 1 : (j + (s - low) / ((distance[j + 1] as number) - low)) / fine;
    const [x, dx, ddx] = alongX(u);
    const [y, dy, ddy] = alongY(u);
    curve.x[i] = x;
    curve.y[i] = y;
    const turned = Math.atan2(dy, dx) - from.yaw;
    curve.yaw[i] = from.yaw + turned - 2 * Math.PI * Math.round(turned / (2 * Math.PI));
    curve.curvature[i] = (dx * ddy - dy * ddx) / Math.pow(dx * dx + dy * dy, 1.5);
  }
  curve.yaw[steps] = from.yaw + angle;
  return curve;
}

/**
 * The curve point at an arc length (clamped to the curve): cubic Hermite between samples.
 * @param s m from the start
 * @param out written and returned
 */
export function curvePoint(curve: Curve, s: number, out: CurvePoint = { x: 0, y: 0, yaw: 0, curvature: 0 }): CurvePoint {
  const { x, y, yaw, curvature, step } = curve;
  const last = x.length - 1;
  const clamped = s <= 0 ? 0 : s >= curve.length ? last : s / step;
  const i = clamped >= last ? last - 1 : Math.floor(clamped);
  const t = clamped - i;
  const x0 = x[i] as number;
  const x1 = x[i + 1] as number;
  const y0 = y[i] as number;
  const y1 = y[i + 1] as number;
  const yaw0 = yaw[i] as number;
  const yaw1 = yaw[i + 1] as number;
  const h11 = t * t * (t - 1) * step;
  const h10 = t * (t - 1) * (t - 1) * step;
  const h01 = t * t * (3 - 2 * t);
  out.x = x0 + h01 * (x1 - x0) + h10 * Math.cos(yaw0) + h11 * Math.cos(yaw1);
  out.y = y0 + h01 * (y1 - y0) + h10 * Math.sin(yaw0) + h11 * Math.sin(yaw1);
  out.yaw = yaw0 + t * (yaw1 - yaw0);
  out.curvature = (curvature[i] as number) + t * ((curvature[i + 1] as number) - (curvature[i] as number));
  return out;
}

/**
 * The parallel curve at a distance, from arc length `from` to `to` of the original.
 * @param distance m, left positive; less than the smallest radius on that side
 */
export function offsetCurve(curve: Curve, distance: number, from = 0, to = curve.length): Curve {
  const point = curvePoint(curve, from);
  const yaw0 = point.yaw;
  const total = to - from - distance * (curvePoint(curve, to).yaw - yaw0);
  const { curve: parallel, steps } = emptyCurve(total);
  let s = from;
  for (let i = 0; i <= steps; i++) {
    const target = i * parallel.step;
    for (let newton = 0; newton < 4; newton++) {
      curvePoint(curve, s, point);
      const error = s - from - distance * (point.yaw - yaw0) - target;
      if (Math.abs(error) < 1e-9) break;
      s = Math.min(to, Math.max(from, s - error / (1 - distance * point.curvature)));
    }
    if (i === steps) s = to;
    curvePoint(curve, s, point);
    parallel.x[i] = point.x - distance * Math.sin(point.yaw);
    parallel.y[i] = point.y + distance * Math.cos(point.yaw);
    parallel.yaw[i] = point.yaw;
    parallel.curvature[i] = point.curvature / (1 - distance * point.curvature);
  }
  return parallel;
}

/** The same curve driven the other way. */
export function reverseCurve(curve: Curve): Curve {
  return {
    length: curve.length,
    step: curve.step,
    x: curve.x.slice().reverse(),
    y: curve.y.slice().reverse(),
    yaw: curve.yaw.map((angle) => angle + Math.PI).reverse(),
    curvature: curve.curvature.map((k) => -k).reverse(),
  };
}

/** Largest absolute curvature of a curve, 1/m. */
export function sharpestCurvature(curve: Curve): number {
  return curve.curvature.reduce((most, k) => Math.max(most, Math.abs(k)), 0);
}
