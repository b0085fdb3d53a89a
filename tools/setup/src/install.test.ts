import { describe, expect, it } from "vitest";
import { missingPackages } from "./install.mjs";

const lock = {
  packages: {
    "": {},
    "packages/a": { version: "1.0.0" },
    "node_modules/@x/a": { link: true },
    "node_modules/b": { version: "2.0.0", integrity: "sha512-b" },
    "node_modules/b/node_modules/c": { version: "3.0.0" },
    "node_modules/only-on-windows": { version: "1.0.0", optional: true },
  },
};

describe("missingPackages", () => {
  it("asks for nothing when all is there, other platforms' packages aside", () => {
    const { "node_modules/only-on-windows": _other, ...installed } = lock.packages;
    expect(missingPackages(lock, { packages: installed })).toEqual([]);
  });

  it("finds missing links, missing packages and changed versions", () => {
    const installed = { packages: { "node_modules/b": { version: "2.0.1", integrity: "sha512-other" } } };
    expect(missingPackages(lock, installed)).toEqual(["node_modules/@x/a", "node_modules/b", "node_modules/b/node_modules/c"]);
  });

  it("counts everything as missing without an installed lock", () => {
    expect(missingPackages(lock, undefined)).toHaveLength(3);
  });
});
