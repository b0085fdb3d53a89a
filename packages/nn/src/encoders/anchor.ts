import { add, concat, cos, matmul, reshape, sin, slice, type Tensor } from "@distilldrive/tensor";

/** Numbers of an anchor: x, y, z (m), length, width, height (m, or their logarithms), cos yaw, sin yaw, vx, vy (m/s); model frame. */
export const ANCHOR_CHANNELS = 10;

/**
 * Box of an agent as an anchor. The yaw is kept as a unit vector, which turns by a matrix product.
 *
 * @param box [..., 9] x, y, z, length, width, height (m), yaw (rad), vx, vy (m/s); model frame
 * @returns [..., 10]
 */
export function anchorFromBox(box: Tensor): Tensor {
  const yaw = slice(box, -1, 6, 7);
  return concat([slice(box, -1, 0, 6), cos(yaw), sin(yaw), slice(box, -1, 7, 9)], -1);
}

/**
 * Moves anchors into another frame: positions turn and shift, headings and velocities turn, sizes stay. The own motion of
 * what the anchor stands for is not compensated (fact T15).
 *
 * @param anchors [B, ..., 10]
 * @param transform [B, 4, 4] takes points of the anchors' frame to the new frame, m
 * @returns the shape of `anchors`
 */
export function moveAnchors(anchors: Tensor, transform: Tensor): Tensor {
  const lanes = transform.at(0);
  const rows = reshape(anchors, [lanes, -1, ANCHOR_CHANNELS]);
  const block = (size: number): Tensor => slice(slice(transform, 1, 0, size), 2, 0, size);
  const shift = reshape(slice(slice(transform, 1, 0, 3), 2, 3, 4), [lanes, 1, 3]);
  const turn = block(2);
  const moved = concat(
    [
      add(matmul(slice(rows, -1, 0, 3), block(3), { transposeB: true }), shift),
      slice(rows, -1, 3, 6),
      matmul(slice(rows, -1, 6, 8), turn, { transposeB: true }),
      matmul(slice(rows, -1, 8, 10), turn, { transposeB: true }),
    ],
    -1,
  );
  return reshape(moved, anchors.shape);
}
