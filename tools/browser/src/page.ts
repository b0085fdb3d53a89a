import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import { chromium } from "playwright-core";

/** What to open. */
export interface PageOptions {
  /** Chromium's executable. */
  readonly browser: string;
  /** TypeScript the page loads, bundled from the sources: a file, or code as if it stood in a folder. */
  readonly entry: string | { readonly code: string; readonly folder: string };
}

/** A page with the bundled module loaded. */
export interface Page {
  /** Calls a function the module put on `window`. */
  call(name: string, ...args: readonly unknown[]): Promise<unknown>;
  /** The page's text, once there is any; "" when there is none after ten seconds. */
  text(): Promise<string>;
  /** What the page wrote to its console, and errors nobody caught. */
  readonly messages: readonly string[];
  close(): Promise<void>;
}

/** WebGPU on SwiftShader, and nothing that calls home. */
const flags = [
  "--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/**
 * Bundles a module as a web page would, serves it on localhost (WebGPU wants a secure context) and opens it in Chromium.
 * @throws when the bundle does not build or the browser does not start
 */
export async function openPage({ browser, entry }: PageOptions): Promise<Page> {
  const bundle = await build({
    ...(typeof entry === "string" ? { entryPoints: [entry] } : { stdin: { contents: entry.code, resolveDir: entry.folder, loader: "ts" as const } }),
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
    conditions: ["@distilldrive/source"],
    // Reached in Node only, behind dynamic imports or in functions that a page does not call.
    external: ["webgpu", "node:*"],
    logLevel: "silent",
  });
  const script = bundle.outputFiles[0]?.text ?? "";
  const server = createServer((request, response) => {
    const isScript = request.url === "/page.js";
    response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html" });
    response.end(isScript ? script : '<!doctype html><meta charset="utf-8"><title>tests</title><script type="module" src="/page.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const running = await chromium.launch({ executablePath: browser, args: flags });
  const messages: string[] = [];
  const page = await running.newPage();
  page.on("console", (message) => messages.push(message.text()));
  page.on("pageerror", (error) => messages.push(String(error)));
  await page.goto(`http://127.0.0.1:${port}/`, { waitUntil: "load" });
  return {
    messages,
    call: (name, ...args) =>
      page.evaluate(([method, values]) => (globalThis as unknown as Record<string, (...all: unknown[]) => unknown>)[method]?.(...values), [name, args] as const),
    text: async () => {
      await page.waitForFunction(() => document.body.textContent !== "", undefined, { timeout: 10_000 }).catch(() => undefined);
      return (await page.textContent("body")) ?? "";
    },
    close: async () => {
      await running.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
