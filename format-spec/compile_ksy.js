// Compiles presence.ksy to Python: node compile_ksy.js <folder of node_modules> <target folder>.
// `cargo xtask test --only kaitai` installs what this needs and runs it.
"use strict";
const fs = require("fs");
const path = require("path");

async function main() {
  const [modules, target] = process.argv.slice(2);
  if (!modules || !target) throw new Error("usage: compile_ksy.js <node_modules> <target folder>");
  const load = (name) => require(path.join(path.resolve(modules), name));
  const yaml = load("js-yaml");
  const compiler = load("kaitai-struct-compiler");
  const description = yaml.load(fs.readFileSync(path.join(__dirname, "presence.ksy"), "utf8"));
  const files = await compiler.compile("python", description, null, false);
  fs.mkdirSync(target, { recursive: true });
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(target, name), text);
}

main().catch((error) => {
  console.error(`compile_ksy: ${error.stack || error}`);
  process.exit(1);
});
