import type { Scene } from "../schema.js";
import { BUFFER_USAGE } from "./gpu-flags.js";
import { buildMapMesh, type MapMesh } from "./map-mesh.js";

/** A scene's map on the GPU. */
export interface SceneBuffers {
  readonly mesh: Pick<MapMesh, "origin" | "cells">;
  readonly vertices: GPUBuffer;
  readonly indices: GPUBuffer;
}

/** Keeps the maps of the most recently drawn scenes on the GPU. */
export class SceneCache {
  /** Least recently used first. */
  private readonly entries = new Map<Scene, SceneBuffers>();

  /**
   * @param device where the maps live
   * @param range m, see {@link buildMapMesh}
   * @param capacity number of scenes kept
   */
  constructor(
    private readonly device: GPUDevice,
    private readonly range: number,
    private readonly capacity: number,
  ) {}

  /** The scene's map, built and uploaded at its first use. */
  get(scene: Scene): SceneBuffers {
    const found = this.entries.get(scene);
    const entry = found ?? this.upload(scene);
    this.entries.delete(scene);
    this.entries.set(scene, entry);
    return entry;
  }

  /** Frees the maps beyond the capacity. Call it after a submit: a map in an unsubmitted pass must stay. */
  trim(): void {
    for (const [scene, entry] of this.entries) {
      if (this.entries.size <= this.capacity) return;
      this.drop(scene, entry);
    }
  }

  /** Frees everything. */
  clear(): void {
    for (const [scene, entry] of this.entries) this.drop(scene, entry);
  }

  private drop(scene: Scene, entry: SceneBuffers): void {
    entry.vertices.destroy();
    entry.indices.destroy();
    this.entries.delete(scene);
  }

  private upload(scene: Scene): SceneBuffers {
    const { vertices, indices, cells, origin } = buildMapMesh(scene, this.range);
    const create = (label: string, usage: number, data: ArrayBuffer): GPUBuffer => {
      const buffer = this.device.createBuffer({ label: `${label} of ${scene.id}`, size: Math.max(16, data.byteLength), usage: usage | BUFFER_USAGE.copyDst });
      this.device.queue.writeBuffer(buffer, 0, data);
      return buffer;
    };
    return {
      mesh: { origin, cells },
      vertices: create("map vertices", BUFFER_USAGE.vertex, vertices),
      indices: create("map indices", BUFFER_USAGE.index, indices.buffer),
    };
  }
}
