import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { wrapAngle } from "./angles.js";
import { detectJumps, halfSecondVelocity, planarMotion, steeringFromPath, WHEELBASE } from "./motion.js";

const FRAMES = 100;
const DT = 0.1;

/** A car on a circle: constant acceleration along, constant yaw rate; ordinary recorded timing noise on top. */
function drive(options: { speed: number; acceleration: number; yawRate: number; noise?: (frame: number) => number }): {
  position: Float64Array;
  heading: Float64Array;
} {
  const position = new Float64Array(3 * FRAMES);
  const heading = new Float64Array(FRAMES);
  let [x, y, yaw] = [100, -50, 3];
  for (let f = 0; f < FRAMES; f++) {
    position.set([x, y, 0], 3 * f);
    heading[f] = wrapAngle(yaw);
    const share = 1 + (options.noise?.(f) ?? 0);
    for (let s = 0; s < 20; s++) {
      const step = (DT / 20) * Math.max(0, options.speed + options.acceleration * (f + s / 20) * DT) * share;
      x += step * Math.cos(yaw);
      y += step * Math.sin(yaw);
      yaw += (options.yawRate * DT) / 20;
    }
  }
  return { position, heading };
}

describe("planarMotion", () => {
  it("recovers speed, acceleration and yaw rate of a known drive", () => {
    const { position, heading } = drive({ speed: 3, acceleration: 1.2, yawRate: 0.3 });
    const motion = planarMotion(position, heading, 40, DT, []);
    // Mean over the last 0.5 s: the speed of 0.25 s ago.
    expect(motion.speed).toBeCloseTo(3 + 1.2 * (4 - 0.25), 2);
    expect(motion.acceleration).toBeCloseTo(1.2, 2);
    expect(motion.yawRate).toBeCloseTo(0.3, 6);
    const steering = steeringFromPath(position, heading, DT, []);
    expect(steering[40]).toBeCloseTo(Math.atan((WHEELBASE * 0.3) / motion.speed), 6);
  });

  it("does not see what comes after the frame, nor what lies behind a jump", () => {
    const calm = drive({ speed: 8, acceleration: 0, yawRate: 0.1 });
    const changed = { position: calm.position.slice(), heading: calm.heading.slice() };
    for (let f = 51; f < FRAMES; f++) changed.position[3 * f] = (changed.position[3 * f] ?? 0) + 40;
    expect(planarMotion(changed.position, changed.heading, 50, DT, [])).toEqual(planarMotion(calm.position, calm.heading, 50, DT, []));
    expect(planarMotion(changed.position, changed.heading, 53, DT, [51]).speed).toBeCloseTo(8, 2);
  });

  it("keeps the steering angle while the car stands", () => {
    const { position, heading } = drive({ speed: 5, acceleration: -1, yawRate: 0.2 });
    const steering = steeringFromPath(position, heading, DT, []);
    expect(steering[90]).toBe(steering[80]);
    expect(Math.max(...steering)).toBeLessThanOrEqual(0.65);
  });
});

describe("halfSecondVelocity", () => {
  it("is a backward difference over 0.5 s that stays inside the valid span", () => {
    const { position } = drive({ speed: 5, acceleration: 0, yawRate: 0 });
    const valid = new Uint8Array(FRAMES).fill(1, 20, 60);
    const velocity = halfSecondVelocity(position, valid, DT, []);
    for (const f of [20, 21, 40, 59]) expect(Math.hypot(velocity[2 * f] ?? 0, velocity[2 * f + 1] ?? 0)).toBeCloseTo(5, 6);
    expect([velocity[2 * 19], velocity[2 * 60]]).toEqual([0, 0]);
  });
});

describe("detectJumps", () => {
  it("finds every inserted jump and nothing else, at any speed, with steps mistimed by up to 40 %", () => {
    fc.assert(
      fc.property(
        fc.record({
          speed: fc.double({ min: 0, max: 20, noNaN: true }),
          acceleration: fc.double({ min: -4, max: 3, noNaN: true }),
          yawRate: fc.double({ min: -0.6, max: 0.6, noNaN: true }),
          at: fc.integer({ min: 1, max: FRAMES - 1 }),
          direction: fc.double({ min: -Math.PI, max: Math.PI, noNaN: true }),
          mistimed: fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { maxLength: 10 }),
        }),
        ({ mistimed, at, direction, ...motion }) => {
          // At most one mistimed step in ten, as in recorded scenes.
          const { position, heading } = drive({ ...motion, noise: (f) => (f % 10 === 5 && mistimed.includes(Math.floor(f / 10)) ? 0.4 : 0) });
          expect(detectJumps(position, heading, DT)).toEqual([]);
          const distance = 3.5;
          for (let f = at; f < FRAMES; f++) {
            position[3 * f] = (position[3 * f] ?? 0) + distance * Math.cos(direction);
            position[3 * f + 1] = (position[3 * f + 1] ?? 0) + distance * Math.sin(direction);
          }
          expect(detectJumps(position, heading, DT)).toEqual([at]);
        },
      ),
      { numRuns: 200, seed: 7 },
    );
  });

  it("finds a jump of the heading alone", () => {
    const { position, heading } = drive({ speed: 0, acceleration: 0, yawRate: 0 });
    for (let f = 30; f < FRAMES; f++) heading[f] = wrapAngle((heading[f] ?? 0) + 0.4);
    expect(detectJumps(position, heading, DT)).toEqual([30]);
  });
});
