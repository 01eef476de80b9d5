/**
 * Builds what browsers get, into hub/static/dist: hashed bundles, the two pages with their service workers,
 * manifest.json (logical name -> hashed file) and the notices of third parties.
 *
 * Needs the catalogues of devices/locale as JSON: `python -m devices.locale.catalogues` makes them, and the
 * Python build (hatch_build.py) does both. With --watch it does it all again whenever a source has changed.
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import * as esbuild from "esbuild";

const OUT = "hub/static/dist";
const SERVED_AS = "/static/dist";
const MARK = "devices/web/mark.svg";
const CATALOGUES = "devices/web/catalogues";
const NOTICES = { "@navikt/aksel-icons": "MIT License. Copyright (c) NAV (Arbeids- og velferdsdirektoratet)" };

const APPS = { kiosk: "devices/kiosk/index.html", screen: "devices/player/index.html" };
const WORKER = "devices/web/offline_worker.ts";
const IS_WATCHING = process.argv.includes("--watch");

const version = readFileSync("pyproject.toml", "utf8").match(/^version = "(.+)"$/m)[1];

/** `import catalogues from "catalogues"`: every language that devices/locale has. */
const catalogues = {
  name: "catalogues",
  setup(build) {
    build.onResolve({ filter: /^catalogues$/ }, () => ({ path: "catalogues", namespace: "catalogues" }));
    build.onLoad({ filter: /.*/, namespace: "catalogues" }, () => {
      if (IS_WATCHING) execFileSync("python", ["-m", "devices.locale.catalogues"], { stdio: ["ignore", "ignore", "pipe"] });
      if (!existsSync(CATALOGUES)) throw new Error(`${CATALOGUES} is missing: run python -m devices.locale.catalogues`);
      const all = readdirSync(CATALOGUES)
        .sort()
        .map((name) => [basename(name, ".json"), JSON.parse(readFileSync(join(CATALOGUES, name), "utf8"))]);
      const watchFiles = [...words(), ...Object.values(APPS), WORKER].map((one) => resolve(one));
      return { contents: JSON.stringify(Object.fromEntries(all)), loader: "json", watchFiles };
    });
  },
};

function words() {
  return readdirSync("devices/locale", { recursive: true })
    .filter((name) => name.endsWith(".po"))
    .map((name) => join("devices/locale", name));
}

/** Pictures that a stylesheet carries as data: become files, so that `default-src 'self'` is policy enough. */
const picturesAsFiles = {
  name: "pictures-as-files",
  setup(build) {
    build.onResolve({ filter: /^data:image\/svg\+xml/ }, ({ path }) => ({
      path: `inline-${hashOf(path)}.svg`,
      namespace: "inline",
      pluginData: path,
    }));
    build.onLoad({ filter: /.*/, namespace: "inline" }, ({ pluginData }) => {
      const data = pluginData.slice(pluginData.indexOf(",") + 1);
      const isBase64 = pluginData.slice(0, pluginData.indexOf(",")).endsWith(";base64");
      return { contents: isBase64 ? Buffer.from(data, "base64") : decodeURIComponent(data), loader: "file" };
    });
  },
};

const common = {
  bundle: true,
  minify: true,
  metafile: true,
  logLevel: "warning",
  target: ["chrome90", "safari15", "firefox91"],
  define: { __VERSION__: JSON.stringify(version) },
};

/** What is made of the bundles' names. */
const pages = {
  name: "pages",
  setup(build) {
    build.onEnd(async ({ metafile, errors }) => {
      if (errors.length) return;
      const manifest = manifestOf(metafile);
      for (const [name, page] of Object.entries(APPS)) await writeApp(name, page, manifest);
      writeFileSync(join(OUT, "THIRD_PARTY.txt"), notices(metafile));
      writeFileSync(join(OUT, "manifest.new"), JSON.stringify(manifest, null, 1) + "\n");
      renameSync(join(OUT, "manifest.new"), join(OUT, "manifest.json"));
    });
  },
};

