import type { AgentClass, MapLine } from "../schema.js";

/** An sRGB colour, 0..255 a channel. */
export type Rgb = readonly [number, number, number];

/** Ground beside the road. */
export const OFF_ROAD: Rgb = [124, 128, 104];
/** Lanes. */
export const ROAD: Rgb = [82, 84, 90];
/** Junction strips around connectors; nearly the road's colour. */
export const JUNCTION: Rgb = [86, 87, 92];
/** Haze that distance fades into, and the sky at the horizon. */
export const HORIZON: Rgb = [205, 214, 222];
/** Sky overhead. */
export const ZENITH: Rgb = [96, 146, 205];

/** Paint of a line style. */
export const LINE_COLORS: Readonly<Record<MapLine["style"], Rgb>> = {
  solid_white: [235, 235, 232],
  broken_white: [235, 235, 232],
  solid_yellow: [232, 186, 48],
  edge: [176, 170, 158],
  crossing: [240, 240, 236],
};

/** Body colour of an agent class: hues far apart, so that a small network can tell the classes. */
export const AGENT_COLORS: Readonly<Record<AgentClass, Rgb>> = {
  car: [44, 98, 190],
  truck: [196, 112, 32],
  construction_vehicle: [222, 184, 20],
  bus: [186, 44, 44],
  trailer: [140, 92, 60],
  barrier: [226, 104, 96],
  motorcycle: [148, 64, 176],
  bicycle: [32, 160, 150],
  pedestrian: [216, 72, 150],
  traffic_cone: [248, 122, 16],
};

/** How the box shader decorates a class: 0 plain, 1 vehicle with windows, 2 trailer, 3 two-wheeler, 4 person, 5 cone, 6 barrier. */
export const AGENT_STYLES: Readonly<Record<AgentClass, number>> = {
  car: 1,
  truck: 1,
  construction_vehicle: 1,
  bus: 1,
  trailer: 2,
  barrier: 6,
  motorcycle: 3,
  bicycle: 3,
  pedestrian: 4,
  traffic_cone: 5,
};
