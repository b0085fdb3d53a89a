import { describe, expect, it } from "vitest";
import type { AdapterReport } from "./adapter.js";
import { findAdapter } from "./adapter.js";
import { formatReport } from "./commands/doctor.js";
import { diagnose } from "./diagnosis.js";
import type { System } from "./system.js";

const system: System = {
  distilldrive: "0.1.0",
  os: "Debian GNU/Linux 12 (bookworm), linux 6.1",
  distribution: "debian",
  codename: "bookworm",
  architecture: "x64",
  cores: 2,
  memory: 2 ** 33,
  node: "20.19.0",
  webgpu: "0.6.2",
  driverVariables: {},
};

const adapter: AdapterReport = {
  vendor: "mesa",
  architecture: "software",
  device: "llvmpipe",
  description: "llvmpipe: Mesa 25.0.7",
  subgroups: [8, 8],
  features: ["subgroups", "timestamp-query"],
  limits: { maxBufferSize: 2 ** 32, maxStorageBuffersPerShaderStage: 16 },
  computes: true,
};

describe("diagnose", () => {
  it("finds nothing wrong with a good adapter", () => {
    expect(diagnose(system, { found: adapter })).toEqual([]);
  });

  it("tells Debian 12 about backports when there is no adapter", () => {
    const [finding] = diagnose(system, { found: undefined, loaded: true, reason: "no driver that WebGPU accepts" });
    expect(finding?.severity).toBe("error");
    expect(finding?.remedy).toContain("apt-get install -t bookworm-backports mesa-vulkan-drivers libvulkan1");
  });

  it("tells every other system something it can do", () => {
    const remedies = [["ubuntu", "noble"], ["fedora", ""], ["arch", ""], ["darwin", ""], ["win32", ""], ["nixos", ""]].map(([distribution = "", codename = ""]) => {
      return diagnose({ ...system, distribution, codename }, { found: undefined, loaded: true, reason: "" })[0]?.remedy ?? "";
    });
    expect(new Set(remedies).size).toBe(6);
    expect(remedies.every((remedy) => /install|update|pacman -S/i.test(remedy))).toBe(true);
  });

  it("separates a missing npm package from a missing driver", () => {
    const [finding] = diagnose({ ...system, webgpu: undefined }, { found: undefined, loaded: false, reason: "Cannot find package" });
    expect(finding?.remedy).toBe("Run: npm install webgpu");
  });

  it("refuses Node 20.18 and accepts 20.19, 22 and 24", () => {
    const errors = ["20.18.3", "20.19.0", "22.0.0", "24.1.0"].map((node) => diagnose({ ...system, node }, { found: adapter }).length);
    expect(errors).toEqual([1, 0, 0, 0]);
  });

  it("warns of SwiftShader and of missing features, errors first", () => {
    const findings = diagnose(system, { found: { ...adapter, description: "SwiftShader driver 5.0.0", features: [], computes: false } });
    expect(findings.map((finding) => finding.severity)).toEqual(["error", "warning", "warning", "warning"]);
    expect(findings[0]?.problem).toContain("wrong numbers");
  });
});

describe("formatReport", () => {
  it("shows limits in units and ends with the verdict", () => {
    const text = formatReport(system, { found: adapter }, []);
    expect(text).toMatch(/^largest buffer +4 GiB$/m);
    expect(text).toMatch(/^subgroups +8 lanes$/m);
    expect(text.endsWith("\nAll is well.\n")).toBe(true);
  });

  it("gives the reason where there is no adapter", () => {
    const search = { found: undefined, loaded: true, reason: "no driver that WebGPU accepts" } as const;
    const text = formatReport(system, search, diagnose(system, search));
    expect(text).toMatch(/^adapter +none: no driver that WebGPU accepts$/m);
    expect(text).toContain("error: No WebGPU adapter");
  });
});

describe("findAdapter", () => {
  it("reports a WebGPU that cannot be loaded", async () => {
    const search = await findAdapter(() => Promise.reject(new Error("dlopen failed")));
    expect(search).toEqual({ found: undefined, loaded: false, reason: "dlopen failed" });
  });

  it("reports a WebGPU without adapter", async () => {
    const search = await findAdapter(() => Promise.resolve({ requestAdapter: () => Promise.resolve(null) } as unknown as GPU));
    expect(search).toEqual({ found: undefined, loaded: true, reason: "no driver that WebGPU accepts" });
  });
});
