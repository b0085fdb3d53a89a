import type { AgentClass } from "../schema.js";
import { EGO_SIZE } from "../schema.js";
import type { SpeedHabits } from "./path.js";
import type { Random } from "./random.js";

/** A kind of road user or object. */
export interface Kind {
  readonly category: AgentClass;
  readonly sourceCategory: string;
  /** m: mean length, width, height. */
  readonly size: readonly [number, number, number];
}

/**
 * Mean box sizes of the nuScenes training set (as in the anchors of CBGS, Zhu et al. 2019, and CenterPoint), but for
 * trailers and construction vehicles, which stand in parking strips here and are small ones that fit.
 */
export const KINDS = {
  car: { category: "car", sourceCategory: "vehicle.car", size: [4.6, 1.95, 1.72] },
  truck: { category: "truck", sourceCategory: "vehicle.truck", size: [6.93, 2.51, 2.84] },
  bus: { category: "bus", sourceCategory: "vehicle.bus.rigid", size: [10.5, 2.9, 3.47] },
  trailer: { category: "trailer", sourceCategory: "vehicle.trailer", size: [4.5, 1.7, 2.2] },
  construction: { category: "construction_vehicle", sourceCategory: "vehicle.construction", size: [4.2, 1.7, 2.6] },
  motorcycle: { category: "motorcycle", sourceCategory: "vehicle.motorcycle", size: [2.11, 0.77, 1.47] },
  bicycle: { category: "bicycle", sourceCategory: "vehicle.bicycle", size: [1.7, 0.6, 1.28] },
  pedestrian: { category: "pedestrian", sourceCategory: "human.pedestrian.adult", size: [0.73, 0.67, 1.77] },
  cone: { category: "traffic_cone", sourceCategory: "movable_object.trafficcone", size: [0.41, 0.41, 1.07] },
  barrier: { category: "barrier", sourceCategory: "movable_object.barrier", size: [0.5, 2.53, 0.98] },
} as const satisfies Record<string, Kind>;

/**
 * A driver: parameters of the intelligent driver model (Treiber, Hennecke, Helbing, "Congested traffic states in
 * empirical observations and microscopic simulations", Phys. Rev. E 62, 2000) and habits in curves.
 */
export interface Driver extends SpeedHabits {
  /** s, T of the model. */
  readonly headway: number;
  /** m, s0 of the model. */
  readonly standstillGap: number;
  /** m/s^2, a of the model. */
  readonly acceleration: number;
  /** m/s^2, b of the model (positive). */
  readonly braking: number;
  /** m/s^2, hardest braking the simulation lets the driver do (positive). */
  readonly hardestBraking: number;
  /** m/s^3, how fast acceleration changes; Infinity for no limit. */
  readonly jerk: number;
}

/** A vehicle that can drive. */
export interface VehicleModel extends Kind {
  /** m between the axles. */
  readonly wheelbase: number;
  /** m from the rear axle to the rear. */
  readonly rearOverhang: number;
  readonly driver: Driver;
  /** m to the left of the lane's centre line. */
  readonly offset: number;
  /** m; turns sharper than this are avoided. */
  readonly smallestRadius: number;
}

/** m from the ego's rear axle to its front axle. */
export const EGO_WHEELBASE = 2.588;
/** m from the ego's rear axle to the centre of its box: the lidar's 0.94 and the planning metric's 0.5. */
export const EGO_CENTER = 1.44;

/** The expert: calmer than the traffic, with limited jerk. */
export function egoModel(random: Random): VehicleModel {
  return {
    ...KINDS.car,
    size: [EGO_SIZE.length, EGO_SIZE.width, EGO_SIZE.height],
    wheelbase: EGO_WHEELBASE,
    rearOverhang: EGO_SIZE.length / 2 - EGO_CENTER,
    offset: random.range(-0.15, 0.15),
    smallestRadius: 0,
    driver: {
      limitFactor: random.range(0.9, 1.05),
      topSpeed: 15,
      lateral: random.range(1.7, 2.3),
      headway: random.range(1.2, 1.7),
      standstillGap: random.range(2, 2.8),
      acceleration: random.range(1.5, 2.2),
      braking: random.range(1.4, 1.8),
      hardestBraking: 6,
      jerk: 3.5,
    },
  };
}

/** Draws a vehicle of the moving traffic. */
export function drawVehicle(random: Random, laneWidth: number): VehicleModel {
  const kinds = [KINDS.car, KINDS.truck, KINDS.bus, KINDS.motorcycle, KINDS.bicycle] as const;
  const kind = kinds[random.weighted([0.76, 0.08, 0.04, 0.05, 0.07])] ?? KINDS.car;
  const scale = random.range(0.93, 1.07);
  const [length, width, height] = kind.size;
  const heavy = kind === KINDS.truck || kind === KINDS.bus;
  const bicycle = kind === KINDS.bicycle;
  const twoWheels = bicycle || kind === KINDS.motorcycle;
  return {
    ...kind,
    size: [length * scale, width * random.range(0.96, 1.02), height * random.range(0.94, 1.06)],
    wheelbase: length * scale * (heavy ? 0.55 : 0.6),
    rearOverhang: length * scale * 0.22,
    offset: bicycle ? -(laneWidth / 2 - 0.75) : random.range(-0.15, 0.15),
    smallestRadius: heavy ? 9 : 0,
    driver: {
      limitFactor: random.range(0.8, 1.1),
      topSpeed: bicycle ? random.range(3.5, 6) : heavy ? 13 : 17,
      lateral: heavy ? random.range(1.3, 1.8) : random.range(1.8, 2.6),
      headway: random.range(1, 1.8),
      standstillGap: random.range(1.8, 3),
      acceleration: heavy || bicycle ? random.range(0.8, 1.2) : twoWheels ? random.range(1.5, 2.2) : random.range(1.2, 2),
      braking: random.range(1.5, 2.2),
      hardestBraking: 6,
      jerk: Infinity,
    },
  };
}
