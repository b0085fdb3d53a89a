import { attentionUnit } from "./attention.js";
import { planMetricUnit, rescoreUnit } from "./driving.js";
import { anchorUnit, deformableUnit, distributionUnit, pointsUnit, sineUnit } from "./encoders.js";
import { dqnUnit, focalUnit, gaussianUnit, klUnit, topkUnit } from "./losses.js";
import type { Unit } from "./unit.js";

/** What each `unit_<name>` archive is compared with. */
const UNITS: ReadonlyMap<string, Unit> = new Map<string, Unit>(Object.entries({
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
}));

/** The unit a set is of: `unit_dqn`, and others of the same module such as `unit_dqn_seed3`; null where the module is not built. */
export function unitOf(set: string): { readonly kind: string; readonly unit: Unit } | null {
  const name = /^unit_([a-z]+)/.exec(set)?.[1] ?? "";
  const unit = UNITS.get(name);
  return unit ? { kind: `unit_${name}`, unit } : null;
}
