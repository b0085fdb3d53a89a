import type { Tensor } from "@distilldrive/tensor";

/** What the rewards look at; they carry no gradient. */
export interface RewardScene {
  /** [B, 10] predicted ego status */
  readonly status: Tensor;
  /** [B, 10] */
  readonly expertStatus: Tensor;
  /** [B, T, 2] m, predicted displacements per 0.5 s, model frame */
  readonly path: Tensor;
  /** [B, T, 2] m, the expert's displacements */
  readonly expertPath: Tensor;
  /** Agents for the collision reward, or null. */
  readonly agents: RewardAgents | null;
}

/** Agents with their true futures. */
export interface RewardAgents {
  /** [B, N, 9] x, y, z, length, width, height (m), yaw (rad), vx, vy; model frame */
  readonly box: Tensor;
  /** [B, N, T', 2] m, displacements per 0.5 s; T' >= T */
  readonly displacement: Tensor;
  /** [B, N, T'] 1 where known; an agent does not count from its first unknown step on */
  readonly mask: Tensor;
}

/** A reward: scene to [B]. */
export type Reward = (scene: RewardScene) => Tensor;
