import { describe, expect, it } from "vitest";
import { parseDeb822Sources, parseOneLineSources, withBackports } from "./apt-sources.mjs";

const deb822 = `Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
Enabled: no
URIs: http://other.example/
Suites: sid
Components: main
`;

const oneLine = `# deb http://off.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # trailing
deb-src http://mirror.example/debian bookworm main
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
deb http://mirror.example/debian bookworm-updates main
`;

describe("parseDeb822Sources", () => {
  it("reads enabled binary stanzas with their options", () => {
    const sources = parseDeb822Sources(deb822);
    expect(sources.map((source) => source.suites)).toEqual([["bookworm", "bookworm-updates"], ["bookworm-security"]]);
    expect(sources[0]?.uris).toEqual(["http://mirror.example/debian"]);
    expect(sources[0]?.options.get("Signed-By")).toBe("/usr/share/keyrings/debian-archive-keyring.gpg");
    expect(sources[1]?.components).toEqual(["main", "contrib"]);
    expect(sources[1]?.options.get("Signed-By")).toContain("\n .\n abc");
  });
});

describe("parseOneLineSources", () => {
  it("reads deb lines with bracketed options and drops comments", () => {
    const sources = parseOneLineSources(oneLine);
    expect(sources[0]).toEqual({
      uris: ["http://mirror.example/debian"],
      suites: ["bookworm"],
      components: ["main", "contrib"],
      options: new Map([["Architectures", "amd64"], ["Signed-By", "/k.gpg"]]),
    });
    expect(sources.flatMap((source) => source.suites)).not.toContain("off");
  });
});

describe("withBackports", () => {
  it("adds backports from the release's own mirror and keeps the rest of the release", () => {
    const text = withBackports(parseDeb822Sources(deb822), "bookworm") ?? "";
    const again = parseDeb822Sources(text);
    expect(again.map((source) => source.suites.join(" "))).toEqual(["bookworm bookworm-updates", "bookworm-security", "bookworm-backports"]);
    expect(again[2]?.uris).toEqual(["http://mirror.example/debian"]);
    expect(again[2]?.options.get("Signed-By")).toBe("/usr/share/keyrings/debian-archive-keyring.gpg");
    expect(again[1]?.options.get("Signed-By")).toContain("\n abc");
  });

  it("does not add backports twice", () => {
    const own = parseOneLineSources("deb http://m/debian bookworm main\ndeb http://m/debian bookworm-backports main\n");
    expect(withBackports(own, "bookworm")?.match(/bookworm-backports/g)).toHaveLength(1);
  });

  it("is undefined without a network source for the release", () => {
    expect(withBackports(parseOneLineSources("deb cdrom:[x]/ bookworm main\ndeb http://m/debian trixie main"), "bookworm")).toBeUndefined();
  });
});