const bundles = {
  ...common,
  entryPoints: [
    { in: "devices/kiosk/main.ts", out: "kiosk" },
    { in: "devices/kiosk/kiosk.css", out: "kiosk" },
    { in: "devices/player/main.ts", out: "screen" },
    { in: "devices/player/player.css", out: "screen" },
    { in: "hub/web/console.ts", out: "console" },
    { in: "hub/web/console.css", out: "console" },
    { in: "hub/web/chart.ts", out: "chart" },
    { in: "hub/web/chart.css", out: "chart" },
    ...ofPlugins(),
  ],
  outdir: OUT,
  publicPath: SERVED_AS,
  format: "esm",
  sourcemap: "linked",
  legalComments: "linked",
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".svg": "file", ".woff2": "file" },
  plugins: [catalogues, picturesAsFiles, pages],
};

if (IS_WATCHING) {
  await (await esbuild.context(bundles)).watch();
} else {
  rmSync(OUT, { recursive: true, force: true });
  await esbuild.build(bundles);
}

/** Each script and style sheet of a plugin is a bundle: `plugins/locks/web/locks.css` is `asset("locks.css")`. */
function ofPlugins() {
  return readdirSync("plugins", { recursive: true })
    .filter((name) => /(?<!\.d)\.ts$|\.css$/.test(name))
    .map((name) => ({ in: join("plugins", name), out: basename(name).replace(/\.[a-z]+$/, "") }));
}

/** Logical name -> hashed file. */
function manifestOf(metafile) {
  const manifest = {};
  for (const [file, { entryPoint, inputs }] of Object.entries(metafile.outputs)) {
    if (entryPoint || MARK in inputs) manifest[basename(file).replace(/-[A-Z0-9]{8}\./, ".")] = basename(file);
  }
  return manifest;
}

/** The page with the names of its bundles in it, and the service worker that keeps them. */
async function writeApp(name, page, manifest) {
  const script = served(manifest[`${name}.js`]);
  const style = served(manifest[`${name}.css`]);
  const mark = served(manifest["mark.svg"]);
  const html = readFileSync(page, "utf8")
    .replaceAll("{{script}}", script)
    .replaceAll("{{style}}", style)
    .replaceAll("{{mark}}", mark);
  const assets = [...new Set([script, style, mark, ...picturesOf(manifest[`${name}.css`])])].sort();
  mkdirSync(join(OUT, name), { recursive: true });
  writeFileSync(join(OUT, name, "index.html"), html);
  await esbuild.build({
    ...common,
    entryPoints: [{ in: WORKER, out: "sw" }],
    outdir: join(OUT, name),
    format: "iife",
    define: {
      __PAGE__: JSON.stringify(`/${name}`),
      __ASSETS__: JSON.stringify(assets),
      __RELEASE__: JSON.stringify(hashOf(html + assets.join())),
    },
  });
}

/** Fonts and pictures that a stylesheet of ours names. */
function picturesOf(stylesheet) {
  const text = readFileSync(join(OUT, stylesheet), "utf8");
  return [...text.matchAll(/url\(["']?([^"')]+)["']?\)/g)].map((found) => found[1]).filter((url) => url.startsWith(SERVED_AS));
}

function served(file) {
  return `${SERVED_AS}/${file}`;
}

function hashOf(text) {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

function notices(metafile) {
  const used = new Set();
  for (const file of Object.keys(metafile.inputs)) {
    const found = file.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/);
    if (found) used.add(found[1]);
  }
  return [...used]
    .sort()
    .map((name) => {
      const folder = join("node_modules", name);
      const { version: release, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
      const text = file ? readFileSync(join(folder, file), "utf8") : (NOTICES[name] ?? "");
      return `== ${name} ${release} (${license})\n${text.trim()}\n\n`;
    })
    .join("");
}
