import { createTeacher, type TeacherConfig, PUBLISHED_TEACHER } from "@distilldrive/teacher";
import { decodeRawSafetensors, initialValues, type RawTensor, sizeOf, variablesOf } from "@distilldrive/tensor";
import { hostileCall, sharedPath, writePyTorch, type WrittenTensor } from "@distilldrive/testkit";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../testing/run-command.js";

const CONFIG: TeacherConfig = { ...PUBLISHED_TEACHER, channels: 16, heads: 2, agentEncoderLayers: 1, decoderGroups: 1, maxAgents: 4, maxLines: 4 };
/** What names and shapes do not tell. */
const HIDDEN = { model: { heads: 2, maxAgents: 4, maxLines: 4 } };
const STORAGES: Readonly<Record<string, string>> = { F32: "FloatStorage", I64: "LongStorage" };

/** The state dict PyTorch would save of a published teacher of this size: names, order, types as published. */
function publishedState(): Map<string, RawTensor> {
  const anchors = {
    plan: Float32Array.from({ length: 216 }, (_, i) => (i % 2 === 0 ? Math.sin(i) : ((i % 12) + 1) * 0.8)),
    motion: Float32Array.from({ length: 1440 }, (_, i) => Math.cos(i) * (i % 24)),
  };
  const float = (shape: readonly number[], values: ArrayLike<number>): RawTensor => ({ dtype: "F32", shape, bytes: new Uint8Array(Float32Array.from(values).buffer) });
  const state = new Map<string, RawTensor>([["agent_encoder.pc_range", float([6], [-15, -30, -2, 15, 30, 2])], ["map_encoder.pc_range", float([6], [1, 2, 3, 4, 5, 6])]]);
  for (const [name, { shape, init }] of variablesOf(createTeacher(CONFIG, anchors))) {
    state.set(name, float(shape, name.endsWith("running_mean") ? Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i) / 3) : initialValues(init, sizeOf(shape), 5, name)));
    if (name.endsWith("running_var")) state.set(name.replace("running_var", "num_batches_tracked"), { dtype: "I64", shape: [], bytes: new Uint8Array(BigInt64Array.of(1234n).buffer) });
  }
  return state;
}

const torchFile = (state: ReadonlyMap<string, RawTensor>, under?: string, extra?: readonly Uint8Array[]): Uint8Array =>
  writePyTorch(new Map([...state].map(([name, { dtype, shape, bytes }]): [string, WrittenTensor] => [name, { shape, storage: STORAGES[dtype] ?? "", bytes }])), under, extra);

