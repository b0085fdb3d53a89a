import RBush from "rbush";
import type { MapLine, Scene } from "../schema.js";
import { forwardOf, rightOf, type ModelFrame } from "./frame.js";

/** Segments a box of the index covers. */
const RUN = 16;
/** m; shorter pieces in the region are dropped. */
const SHORTEST_PIECE = 0.5;

/** Consecutive segments [from, to) of one line with their bounding box (m, world). */
interface Run {
  readonly minX: number;
  readonly minY: number;
  readonly maxX: number;
  readonly maxY: number;
  readonly line: number;
  readonly from: number;
  readonly to: number;
}

/** A part of a line inside the region. */
export interface LinePiece {
  /** Index in `scene.lines`. */
  readonly line: number;
  /** x, y (m, model frame) of each point. */
  readonly points: readonly number[];
}

/** Finds the parts of a scene's lines inside a region around the car; lines may be kilometres long. */
export class LineIndex {
  private readonly tree = new RBush<Run>();
  private readonly lines: readonly MapLine[];

  constructor(scene: Scene) {
    this.lines = scene.lines;
    this.tree.load(scene.lines.flatMap((line, l) => runsOf(line.points, l)));
  }

  /**
   * Parts of all lines inside |x| <= half.x, |y| <= half.y of a model frame, in order of the lines and along them.
   * Outlines that are closed are not cut at their first point. Parts shorter than 0.5 m are dropped.
   */
  piecesWithin(frame: ModelFrame, half: { readonly x: number; readonly y: number }): LinePiece[] {
    const reachX = half.x * Math.abs(frame.sin) + half.y * Math.abs(frame.cos);
    const reachY = half.x * Math.abs(frame.cos) + half.y * Math.abs(frame.sin);
    const hits = this.tree
      .search({ minX: frame.x - reachX, maxX: frame.x + reachX, minY: frame.y - reachY, maxY: frame.y + reachY })
      .sort((a, b) => a.line - b.line || a.from - b.from);
    const pieces: LinePiece[] = [];
    for (let h = 0; h < hits.length; ) {
      const line = hits[h]?.line ?? 0;
      const clipper = new Clipper(this.lines[line]?.points ?? new Float64Array(0), frame, half);
      for (; h < hits.length && hits[h]?.line === line; h++) clipper.clip(hits[h]?.from ?? 0, hits[h]?.to ?? 0);
      for (const points of clipper.finish()) {
        if (pathLength(points) >= SHORTEST_PIECE) pieces.push({ line, points });
      }
    }
    return pieces;
  }
}

function runsOf(points: Float64Array, line: number): Run[] {
  const runs: Run[] = [];
  const segments = points.length / 2 - 1;
  for (let from = 0; from < segments; from += RUN) {
    const to = Math.min(segments, from + RUN);
    let [minX, minY, maxX, maxY] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let p = from; p <= to; p++) {
      const [x, y] = [points[2 * p] ?? 0, points[2 * p + 1] ?? 0];
      minX = Math.min(minX, x);
      maxX = Math.max(maxX, x);
      minY = Math.min(minY, y);
      maxY = Math.max(maxY, y);
    }
    runs.push({ minX, minY, maxX, maxY, line, from, to });
  }
  return runs;
}

/** Clips segments of one line, given in order, and joins what stays connected (Liang and Barsky). */
class Clipper {
  private readonly pieces: { points: number[]; from: number; entered: boolean }[] = [];
  private open: { points: number[]; from: number; entered: boolean } | null = null;
  private next = -1;

  constructor(
    private readonly source: Float64Array,
    private readonly frame: ModelFrame,
    private readonly half: { readonly x: number; readonly y: number },
  ) {}

  /** Clips segments [from, to). */
  clip(from: number, to: number): void {
    if (from !== this.next) this.open = null;
    let [ax, ay] = this.point(from);
    for (let s = from; s < to; s++) {
      const [bx, by] = this.point(s + 1);
      this.segment(s, ax, ay, bx, by);
      [ax, ay] = [bx, by];
    }
    this.next = to;
  }

  /** The pieces found; the ends of a closed line are joined where they meet inside. */
  finish(): number[][] {
    const last = this.source.length - 2;
    const closed = this.source[0] === this.source[last] && this.source[1] === this.source[last + 1];
    const [head, tail] = [this.pieces[0], this.open];
    const meets = closed && tail !== null && head !== undefined && head !== tail && head.from === 0 && !head.entered && this.next === last / 2;
    if (!meets) return this.pieces.map((piece) => piece.points);
    const joined = [...tail.points, ...head.points.slice(2)];
    return [joined, ...this.pieces.slice(1, -1).map((piece) => piece.points)];
  }

  private point(p: number): [number, number] {
    const dx = (this.source[2 * p] ?? 0) - this.frame.x;
    const dy = (this.source[2 * p + 1] ?? 0) - this.frame.y;
    return [rightOf(this.frame, dx, dy), forwardOf(this.frame, dx, dy)];
  }

  private segment(s: number, ax: number, ay: number, bx: number, by: number): void {
    const [dx, dy] = [bx - ax, by - ay];
    let [enter, leave] = [0, 1];
    for (const [step, room] of [[-dx, ax + this.half.x], [dx, this.half.x - ax], [-dy, ay + this.half.y], [dy, this.half.y - ay]] as const) {
      if (step === 0) {
        if (room < 0) leave = -1;
      } else if (step < 0) enter = Math.max(enter, room / step);
      else leave = Math.min(leave, room / step);
    }
    if (enter > leave) {
      this.open = null;
      return;
    }
    if (this.open === null || enter > 0) {
      this.open = { points: [ax + enter * dx, ay + enter * dy], from: s, entered: enter > 0 };
      this.pieces.push(this.open);
    }
    this.open.points.push(ax + leave * dx, ay + leave * dy);
    if (leave < 1) this.open = null;
  }
}

/** Length of a path of x, y pairs (m). */
export function pathLength(points: readonly number[]): number {
  let length = 0;
  for (let p = 2; p < points.length; p += 2) {
    length += Math.hypot((points[p] ?? 0) - (points[p - 2] ?? 0), (points[p + 1] ?? 0) - (points[p - 1] ?? 0));
  }
  return length;
}

/**
 * Writes `count` equidistant points along a path, its ends included.
 * @param points x, y pairs
 * @param out receives [count, 2] at `offset`
 */
export function resamplePath(points: readonly number[], count: number, out: Float32Array, offset: number): void {
  const spacing = pathLength(points) / (count - 1);
  const last = points.length - 2;
  let [segment, before] = [0, 0];
  let length = Math.hypot((points[2] ?? 0) - (points[0] ?? 0), (points[3] ?? 0) - (points[1] ?? 0));
  for (let i = 0; i < count; i++) {
    const target = i * spacing;
    while (before + length < target && segment + 2 < last) {
      before += length;
      segment += 2;
      length = Math.hypot((points[segment + 2] ?? 0) - (points[segment] ?? 0), (points[segment + 3] ?? 0) - (points[segment + 1] ?? 0));
    }
    const share = i === count - 1 ? 1 : length > 0 ? Math.min(1, (target - before) / length) : 0;
    const from = i === count - 1 ? last - 2 : segment;
    for (let c = 0; c < 2; c++) {
      const a = points[from + c] ?? 0;
      out[offset + 2 * i + c] = a + share * ((points[from + 2 + c] ?? 0) - a);
    }
  }
}
