import { wrapAngle } from "../angles.js";
import type { Track } from "../schema.js";
import type { Kind } from "./fleet.js";
import type { Motion } from "./vehicle.js";

/** Where an agent is in a frame, or null when it is not there. */
export type MotionAt = (out: Motion) => Motion | null;

/** Collects one agent's track frame by frame. */
export class TrackRecorder {
  private readonly position: Float64Array;
  private readonly heading: Float64Array;
  private readonly velocity: Float64Array;
  private readonly present: Uint8Array;
  private readonly scratch: Motion = { x: 0, y: 0, yaw: 0, vx: 0, vy: 0 };

  /**
   * @param size m: length, width, height
   * @param frames number of frames
   * @param motion asked once a frame
   */
  constructor(
    private readonly id: string,
    private readonly kind: Kind,
    private readonly size: readonly [number, number, number],
    private readonly frames: number,
    private readonly motion: MotionAt,
  ) {
    this.position = new Float64Array(3 * frames);
    this.heading = new Float64Array(frames);
    this.velocity = new Float64Array(2 * frames);
    this.present = new Uint8Array(frames);
  }

  /** Notes where the agent is in a frame. */
  record(frame: number): void {
    const now = this.motion(this.scratch);
    if (now === null) return;
    this.present[frame] = 1;
    this.position[3 * frame] = now.x;
    this.position[3 * frame + 1] = now.y;
    this.position[3 * frame + 2] = this.size[2] / 2;
    this.heading[frame] = wrapAngle(now.yaw);
    this.velocity[2 * frame] = now.vx;
    this.velocity[2 * frame + 1] = now.vy;
  }

  /**
   * The track from the first to the last frame in which the agent is within `range` m of the ego, zeros elsewhere;
   * null where it never is.
   */
  finish(ego: Float64Array, range: number): Track | null {
    let first = -1;
    let last = -1;
    for (let f = 0; f < this.frames; f++) {
      if (this.present[f] === 0) continue;
      const dx = (this.position[3 * f] as number) - (ego[3 * f] as number);
      const dy = (this.position[3 * f + 1] as number) - (ego[3 * f + 1] as number);
      if (dx * dx + dy * dy > range * range) continue;
      if (first < 0) first = f;
      last = f;
    }
    if (first < 0) return null;
    const valid = new Uint8Array(this.frames).fill(1, first, last + 1);
    for (const [values, width] of [[this.position, 3], [this.heading, 1], [this.velocity, 2]] as const) {
      values.fill(0, 0, first * width);
      values.fill(0, (last + 1) * width);
    }
    const [length, width, height] = this.size;
    return {
      id: this.id,
      category: this.kind.category,
      sourceCategory: this.kind.sourceCategory,
      position: this.position,
      heading: this.heading,
      velocity: this.velocity,
      valid,
      length,
      width,
      height,
    };
  }
}
