import type { Finding } from "./finding.js";

/** What must not appear in a file, and what to do instead. */
interface Rule {
  readonly pattern: RegExp;
  readonly problem: string;
  /** Files the rule is about; default all. */
  readonly files?: RegExp;
}

const rules: readonly Rule[] = [
  { pattern: /\bregistry\.(?:npmjs|yarnpkg|npmmirror)\.\w+/, problem: "names a package registry; leave hosts to the user's own npm settings" },
  { pattern: /\b(?:deb|security|snapshot)\.debian\.org\b/, problem: "names a package mirror; derive it from the machine's apt sources" },
  { pattern: /"resolved": "\w+:\/\//, problem: "records where a package was fetched from; .npmrc has omit-lockfile-registry-resolved", files: /package-lock\.json$/ },
  { pattern: /(?<![\w.$}*-])\/(?:work|root|home\/\w+|Users\/\w+)\/\w/, problem: "holds an absolute path of one machine; make it relative to the repository" },
  { pattern: /\b(?:TO[D]O|FIX[M]E)\b/, problem: "has an open end; do it, or write it down where work is planned", files: /\.(?:[cm]?[jt]s|md|wgsl)$/ },
];

/** File names that say nothing about what is inside. */
const emptyNames = /^(?:utils?|helpers?|misc|common)\.[cm]?[jt]s$/;

/** Driving data and trained weights belong beside the repository, never into it (small golden vectors are .npz or .json). */
const dataFiles = /\.(?:pkl|pickle|safetensors)$/;

/**
 * Look for things that must not be in the repository.
 * @param files contents by path; binary files may be left out
 * @returns one finding for every rule and file
 */
export function checkHygiene(files: ReadonlyMap<string, string>): Finding[] {
  return [...files].flatMap(([path, text]) => [
    ...checkName(path),
    ...rules.flatMap(({ pattern, problem, files: only }) => {
      if (only !== undefined && !only.test(path)) return [];
      const line = text.split("\n").findIndex((content) => pattern.test(content));
      return line < 0 ? [] : [{ where: `${path}:${line + 1}`, problem }];
    }),
  ]);
}

function checkName(path: string): Finding[] {
  const name = path.split("/").at(-1) ?? path;
  if (dataFiles.test(name)) return [{ where: path, problem: "is driving data or weights; keep it outside of the repository" }];
  if (emptyNames.test(name)) return [{ where: path, problem: "says nothing by its name; name it after what it holds" }];
  if (/^(?:packages|tools)\/.*\.[cm]?[jt]s$/.test(path) && /[A-Z_]/.test(name)) return [{ where: path, problem: "is not kebab-case" }];
  return [];
}