describe("import and export", () => {
  let scratch = "";
  const at = (...names: string[]): string => join(scratch, ...names);
  const state = publishedState();
  const save = async (name: string, content: Uint8Array | string): Promise<string> => {
    await writeFile(at(name), content);
    return at(name);
  };
  /** Imports, expects a refusal that leaves no trace, and gives the message. */
  const refuse = async (file: string, ...more: string[]): Promise<{ status: number; message: string }> => {
    const { status, out, err } = await runCommand(["import", file, "--out", at("refused", "run"), "--config", at("hidden.json"), ...more]);
    expect(out).toBe("");
    expect(err).not.toContain("    at ");
    expect(await readdir(scratch)).not.toContain("refused");
    return { status, message: err.trim() };
  };
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), "distilldrive-import-"));
    await save("hidden.json", JSON.stringify(HIDDEN));
    await save("teacher.pth", torchFile(state));
  });
  afterAll(() => rm(scratch, { recursive: true, force: true }));

  it("gives back every bit of a PyTorch state dict, types and counters included", async () => {
    const imported = await runCommand(["import", at("teacher.pth"), "--out", at("bits"), "--config", at("hidden.json"), "--json"]);
    expect([imported.status, imported.err]).toEqual([0, ""]);
    expect(JSON.parse(imported.out)).toMatchObject({ format: "PyTorch", tensors: state.size, prefix: "", missing: [], left: [], preset: "published", model: { ...CONFIG } });
    const exported = await runCommand(["export", at("bits"), "--out", at("bits.safetensors")]);
    expect([exported.status, exported.out]).toEqual([0, expect.stringMatching(new RegExp(`bits\\.safetensors: ${state.size} tensors, `))]);
    const { tensors, metadata } = decodeRawSafetensors(await readFile(at("bits.safetensors")), "bits");
    expect(metadata["format"]).toBe("pt");
    expect([...tensors.keys()].sort()).toEqual([...state.keys()].sort());
    for (const [name, tensor] of state) expect({ ...tensors.get(name), bytes: Buffer.from(tensors.get(name)?.bytes ?? []) }, name).toEqual({ ...tensor, bytes: Buffer.from(tensor.bytes) });
  });

  it("finds checkpoints' dicts and wrappers' prefixes, and says so", async () => {
    const nested = await save("nested.pth", torchFile(new Map([...state].map(([name, tensor]) => [`module.model.${name}`, tensor])), "state_dict"));
    const { status, out } = await runCommand(["import", nested, "--out", at("nested"), "--config", at("hidden.json")]);
    expect(status).toBe(0);
    expect(out).toContain(`file     ${nested}: PyTorch, ${state.size} tensors under "state_dict", names behind "module.model."\n`);
    expect(out).toContain("model    teacher of 16 channels, 1 encoder layer, 1 decoder group, 2 heads, 4 agents, 4 lines");
    expect(out).toContain("kept     without influence on the plan: agent_encoder.pc_range, ");
    expect(out).toContain(`Evaluate it: npx distilldrive evaluate --run ${at("nested")} --data <folder> --val <scenes>\n`);
  });

  it("refuses a pickle that asks to run code, and runs nothing", async () => {
    const { status, message } = await refuse(await save("evil.pth", torchFile(state, "state_dict", hostileCall("os.system", `touch ${at("owned")}`))));
    expect(status).toBe(1);
    expect(message).toMatch(/^import: evil\.pth: refused global "os\.system" at byte \d+\. Only tensors and dicts are read/);
    for (const name of ["builtins.eval", "posix.system", "subprocess.Popen", "torch.load", "torch._utils._rebuild_tensor", "numpy.core.multiarray._reconstruct"]) {
      expect((await refuse(await save("evil.pth", torchFile(state, "model", hostileCall(name, "1"))))).message).toContain(`refused global "${name}"`);
    }
    expect(await stat(at("owned")).catch(() => null)).toBeNull();
  });

  it("lists names that are missing, unexpected or of another shape, and lets them pass where told", async () => {
    const changed = new Map(state);
    changed.delete("fc_after.weight");
    changed.set("extra.weight", { dtype: "F32", shape: [2], bytes: new Uint8Array(8) });
    const file = await save("changed.pth", torchFile(changed));
    const { status, message } = await refuse(file);
    expect(status).toBe(1);
    expect(message).toMatch(/^import: changed\.pth: the names do not fit, expected those of a teacher of 16 channels, 1 encoder layer, 1 decoder group, got\n {2}missing \(1\): fc_after\.weight\n {2}unexpected \(1\): extra\.weight\nNothing was written\. /);
    expect((await refuse(file, "--allow-missing", "fc_*")).message).toContain("\n  unexpected (1): extra.weight\n");
    const allowed = await runCommand(["import", file, "--out", at("changed"), "--config", at("hidden.json"), "--allow-missing", "fc_*", "--allow-unexpected", "extra.*", "--json"]);
    expect(JSON.parse(allowed.out)).toMatchObject({ missing: ["fc_after.weight"], left: ["extra.weight"] });
    changed.delete("extra.weight");
    changed.set("fc_after.weight", { dtype: "F32", shape: [32, 16], bytes: new Uint8Array(2048) });
    expect((await refuse(await save("shape.pth", torchFile(changed)), "--allow-missing", "*")).message).toContain("other shapes (1): fc_after.weight: expected f32 [16, 32], got f32 [32, 16]");
    expect((await refuse(at("teacher.pth"), "--preset", "tiny")).message).toMatch(/expected f32 \[64, \d+\], got f32 \[16, \d+\][^]*Leave --preset out to take the sizes from the file\./);
    changed.delete("plan_anchor");
    expect((await refuse(await save("blind.pth", torchFile(changed)), "--allow-missing", "*")).message).toContain('import: blind.pth: the teacher has no vocabulary, expected "plan_anchor" f32 [3, 6, 6, 2], got nothing.');
  });

  it("refuses damaged files, other files, folders and numbers that are none", async () => {
    const whole = await readFile(at("teacher.pth"));
    expect((await refuse(await save("cut.pth", whole.subarray(0, 5000)))).message).toMatch(/^import: cut\.pth: the archive is damaged/);
    expect((await refuse(await save("text.pth", "hello world, this is text"))).message).toContain("import: text.pth: no state dict, expected a .pth or .pt file of torch.save");
    await mkdir(at("folder"));
    expect((await refuse(at("folder"))).message).toContain("folder cannot be read (it is a folder), expected a .pth, .pt, .safetensors or .npz file. Name the file in it.");
    expect((await refuse(at("nowhere.pth"))).message).toContain("nowhere.pth cannot be read (ENOENT: no such file or directory)");
    const spoiled = new Map(state).set("fc_after.weight", { dtype: "F32", shape: [16, 32], bytes: new Uint8Array(Float32Array.from({ length: 512 }, (_, i) => (i === 7 ? NaN : 0)).buffer) });
    expect((await refuse(await save("nan.pth", torchFile(spoiled)))).message).toContain('import: nan.pth: "fc_after.weight" is not finite, expected numbers, got NaN at element 7.');
    expect((await refuse(at("teacher.pth"), "--preset", "hug")).status).toBe(2);
    expect((await refuse(at("teacher.pth"), "--data", at("nowhere"))).message).toContain("nowhere: expected a folder");
    const occupied = await runCommand(["import", at("teacher.pth"), "--out", scratch]);
    expect([occupied.status, occupied.err]).toEqual([1, expect.stringContaining("is not empty, expected a new folder for the run, got ")]);
  });

  it("export refuses what is no teacher's run and files it does not write", async () => {
    expect(await runCommand(["export", at("folder"), "--out", at("x.safetensors")])).toMatchObject({ status: 1, err: expect.stringContaining("holds no run, expected config.json in it") as string });
    expect(await runCommand(["export", at("folder"), "--out", at("x.pth")])).toMatchObject({ status: 2, err: expect.stringContaining("--out must name a .safetensors file") as string });
    expect(await runCommand(["export", at("folder")])).toMatchObject({ status: 2, err: expect.stringContaining("required option") as string });
    expect(await readdir(scratch)).not.toContain("x.safetensors");
  });

  it("plans the same after a round trip, and a training does not go on with it [gpu]", async () => {
    await runCommand(["data", "synth", "--out", at("town"), "--scenes", "1", "--duration", "5"]);
    const first = await runCommand(["import", at("teacher.pth"), "--out", at("first"), "--config", at("hidden.json"), "--compat", "intended", "--data", at("town")]);
    await runCommand(["export", at("first"), "--out", at("first.safetensors")]);
    const second = await runCommand(["import", at("first.safetensors"), "--out", at("second"), "--data", at("town")]);
    expect([first.status, second.status]).toEqual([0, 0]);
    const evaluated = async (run: string): Promise<unknown[]> => {
      const { status, out, err } = await runCommand(["evaluate", "--run", at(run), "--json"]);
      expect([status, err]).toEqual([0, expect.stringContaining("no ego-status MLP beside them")]);
      return (JSON.parse(out) as { planners: unknown[] }).planners;
    };
    expect(await evaluated("second")).toEqual(await evaluated("first"));
    const config = async (run: string): Promise<unknown> => (JSON.parse(await readFile(at(run, "config.json"), "utf8")) as { model: unknown }).model;
    expect(await config("second")).toEqual(await config("first"));
    expect(await config("first")).toMatchObject({ mapSlots: "lines", velocityInterval: 0.5 });
    const resumed = await runCommand(["train", "teacher", "--out", at("first"), "--resume"]);
    expect([resumed.status, resumed.err]).toEqual([1, expect.stringContaining("holds weights that were imported, which have no state of an optimiser to go on with")]);
  });

  const golden = sharedPath("golden", "teacher64_weights.npz");
  it.skipIf(golden === null)("reads the recorded published teacher, width and layers from its names", async () => {
    const { status, out } = await runCommand(["import", golden ?? "", "--out", at("golden"), "--json"]);
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ format: "numpy", missing: [], left: [], model: { ...PUBLISHED_TEACHER, channels: 64 } });
  });
});
