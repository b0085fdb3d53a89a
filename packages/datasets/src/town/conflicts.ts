import type { Curve } from "./curve.js";

/** What this file needs to know of a connector. */
export interface JunctionPath {
  readonly curve: Curve;
  readonly from: { readonly road: object; readonly direction: number };
  readonly to: object;
  readonly turn: "right" | "left" | "straight";
}

/** How another connector's path is in the way of mine. */
export interface Conflict {
  /** m along the other connector: once a vehicle's rear is beyond, it is out of my way. */
  readonly clear: number;
  /**
   * True when both leave the same lane: then the paths do not exclude each other, but a vehicle on the other one is
   * one to keep distance from until it is clear.
   */
  readonly sameStart: boolean;
}

/**
 * Least distances (m) between the centre lines of two vehicles' paths: a bus is 2.9 m wide and swings out by 0.9 m in
 * the tightest turn.
 */
const APART = { sameArm: 3.1, straights: 3.1, turns: 4.2 } as const;

/**
 * Compares every pair of connectors of a junction.
 * @returns conflicts[a][b]: how b's path is in the way of a's, or null
 */
export function findConflicts(connectors: readonly JunctionPath[]): (Conflict | null)[][] {
  return connectors.map((mine) => connectors.map((other) => (mine === other ? null : compare(mine, other))));
}

function compare(mine: JunctionPath, other: JunctionPath): Conflict | null {
  const sameStart = mine.from === other.from;
  const sameArm = mine.from.road === other.from.road && mine.from.direction === other.from.direction;
  const straights = mine.turn === "straight" && other.turn === "straight";
  const apart = sameArm ? APART.sameArm : straights ? APART.straights : APART.turns;
  const merge = mine.to === other.to;
  let clear = merge ? other.curve.length : -1;
  const { x, y } = mine.curve;
  for (let i = other.curve.x.length - 1; i >= 0 && clear < 0; i -= 2) {
    const ox = other.curve.x[i] as number;
    const oy = other.curve.y[i] as number;
    for (let j = 0; j < x.length; j += 2) {
      const dx = (x[j] as number) - ox;
      const dy = (y[j] as number) - oy;
      if (dx * dx + dy * dy < apart * apart) {
        clear = Math.min(other.curve.length, i * other.curve.step + 1);
        break;
      }
    }
  }
  return clear < 0 ? null : { clear, sameStart };
}
