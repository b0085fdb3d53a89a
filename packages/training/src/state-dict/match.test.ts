import type { StoredTensor } from "@distilldrive/tensor";
import { describe, expect, it } from "vitest";
import { CheckpointError } from "../errors.js";
import { matchState, requireMatch, type WantedTensor, withoutPrefix } from "./match.js";

const tensor = (...shape: number[]): StoredTensor => ({ shape, dtype: "f32", data: new Float32Array(shape.reduce((a, b) => a * b, 1)) });
const wanted = new Map<string, WantedTensor>([["a.weight", tensor(2, 3)], ["a.bias", tensor(3)], ["b.weight", tensor(4)]]);

describe("matchState", () => {
  it("sorts names into fitting, carried, missing, unexpected and misfitting", () => {
    const given = new Map<string, StoredTensor>([["a.weight", tensor(2, 3)], ["a.bias", tensor(2)], ["pc_range", tensor(6)], ["c", tensor(1)]]);
    const match = matchState(wanted, given, (name) => name === "pc_range");
    expect([[...match.values.keys()], [...match.carried.keys()], match.missing, match.unexpected]).toEqual([["a.weight"], ["pc_range"], ["b.weight"], ["c"]]);
    expect(match.misfits).toEqual([{ name: "a.bias", expected: "f32 [3]", got: "f32 [2]" }]);
    expect(() => { requireMatch(match, "import: x.pth", "a teacher", "Nothing was written."); }).toThrow(
      new CheckpointError("import: x.pth: the names do not fit, expected those of a teacher, got\n  missing (1): b.weight\n  unexpected (1): c\n  other shapes (1): a.bias: expected f32 [3], got f32 [2]\nNothing was written."),
    );
  });

  it("counts another type as a misfit, and a scalar is no vector of one", () => {
    const given = new Map<string, StoredTensor>([["a.bias", { shape: [3], dtype: "i32", data: new Int32Array(3) }], ["b.weight", { shape: [], dtype: "f32", data: new Float32Array(1) }]]);
    expect(matchState(wanted, given).misfits.map(({ got }) => got)).toEqual(["i32 [3]", "f32 []"]);
  });

  it("says nothing where everything fits", () => {
    const match = matchState(wanted, new Map([...wanted].map(([name, { shape }]) => [name, tensor(...shape)])));
    expect(() => { requireMatch(match, "x", "a teacher", ""); }).not.toThrow();
  });
});

describe("withoutPrefix", () => {
  const behind = (...prefixes: string[]): Map<string, number> => new Map(prefixes.flatMap((prefix) => [...wanted.keys()].map((name, i) => [`${prefix}${name}`, i] as const)));
  const names = [...wanted.keys()];

  it("finds none, one and nested ones", () => {
    for (const prefix of ["", "module.", "module.model.head."]) {
      const { tensors, ...found } = withoutPrefix(behind(prefix), names, "x");
      expect([found, [...tensors]]).toEqual([{ prefix, others: [] }, [["a.weight", 0], ["a.bias", 1], ["b.weight", 2]]]);
    }
  });

  it("keeps the names elsewhere apart", () => {
    const given = new Map([...behind("head."), ["backbone.a.weight", 9] as const]);
    expect(withoutPrefix(given, names, "x")).toMatchObject({ prefix: "head.", others: ["backbone.a.weight"] });
    expect([...withoutPrefix(given, names, "x", "backbone").tensors]).toEqual([["a.weight", 9]]);
  });

  it("refuses two equal models, and names nobody knows", () => {
    expect(() => withoutPrefix(behind("student.", "teacher."), names, "import: x")).toThrow('import: x: several models in one file, expected names behind one prefix, got them behind "student." and "teacher.". Say which one with --prefix.');
    expect(withoutPrefix(behind("student.", "teacher."), names, "x", "teacher.").others).toHaveLength(3);
    expect(() => withoutPrefix(new Map([["conv1", 1]]), names, "import: x")).toThrow('import: x: none of the names is known, expected such as "a.weight", got conv1.');
    expect(() => withoutPrefix(behind(""), names, "import: x", "head")).toThrow('none of the names is known behind "head.", expected such as "a.weight"');
  });
});
