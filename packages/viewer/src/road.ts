import { LIDAR_OFFSET, type Scene } from "@distilldrive/datasets";

/** The moment a picture shows; the feature builder's `Sample` fits. */
export interface RoadMoment {
  /** Index of the frame whose ego pose is the model frame. */
  readonly frame: number;
  /** Left-right mirrored, default false. */
  readonly mirrored?: boolean;
}

/** Where to look for road. */
export interface RoadOptions {
  /** m, lanes with no point this close to the ego are left out; default 70. */
  readonly radius?: number;
}

/** m, drawn width of a lane connector, which has a centre line only. */
const CONNECTOR_WIDTH = 3.5;

/**
 * Outlines of the lanes around the ego, for the ground of a bird's-eye picture.
 *
 * @param scene any scene of the schema
 * @param moment frame of the scene, mirrored or not
 * @returns [P, 2] m each, model frame (x right, y forward, origin at the lidar), flat
 */
export function roadAround(scene: Scene, moment: RoadMoment, options: RoadOptions = {}): Float64Array[] {
  const { radius = 70 } = options;
  const { frame, mirrored = false } = moment;
  const side = mirrored ? -1 : 1;
  const heading = scene.ego.heading[frame] ?? 0;
  const [cos, sin] = [Math.cos(heading), Math.sin(heading)];
  const originX = (scene.ego.position[3 * frame] ?? 0) + LIDAR_OFFSET.forward * cos;
  const originY = (scene.ego.position[3 * frame + 1] ?? 0) + LIDAR_OFFSET.forward * sin;
  const outlines: Float64Array[] = [];
  for (const lane of scene.lanes) {
    const world = lane.polygon ?? stripAround(lane.centerline, CONNECTOR_WIDTH);
    const outline = new Float64Array(world.length);
    let near = false;
    for (let i = 0; i + 1 < world.length; i += 2) {
      const dx = (world[i] ?? 0) - originX;
      const dy = (world[i + 1] ?? 0) - originY;
      outline[i] = side * (sin * dx - cos * dy);
      outline[i + 1] = cos * dx + sin * dy;
      near ||= Math.hypot(dx, dy) < radius;
    }
    if (near) outlines.push(outline);
  }
  return outlines;
}

/** Outline of a strip: left side forth, right side back. */
function stripAround(centerline: Float64Array, width: number): Float64Array {
  const points = centerline.length / 3;
  const outline = new Float64Array(4 * points);
  for (let i = 0; i < points; i += 1) {
    const [x = 0, y = 0, yaw = 0] = centerline.subarray(3 * i, 3 * i + 3);
    const [across, along] = [(-Math.sin(yaw) * width) / 2, (Math.cos(yaw) * width) / 2];
    outline.set([x + across, y + along], 2 * i);
    outline.set([x - across, y - along], 2 * (2 * points - 1 - i));
  }
  return outline;
}
