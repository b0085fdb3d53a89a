import type { NamedVariables, Variable } from "@distilldrive/tensor";
import { ConfigError } from "./errors.js";
import type { OptimizerConfig } from "./schedule.js";

/** Parameters that are updated with the same settings. */
export interface ParameterGroup {
  readonly learningRateFactor: number;
  readonly weightDecay: number;
  readonly parameters: ReadonlyMap<string, Variable>;
}

/**
 * Sorts parameters into groups of equal settings, in their own order; frozen ones are left out. Without group settings:
 * matrices with weight decay, everything else without.
 * @throws ConfigError for a pattern that names no parameter, or when everything is frozen
 */
export function groupParameters(parameters: NamedVariables, config: OptimizerConfig): readonly ParameterGroup[] {
  const patterns = config.groups.map((group) => ({ group, expression: patternOf(group.match), used: false }));
  const groups = new Map<string, { learningRateFactor: number; weightDecay: number; parameters: Map<string, Variable> }>();
  for (const [name, variable] of parameters) {
    const chosen = patterns.find(({ expression }) => expression.test(name) || expression.test(name.replace(/^model\./, "")));
    if (chosen) chosen.used = true;
    if (chosen?.group.frozen) continue;
    const learningRateFactor = chosen?.group.learningRateFactor ?? 1;
    const weightDecay = chosen?.group.weightDecay ?? (variable.shape.length >= 2 ? config.weightDecay : 0);
    const key = `${learningRateFactor} ${weightDecay}`;
    const group = groups.get(key) ?? { learningRateFactor, weightDecay, parameters: new Map<string, Variable>() };
    group.parameters.set(name, variable);
    groups.set(key, group);
  }
  const idle = patterns.find(({ used }) => !used);
  if (idle) {
    throw new ConfigError(`"optimizer.groups": nothing is named like "${idle.group.match}", expected a pattern of parameter names such as "${[...parameters.keys()][0] ?? ""}" with * for any characters. Correct or remove the group, or one before it takes all its parameters.`);
  }
  if (groups.size === 0) throw new ConfigError(`"optimizer.groups": every parameter is frozen, expected at least one to train, got none of ${parameters.size}. Thaw some.`);
  return [...groups.values()];
}

/** Pattern of names: `*` stands for any characters, everything else for itself. */
export function patternOf(match: string): RegExp {
  return new RegExp(`^${match.split("*").map((text) => text.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`);
}
