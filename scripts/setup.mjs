// Brings a fresh clone to where it can run: dependencies, Node 24, a Redis server. Imports Node's own modules only.
import { realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError } from './commands.mjs';
import { currentStamp, install, linkPostgresLibraries, treeMatchesLockfile, writeStamp } from './dependencies.mjs';
import { nodeBinary as findNode, linkNode } from './node-binary.mjs';
import { findRedisServer, installRedisServer } from './redis-server.mjs';
import { withSetupLock } from './setup-lock.mjs';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const lockPath = join(root, '.setup.lock');
const say = (line) => console.log(`setup: ${line}`);

/**
 * Installs what is missing or stale, one printed line per step; silent and quick when nothing is.
 *
 * @param {{ forTests?: boolean, redis?: boolean }} needs `forTests` needs all; `redis: false` leaves Redis out.
 * @returns {Promise<{ node: string, path: string }>} the Node binary to run with, and the PATH to give it.
 */
export async function ensureSetup({ forTests = false, redis = true } = {}) {
  if (!currentStamp(root)) await locked(installDependencies);
  let redisServer;
  if (forTests || redis) redisServer = findRedisServer() ?? (await locked(installRedis));
  const node = nodeBinary();
  const folders = [dirname(node), join(root, 'node_modules', '.bin'), process.env.PATH];
  if (redisServer) folders.push(dirname(redisServer));
  return { node, path: folders.join(delimiter) };
}

/** The binary of Node 24 or newer that everything runs on. */
export function nodeBinary() {
  return findNode(root, currentStamp(root)?.node);
}

async function installDependencies() {
  if (currentStamp(root)) return; // another starter did it while this one waited
  if (!treeMatchesLockfile(root)) await install(root, say);
  linkPostgresLibraries(root);
  linkNode(root);
  writeStamp(root, { node: findNode(root) });
}

async function installRedis() {
  if (!findRedisServer()) await installRedisServer(say);
  const server = findRedisServer();
  if (!server) throw new SetupError('The Redis server that the package manager installed is older than 6.2.');
  return server;
}

const locked = (work) =>
  withSetupLock(lockPath, work, () => say(`waiting for another setup of this clone (${lockPath}) …`));

/** Prints a fault in one piece and ends with code 1. */
export function fail(error) {
  console.error(error instanceof SetupError ? `setup: ${error.message}` : error);
  process.exit(1);
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  ensureSetup({ forTests: true }).then(({ node }) => say(`ready (Node at ${node})`), fail);
}
