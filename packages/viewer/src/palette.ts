import type { AgentClass, MapClass } from "@distilldrive/datasets";

/**
 * Colours of pictures and curves: the Okabe-Ito set, told apart with every common colour blindness. The map keeps to
 * greys and line patterns, so that colour is left for what moves.
 */
export const COLORS = {
  paper: "#fcfbf8",
  road: "#eeece6",
  ink: "#22252b",
  faintInk: "#6b7079",
  halo: "#ffffff",
  ego: "#22252b",
  expert: "#22252b",
  plan: "#d55e00",
  scale: "#22252b",
} as const;

/** How one group of agent classes is drawn. */
export interface AgentStyle {
  readonly label: string;
  readonly color: string;
}

const CAR: AgentStyle = { label: "car", color: "#0072b2" };
const LARGE: AgentStyle = { label: "truck, bus, trailer", color: "#56b4e9" };
const CYCLE: AgentStyle = { label: "two-wheeler", color: "#009e73" };
const PERSON: AgentStyle = { label: "pedestrian", color: "#cc79a7" };
const OBSTACLE: AgentStyle = { label: "barrier, cone", color: "#b8860b" };

/** Style of every agent class; classes that share a style share its legend entry. */
export const AGENT_STYLES: Readonly<Record<AgentClass, AgentStyle>> = {
  car: CAR,
  truck: LARGE,
  construction_vehicle: LARGE,
  bus: LARGE,
  trailer: LARGE,
  barrier: OBSTACLE,
  motorcycle: CYCLE,
  bicycle: CYCLE,
  pedestrian: PERSON,
  traffic_cone: OBSTACLE,
};

/** How a class of map lines is drawn; width and dash in pixels. */
export interface LineStyle {
  readonly label: string;
  readonly color: string;
  readonly width: number;
  readonly dash: string | null;
}

/** Style of every map line class. */
export const LINE_STYLES: Readonly<Record<MapClass, LineStyle>> = {
  ped_crossing: { label: "crossing", color: "#8fa3ad", width: 2, dash: "1.5 2.5" },
  divider: { label: "divider", color: "#b3aca0", width: 1.5, dash: "7 4" },
  boundary: { label: "road edge", color: "#6f6a62", width: 2, dash: null },
};

/** Colours of curves in a chart, in order: the same set, the blue lightened so that it also reads on dark pages, then two more. */
export const CURVE_COLORS = ["#2f86c6", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8466c9", "#9a7b3a"] as const;
