import { describe, expect, it } from "vitest";
import { advice } from "./adapter.mjs";
import { parseRelease, usesApt } from "./apt.mjs";

const debian = parseRelease('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\n');
const mint = parseRelease('ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\n');
const fedora = parseRelease("ID=fedora\nVERSION_ID=41\n");

describe("parseRelease", () => {
  it("reads id, relatives and codename, quoted or not", () => {
    expect(debian).toEqual({ id: "debian", like: [""], codename: "bookworm" });
    expect(mint.like).toEqual(["ubuntu", "debian"]);
  });

  it("knows who has apt", () => {
    expect([debian, mint, fedora].map(usesApt)).toEqual([true, true, false]);
  });
});

describe("advice", () => {
  it("names the packages of the system at hand", () => {
    expect(advice(debian, "linux")).toContain("-t bookworm-backports mesa-vulkan-drivers libvulkan1");
    expect(advice(mint, "linux")).toContain("apt-get install mesa-vulkan-drivers libvulkan1");
    expect(advice(fedora, "linux")).toContain("dnf install");
    expect(advice(undefined, "linux")).toContain("libvulkan.so.1");
    expect(advice(undefined, "win32")).toContain("Direct3D 12");
  });
});
