/**
 * One package source of apt.
 * @typedef {object} AptSource
 * @property {string[]} uris mirrors
 * @property {string[]} suites e.g. "bookworm", "bookworm-updates"
 * @property {string[]} components e.g. "main"
 * @property {Map<string, string>} options deb822 field name -> value, e.g. "Signed-By" (may be a key block of several lines)
 */

/**
 * Read a one-line style file: `deb [signed-by=...] URI suite component...`. Other lines are skipped.
 * @param {string} text
 * @returns {AptSource[]}
 */
export function parseOneLineSources(text) {
  /** @type {AptSource[]} */
  const sources = [];
  for (const line of text.split("\n")) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (match === null) continue;
    const [, bracket = "", uri = "", suite = "", components = ""] = match;
    /** @type {Map<string, string>} */
    const options = new Map();
    for (const option of bracket.split(/\s+/)) {
      const [key = "", value] = option.split("=", 2);
      if (value === undefined) continue;
      const field = { "signed-by": "Signed-By", trusted: "Trusted", arch: "Architectures" }[key.toLowerCase()];
      if (field !== undefined) options.set(field, value.replaceAll(",", " "));
    }
    sources.push({ uris: [uri], suites: [suite], components: words(components), options });
  }
  return sources;
}

/**
 * Read a deb822 style file (`*.sources`). Disabled stanzas and source packages are skipped.
 * @param {string} text
 * @returns {AptSource[]}
 */
export function parseDeb822Sources(text) {
  /** @type {AptSource[]} */
  const sources = [];
  for (const stanza of text.replace(/^#.*\n?/gm, "").split(/\n[ \t]*\n/)) {
    /** @type {Map<string, string>} */
    const fields = new Map();
    let current = "";
    for (const line of stanza.split("\n")) {
      const start = /^([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)$/.exec(line);
      if (start !== null) {
        current = (start[1] ?? "").toLowerCase();
        fields.set(current, start[2] ?? "");
      } else if (/^[ \t]/.test(line) && current !== "") {
        fields.set(current, `${fields.get(current) ?? ""}\n${line}`);
      }
    }
    if (!words(fields.get("types") ?? "").includes("deb") || (fields.get("enabled") ?? "yes").trim().toLowerCase() === "no") continue;
    /** @type {Map<string, string>} */
    const options = new Map();
    for (const field of ["Signed-By", "Trusted", "Architectures"]) {
      const value = fields.get(field.toLowerCase());
      if (value !== undefined) options.set(field, value);
    }
    sources.push({
      uris: words(fields.get("uris") ?? ""),
      suites: words(fields.get("suites") ?? ""),
      components: words(fields.get("components") ?? ""),
      options,
    });
  }
  return sources;
}

/**
 * A deb822 file with everything the machine already uses for a release, plus that release's backports from the
 * same mirrors.
 * @param {readonly AptSource[]} sources the machine's own
 * @param {string} release e.g. "bookworm"
 * @returns {string | undefined} undefined when the machine has no network source for the release
 */
export function withBackports(sources, release) {
  const network = sources.filter((source) => source.uris.some((uri) => !uri.startsWith("cdrom:")));
  const main = network.filter((source) => source.suites.includes(release) && source.components.includes("main"));
  if (main.length === 0) return undefined;
  const configured = network.some((source) => source.suites.includes(`${release}-backports`));
  const extra = configured ? [] : main.map((source) => ({ ...source, suites: [`${release}-backports`], components: ["main"] }));
  const own = network.filter((source) => source.suites.some((suite) => suite === release || suite.startsWith(`${release}-`)));
  return [...own, ...extra].map(formatSource).join("\n");
}

/**
 * @param {AptSource} source
 * @returns {string} one deb822 stanza
 */
function formatSource(source) {
  const fields = [
    ["Types", "deb"],
    ["URIs", source.uris.join(" ")],
    ["Suites", source.suites.join(" ")],
    ...(source.components.length > 0 ? [["Components", source.components.join(" ")]] : []),
    ...source.options,
  ];
  return fields.map(([name, value]) => `${name}: ${value}\n`).join("");
}

/**
 * @param {string} text
 * @returns {string[]}
 */
function words(text) {
  return text.split(/\s+/).filter((word) => word !== "");
}
