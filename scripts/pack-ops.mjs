// npm run pack:ops: compiles packages/ops into a folder that npm can publish, packs it, and prints where the tarball is.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { capture, SetupError } from './commands.mjs';
import { ensureSetup, fail, root } from './setup.mjs';

const library = join(root, 'packages', 'ops');
const output = join(library, 'dist');
const compiled = join(output, 'esm');

/** A host hands its own Fastify and zod to the library, so there must be one copy of each. */
const fromHost = ['fastify', 'zod'];

async function build({ node, path }) {
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output);
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await succeed(node, [compiler, '-p', join(library, 'tsconfig.build.json')], { cwd: root, env: environment(path) });
  for (const file of readdirSync(compiled, { recursive: true })) {
    if (file.endsWith('.d.ts')) nameCompiledFiles(join(compiled, file));
  }
  // Beside the code as in the source tree, so that one relative address serves both.
  cpSync(join(library, 'migrations'), join(output, 'migrations'), { recursive: true });
  cpSync(join(library, 'README.md'), join(output, 'README.md'));
  cpSync(join(root, 'LICENSE'), join(output, 'LICENSE'));
  writeFileSync(join(output, 'package.json'), `${JSON.stringify(publishedManifest(), null, 2)}\n`);
}

/** The compiler rewrites the endings of imports in code, not in declarations. */
function nameCompiledFiles(file) {
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/(['"])(\.{1,2}\/[^'"\n]+)\.ts\1/g, '$1$2.js$1'));
}

function publishedManifest() {
  const source = JSON.parse(readFileSync(join(library, 'package.json'), 'utf8'));
  const { name, version, license, description, type } = source;
  const entries = Object.entries(source.dependencies);
  const own = entries.filter(([dependency]) => !fromHost.includes(dependency));
  const peers = entries.filter(([dependency]) => fromHost.includes(dependency));
  return {
    name,
    version,
    license,
    description,
    type,
    engines: { node: '>=22' },
    exports: Object.fromEntries(Object.entries(source.exports).map(([entry, file]) => [entry, compiledEntry(file)])),
    files: ['esm', 'migrations'],
    sideEffects: false,
    dependencies: Object.fromEntries(own),
    peerDependencies: Object.fromEntries(peers.map(([dependency, exact]) => [dependency, `^${exact}`])),
  };
}

function compiledEntry(source) {
  const path = source.replace(/^\.\/src\//, './esm/').replace(/\.ts$/, '');
  return { types: `${path}.d.ts`, default: `${path}.js` };
}

async function pack(path) {
  await succeed('npm', ['pack', output, '--pack-destination', output], { cwd: root, env: environment(path) });
  const { name, version } = publishedManifest();
  return relative(root, join(output, `${name.slice(1).replace('/', '-')}-${version}.tgz`));
}

const environment = (path) => ({ ...process.env, PATH: path });

async function succeed(file, args, options) {
  const { code, output: said } = await capture(file, args, options);
  if (code !== 0) throw new SetupError(`${file} ${args.join(' ')} failed:\n${said.trim()}`);
}

async function main() {
  const setup = await ensureSetup({ redis: false });
  await build(setup);
  console.log(await pack(setup.path));
}

main().catch(fail);
