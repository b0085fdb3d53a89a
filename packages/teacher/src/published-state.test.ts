import { initialValues, sizeOf, type StoredTensor, variablesOf } from "@distilldrive/tensor";
import { sharedPath } from "@distilldrive/testkit";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { TEACHER_PRESETS, type TeacherConfig } from "./config.js";
import { anchorsOfState, matchTeacher, PUBLISHED_TEACHER, publishedStateOf, teacherSizesOf } from "./published-state.js";
import { createTeacher, type Teacher } from "./teacher.js";

const ANCHORS = { plan: new Float32Array(216), motion: new Float32Array(1440) };

/** A teacher with its first values. */
function withValues(config: TeacherConfig): { teacher: Teacher; values: Map<string, StoredTensor> } {
  const teacher = createTeacher(config, ANCHORS);
  const values = new Map([...variablesOf(teacher)].map(([name, { shape, init }]): [string, StoredTensor] => [name, { shape, dtype: "f32", data: Float32Array.from(initialValues(init, sizeOf(shape), 1, name)) }]));
  return { teacher, values };
}

describe("a teacher's published state dict", () => {
  const list = sharedPath("golden", "teacher64_weights.names.txt");
  it.skipIf(list === null)("has the names, shapes and types of the published one, whoever trained it", () => {
    const { teacher, values } = withValues({ ...PUBLISHED_TEACHER, channels: 64 });
    const state = publishedStateOf(teacher, values, new Map(), 77);
    const types: Readonly<Record<string, string>> = { F32: "float32", I64: "int64" };
    const ours = [...state].map(([name, { shape, dtype }]) => `${name} (${shape.length === 1 ? `${shape.join()},` : shape.join(", ")}) ${types[dtype] ?? dtype}`);
    const published = readFileSync(list ?? "", "utf8").trim().split("\n").map((line) => line.trim());
    expect(ours.sort()).toEqual(published.sort());
    const counter = state.get("map_encoder.polygon_encoder.first_mlp.1.num_batches_tracked");
    expect(new BigInt64Array(Uint8Array.from(counter?.bytes ?? []).buffer)).toEqual(BigInt64Array.of(77n));
  });

  it.each([
    { ...PUBLISHED_TEACHER, channels: 32, agentEncoderLayers: 3, decoderGroups: 1 },
    { ...TEACHER_PRESETS.tiny, channels: 16 },
    { ...TEACHER_PRESETS.small, channels: 16, agentInput: "history" as const, planReference: "none" as const },
  ])("tells its sizes: $channels channels, $agentEncoderLayers layers, $decoderGroups groups", (config) => {
    const { values } = withValues(config);
    const { channels, agentEncoderLayers, decoderGroups, agentInput, egoInput, planReference, rewards } = config;
    expect(teacherSizesOf(values)).toEqual({ channels, agentEncoderLayers, decoderGroups, agentInput, egoInput, planReference, rewards });
  });

  it("keeps what has no influence, and the reinforcement of a teacher without", () => {
    const { values } = withValues({ ...PUBLISHED_TEACHER, channels: 16 });
    values.set("map_encoder.pc_range", { shape: [6], dtype: "f32", data: new Float32Array(6) });
    values.set("instance_queue.ego_anchor", { shape: [1, 9], dtype: "f32", data: new Float32Array(9) });
    values.set("student.pc_range", { shape: [6], dtype: "f32", data: new Float32Array(6) });
    const match = matchTeacher(createTeacher({ ...PUBLISHED_TEACHER, channels: 16, rewards: [] }, anchorsOfState(values, "x")), values);
    expect([match.missing, match.misfits, match.unexpected]).toEqual([[], [], ["student.pc_range"]]);
    expect([...match.carried.keys()].filter((name) => !name.startsWith("dqn_model."))).toEqual(["map_encoder.pc_range", "instance_queue.ego_anchor"]);
    expect(match.carried.size).toBe(15);
  });

  it("needs vocabularies of its own", () => {
    const { values } = withValues({ ...PUBLISHED_TEACHER, channels: 16 });
    values.set("motion_anchor", { shape: [6], dtype: "f32", data: new Float32Array(6) });
    expect(() => anchorsOfState(values, "import: x")).toThrow('import: x: the teacher has no vocabulary, expected "motion_anchor" f32 [10, 6, 12, 2], got f32 [6].');
  });
});
