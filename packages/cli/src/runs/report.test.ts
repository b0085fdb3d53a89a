import { describe, expect, it } from "vitest";
import { folderNames } from "./report.js";

describe("folderNames", () => {
  it("keeps what tells folders apart", () => {
    expect(folderNames(["runs/teacher", "runs/student/"])).toEqual(["teacher", "student"]);
    expect(folderNames(["study/runs/kl/val-seed-1", "study/runs/kl-rewards/val-seed-1"])).toEqual(["kl", "kl-rewards"]);
    expect(folderNames(["a/kl/one", "a/focal/two"])).toEqual(["kl/one", "focal/two"]);
    expect(folderNames(["a/b", "a/b/c"])).toEqual(["b", "b/c"]);
  });

  it("takes the last part of one folder alone, or of the same twice", () => {
    expect(folderNames(["somewhere/runs/teacher"])).toEqual(["teacher"]);
    expect(folderNames(["runs/teacher", "./runs/teacher"])).toEqual(["teacher", "teacher"]);
  });
});
