import { attentionUnit } from "./attention.js";
import { planMetricUnit, rescoreUnit } from "./driving.js";
import { anchorUnit, deformableUnit, distributionUnit, pointsUnit, sineUnit } from "./encoders.js";
import { dqnUnit, focalUnit, gaussianUnit, klUnit, topkUnit } from "./losses.js";
import type { Unit } from "./unit.js";

/** What each `unit_<name>` archive is compared with. */
export const UNITS: Readonly<Record<string, Unit>> = {
  anchor: { graphs: anchorUnit },
  deformagg: { graphs: deformableUnit },
  distribution: { graphs: distributionUnit },
  dqn: { graphs: dqnUnit },
  focal: { graphs: focalUnit },
  klloss: { graphs: klUnit },
  mha: { graphs: attentionUnit },
  planmetric: { host: planMetricUnit },
  points: { graphs: pointsUnit },
  probloss: { graphs: gaussianUnit },
  rescore: { host: rescoreUnit },
  sine: { graphs: sineUnit },
  topk: { graphs: topkUnit },
};
