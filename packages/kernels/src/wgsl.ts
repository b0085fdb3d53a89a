import type { Binding, UniformField } from "./kernel.js";

/**
 * WGSL declarations of a kernel's bindings and of its uniforms as `params`.
 * @param elements WGSL element type by binding name where it is not the scalar dtype, e.g. `{ a: "vec4f" }`
 */
export function declare(
  bindings: readonly Binding[],
  uniforms: readonly UniformField[],
  elements: Readonly<Record<string, string>> = {},
): string {
  const lines = bindings.map(({ name, access, dtype }, index) => {
    const mode = access === "read" ? "read" : "read_write";
    return `@group(0) @binding(${index}) var<storage, ${mode}> ${name}: array<${elements[name] ?? dtype}>;`;
  });
  if (uniforms.length > 0) {
    const fields = uniforms.map(({ name, type }) => `  ${name}: ${type},`).join("\n");
    lines.push(`struct Params {\n${fields}\n}`, `@group(0) @binding(${bindings.length}) var<uniform> params: Params;`);
  }
  return lines.join("\n") + "\n";
}

/**
 * A one-dimensional grid folded into x and y, for any count of workgroups.
 * In WGSL the workgroup's number is `workgroup.x + workgroup.y * ${foldedWidth}u`; numbers >= count must return early.
 */
export function foldedGrid(workgroups: number): readonly [number, number, number] {
  if (workgroups <= foldedWidth) return [workgroups, workgroups > 0 ? 1 : 0, workgroups > 0 ? 1 : 0];
  return [foldedWidth, Math.ceil(workgroups / foldedWidth), 1];
}

/** Workgroups in a row of a {@link foldedGrid}. */
export const foldedWidth = 32768;
