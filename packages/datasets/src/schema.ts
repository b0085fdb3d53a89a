/**
 * The scene schema every reader, the synthetic town, the renderer and the feature builder share.
 *
 * World frame: the map frame of the source, right-handed, metres, x east, y north, z up; yaw in radians,
 * counter-clockwise from +x. The model frame (x right, y forward, origin at the lidar) appears only in features.
 */

/** Agent classes in the published order; an agent's label is its index here. */
export const AGENT_CLASSES = [
  "car",
  "truck",
  "construction_vehicle",
  "bus",
  "trailer",
  "barrier",
  "motorcycle",
  "bicycle",
  "pedestrian",
  "traffic_cone",
] as const;
/** Name of an agent class. */
export type AgentClass = (typeof AGENT_CLASSES)[number];

/** Map line classes in the published order; a line's label is its index here. */
export const MAP_CLASSES = ["ped_crossing", "divider", "boundary"] as const;
/** Name of a map line class. */
export type MapClass = (typeof MAP_CLASSES)[number];

/** Driving commands in the published order. */
export const COMMANDS = ["right", "left", "straight"] as const;
/** Name of a driving command. */
export type Command = (typeof COMMANDS)[number];

/** An oriented box over time. Arrays have one entry (or row) a frame; invalid frames hold zeros. */
export interface Track {
  /** Identity within the scene. */
  readonly id: string;
  readonly category: AgentClass;
  /** Category of the source, e.g. `vehicle.bus.rigid`. */
  readonly sourceCategory: string;
  /** [F, 3] m, world frame. Agents: box centre. Ego: rear-axle centre on the ground. */
  readonly position: Float64Array;
  /** [F] rad, world frame, wrapped to (-pi, pi]. */
  readonly heading: Float64Array;
  /** [F, 2] m/s, world frame. */
  readonly velocity: Float64Array;
  /** [F] 1 where the track exists. */
  readonly valid: Uint8Array;
  /**
   * [F] 1 where a lidar or radar saw it. Samples list an agent only where it was seen, as published; its future and the
   * obstacles of the metrics go on regardless. Absent: seen wherever it is valid.
   */
  readonly observed?: Uint8Array;
  /** m, along the heading. */
  readonly length: number;
  /** m, across the heading. */
  readonly width: number;
  /** m. */
  readonly height: number;
}

/** A map line of one of the three classes the planner sees. */
export interface MapLine {
  readonly id: string;
  readonly category: MapClass;
  /** Paint for the renderer and the pictures. */
  readonly style: "solid_white" | "broken_white" | "solid_yellow" | "edge" | "crossing";
  /** [P, 2] m, world frame; may be kilometres long. A crossing is its closed outline (first point repeated). */
  readonly points: Float64Array;
}

/** A lane or lane connector. */
export interface Lane {
  readonly id: string;
  /** [P, 3] x, y (m), yaw (rad), world frame, in driving direction. */
  readonly centerline: Float64Array;
  /** [P, 2] m, outline of the surface, or null for a connector without one. */
  readonly polygon: Float64Array | null;
  /** True inside a junction. */
  readonly connector: boolean;
  /** Lanes that begin where this one ends. */
  readonly successors: readonly string[];
}

/** A photograph of one camera, taken about the time of a frame. */
export interface CameraImage {
  /** e.g. `CAM_FRONT`. */
  readonly camera: string;
  readonly frame: number;
  /** Path or address of the image file, below the folder the scenes were loaded from. */
  readonly file: string;
  /** px */
  readonly width: number;
  /** px */
  readonly height: number;
  /** [3, 3] row-major pinhole matrix, px. */
  readonly intrinsics: Float64Array;
  /**
   * [4, 4] row-major, takes world-frame points (m) to camera-frame points (m; x right, y down, z forward) at the time of
   * the exposure, so the car's motion since the frame is included. Times `Sample.worldFromModel` it takes model-frame points.
   */
  readonly cameraFromWorld: Float64Array;
}

/** A recorded or simulated scene. */
export interface Scene {
  /** e.g. `scene-0061` or `town-000017`. */
  readonly id: string;
  readonly source: "scenarionet" | "nuscenes" | "av2" | "synthetic";
  readonly drivingSide: "left" | "right";
  /** s between frames. */
  readonly interval: number;
  /** [F] s. */
  readonly timestamps: Float64Array;
  /** Frames that carry original (not interpolated) annotations, ascending. */
  readonly keyframes: Int32Array;
  /** Rear-axle track; its length and width are the real car's (nuScenes: 4.084 x 1.85). */
  readonly ego: Track;
  /** [F] rad, road-wheel steering angle, left positive. */
  readonly steering: Float64Array;
  /**
   * [F, 10] the car's own measurements (nuScenes: CAN bus), unchanged: acceleration (3, m/s^2, gravity included), angular
   * rate (3, rad/s), velocity (3, m/s), angle of the steering WHEEL (rad, left positive); vehicle axes x forward, y left,
   * z up. Absent where nothing was measured: samples then tell the status from the path.
   */
  readonly egoStatus?: Float64Array;
  readonly agents: readonly Track[];
  readonly lines: readonly MapLine[];
  readonly lanes: readonly Lane[];
  /**
   * Frames k where the ego pose jumps, or time is missing, between k - 1 and k (a flaw of the source): no sample's history
   * or future may cross one.
   */
  readonly jumps: readonly number[];
  /** Photographs, ordered by frame; absent where the source has none. */
  readonly cameras?: readonly CameraImage[];
}

/** Distance from the rear axle to the lidar, the origin of the model frame: m ahead, m above. */
export const LIDAR_OFFSET = { forward: 0.94, up: 1.84 } as const;
/** Ego box for evaluation (m) and the distance from the rear axle to its centre. */
export const EGO_SIZE = { length: 4.084, width: 1.85, height: 1.56 } as const;
