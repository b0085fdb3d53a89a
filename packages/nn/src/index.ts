export { INFERENCE } from "./layers/block.js";
export type { Block, ForwardContext } from "./layers/block.js";
export { linear, projection } from "./layers/linear.js";
export type { Linear, LinearInit, Projection } from "./layers/linear.js";
export { batchNorm, layerNorm } from "./layers/norm.js";
export type { BatchNorm, LayerNorm } from "./layers/norm.js";
export { classificationBranch, linearReluLayerNorm, mlp, regressionBranch, relu, sequential } from "./layers/sequential.js";
export type { Sequential } from "./layers/sequential.js";
export { crossAttention, decoupledAttention, decoupledKeys, multiheadAttention } from "./layers/attention.js";
export type {
  CrossAttention,
  DecoupledAttention,
  DecoupledKeys,
  DecoupledProjections,
  MultiheadAttention,
  Positioned,
} from "./layers/attention.js";
export { gru } from "./layers/gru.js";
export type { Gru, GruOutput } from "./layers/gru.js";
export { asymmetricFfn } from "./layers/feed-forward.js";
export type { AsymmetricFfn } from "./layers/feed-forward.js";
export { transformerEncoder, transformerEncoderLayer } from "./layers/transformer-encoder.js";
export type { TransformerEncoder, TransformerEncoderLayer } from "./layers/transformer-encoder.js";
export { sinusoidTable, temporalPositionalEncoding } from "./layers/positional-encoding.js";
export type { TemporalPositionalEncoding } from "./layers/positional-encoding.js";

export { ANCHOR_CHANNELS, anchorFromBox, moveAnchors } from "./encoders/anchor.js";
export { anchorEncoder } from "./encoders/anchor-encoder.js";
export type { AnchorEncoder } from "./encoders/anchor-encoder.js";
export { agentEncoder } from "./encoders/agent-encoder.js";
export type { AgentEncoder, AgentEncoderConfig, AgentTracks, EncodedInstances } from "./encoders/agent-encoder.js";
export { imageEncoder, tokenSide } from "./encoders/image-encoder.js";
export type { ImageEncoder } from "./encoders/image-encoder.js";
export { pointsEncoder } from "./encoders/points-encoder.js";
export type { PointsEncoder } from "./encoders/points-encoder.js";
export { mapEncoder } from "./encoders/map-encoder.js";
export type { MapEncoder, MapEncoderConfig, MapLines } from "./encoders/map-encoder.js";
export { egoMotionEncoder, modeEncoder } from "./encoders/ego-motion-encoder.js";
export type { EgoInstances, EgoMotionEncoder, PlanVocabulary } from "./encoders/ego-motion-encoder.js";
export { egoStateFeatures, egoStatusEncoder } from "./encoders/ego-status-encoder.js";
export type { EgoState, EgoStatusEncoder } from "./encoders/ego-status-encoder.js";

export { constantTurnRate, planarMotionOf } from "./planner/constant-turn-rate.js";
export { fadingMotion } from "./planner/fading-motion.js";
export type { ConstantTurnRateOptions } from "./planner/constant-turn-rate.js";
export { decoderLayers, PUBLISHED_DECODER } from "./planner/decoder.js";
export type { Decoder, DecoderConfig, DecoderLayer, DecoderOperation, DecoderScene } from "./planner/decoder.js";
export { heads, planHeads, predictMotion } from "./planner/heads.js";
export type { Heads, HeadsConfig, MotionPrediction, PlanHeads } from "./planner/heads.js";
export { memoryQueue } from "./planner/memory-queue.js";
export type { AlignedMemory, FrameLink, MemoryKeys, MemoryQueue, MemoryQueueConfig } from "./planner/memory-queue.js";
export { motionModes } from "./planner/motion-modes.js";
export type { MotionModes, MotionVocabulary } from "./planner/motion-modes.js";
export { constantVelocityMotion } from "./planner/motion-reference.js";
export type { MotionReferenceKind } from "./planner/motion-reference.js";
export { planReference } from "./planner/plan-reference.js";
export type { PlanReference, PlanReferenceConfig, PlanReferenceKind } from "./planner/plan-reference.js";
export { planner, plannerMemory } from "./planner/planner.js";
export type { Planner, PlannerAnchors, PlannerConfig, PlannerMemoryOptions } from "./planner/planner.js";
export type { AgentInstances, PlannerMemory, PlannerOutput, PlannerScene, PlannerSteps, PlanPrediction } from "./planner/types.js";

export { distributionModule } from "./generative/distribution-module.js";
export type { DistributionConfig, DistributionModule, Gaussian } from "./generative/distribution-module.js";
export { predictModel } from "./generative/predict-model.js";
export type { PredictModel, PredictModelConfig } from "./generative/predict-model.js";

export { choosePlan } from "./inference/choose-plan.js";
export type { ChosenPlan, ChoosePlanOptions, PlanModes } from "./inference/choose-plan.js";
export { positionsOf } from "./inference/positions.js";
export { PUBLISHED_RESCORING, rescore } from "./inference/rescore.js";
export type { RescoreOptions } from "./inference/rescore.js";
export type { AgentPath, PredictedAgents } from "./inference/predicted-boxes.js";
export { boxesMeet } from "./inference/boxes-meet.js";
export type { GroundBox } from "./inference/boxes-meet.js";

export { egoStatusMlp } from "./baselines/ego-status-mlp.js";
export type { EgoStatusMlp, EgoStatusMlpConfig } from "./baselines/ego-status-mlp.js";

export { actionValueModel, actionValueNetwork } from "./reinforcement/action-values.js";
export type { ActionValueModel, ActionValueNetwork } from "./reinforcement/action-values.js";
