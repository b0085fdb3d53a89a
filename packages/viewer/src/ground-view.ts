import { ViewerError } from "./errors.js";
import { digits } from "./markup.js";

/** The ground a picture shows, m around the origin of the model frame. */
export interface GroundRegion {
  readonly left: number;
  readonly right: number;
  readonly ahead: number;
  readonly behind: number;
}

/** Maps metres of the model frame (x right, y forward) to pixels (x right, y down). */
export interface GroundView {
  readonly region: GroundRegion;
  /** px. */
  readonly width: number;
  /** px. */
  readonly height: number;
  /** px per m. */
  readonly scale: number;
  /** Pixel position of a point. @throws ViewerError when it is not finite */
  point(x: number, y: number): readonly [number, number];
  /** Path data through [P, 2] points (m, flat). @throws ViewerError when one is not finite */
  path(points: ArrayLike<number>, options?: { readonly fromOrigin?: boolean; readonly closed?: boolean }): string;
}

/**
 * A view of a region, as wide as asked.
 *
 * @param region m
 * @param width px
 * @throws ViewerError when the region is empty or not finite
 */
export function groundView(region: GroundRegion, width: number): GroundView {
  const across = region.left + region.right;
  const along = region.ahead + region.behind;
  if (!(across > 0 && along > 0 && Number.isFinite(across + along))) {
    throw new ViewerError("groundView", `empty region, expected positive extents, got ${across} x ${along} m`, "Check left, right, ahead and behind.");
  }
  const scale = width / across;
  const point = (x: number, y: number): readonly [number, number] => {
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      throw new ViewerError("groundView", `point cannot be drawn, expected finite metres, got (${x}, ${y})`, "Leave out masked entries or repair the data.");
    }
    return [(x + region.left) * scale, (region.ahead - y) * scale];
  };
  return {
    region,
    width,
    height: Math.round(along * scale),
    scale,
    point,
    path(points, { fromOrigin = false, closed = false } = {}) {
      const drawn = fromOrigin ? [0, 0, ...Array.from(points)] : Array.from(points);
      const steps: string[] = [];
      for (let i = 0; i + 1 < drawn.length; i += 2) {
        const [x, y] = point(drawn[i] ?? NaN, drawn[i + 1] ?? NaN);
        steps.push(`${digits(Math.round(x * 10) / 10)} ${digits(Math.round(y * 10) / 10)}`);
      }
      return steps.length === 0 ? "" : `M${steps.join("L")}${closed ? "Z" : ""}`;
    },
  };
}
