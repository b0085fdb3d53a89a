/** An array of a set that is not compared. */
export interface NotCompared {
  readonly name: string;
  readonly reason: string;
}

/** Why arrays that are known are not compared: pattern of `<set kind>:<array>`. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/num_batches_tracked$/, "a counter that nothing reads"],
  [/:(?:seed$|margin\.)/, "says how the file was made"],
  [/^unit_anchor:(?:anchor11|full11)/, "the student's boxes of 11 numbers are not built"],
  [/^unit_anchor:box3d_to_corners\./, "corners in space are not built: boxes are tested on the ground"],
  [/^unit_deformagg:dfg\./, "the student's whole aggregation module is not built, only its aggregation"],
  [/^unit_deformagg:.*\.(?:feature_maps\.\d+|scale_start_index)$/, "another layout of the input"],
  [/^unit_distribution:.*\.gru_(?:in|h0)$/, "the sample and the instance once more, as the recurrent cells are given them"],
  [/^unit_focal:.*\.(?:avg_factor|weight)$/, "not read in this case"],
  [/^unit_mha:(?:.*\.)?attn$/, "attention weights do not leave the kernel"],
  [/^unit_mha:fully_masked_is_nan$/, "rows without a visible key are not compared (fact S13)"],
  [/^unit_planmetric:mask$/, "all ones"],
  [/^unit_probloss:.*\.present_log_sigma_after$/, "the published loss overwrites its input, ours does not (fact S8)"],
  [/^unit_rescore:check_collision\.corners_1_of_2$/, "half of check_collision.out"],
  [/^unit_topk:.*\.cls_pred$/, "not read"],
];

/**
 * Gives arrays that were not compared their reasons.
 * @param kind what the set records, such as "unit_mha" or "teacher"
 */
export function notCompared(kind: string, names: readonly string[]): NotCompared[] {
  return names.map((name) => ({ name, reason: REASONS.find(([pattern]) => pattern.test(`${kind}:${name}`))?.[1] ?? "unknown: nothing here computes it" }));
}
