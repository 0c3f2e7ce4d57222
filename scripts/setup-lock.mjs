// One setup at a time per clone. The lock is a directory, because mkdir is atomic everywhere, even on network disks.
// It stands beside node_modules, not inside: `npm ci` empties node_modules.
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const heartbeatEveryMs = 2_000;
const silentForMs = 30_000;
const pollEveryMs = 200;

/** Runs `work` while holding the lock directory. `onWait` is called once when another process holds it. */
export async function withSetupLock(directory, work, onWait = () => {}) {
  await acquire(directory, onWait);
  const heartbeat = setInterval(() => beat(directory), heartbeatEveryMs);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    rmSync(directory, { recursive: true, force: true });
  }
}

async function acquire(directory, onWait) {
  for (let waited = false; ; await sleep(pollEveryMs)) {
    if (created(directory)) return writeOwner(directory);
    const owner = readOwner(directory);
    if (isStale(owner, Date.now()) && takenOver(directory, owner)) return;
    if (!waited) onWait(owner);
    waited = true;
  }
}

function created(directory) {
  try {
    mkdirSync(directory);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** A lock is stale when its owner's process is gone, or when it gave no sign of life for 30 s (another host, a reused pid). */
export function isStale(owner, now) {
  if (owner === undefined) return false;
  if (now - owner.lastSeen > silentForMs) return true;
  return owner.host === hostname() && owner.pid !== undefined && !isAlive(owner.pid);
}

// Ownership passes in place: of all who saw the same dead owner only one can make its marker, and a marker made in a lock
// that changed hands meanwhile is withdrawn. Removing the directory instead could remove a living owner's.
function takenOver(directory, dead) {
  const marker = join(directory, `taken-from-${dead.token}`);
  try {
    mkdirSync(marker);
  } catch {
    return false;
  }
  if (readOwner(directory)?.token !== dead.token) {
    rmSync(marker, { recursive: true, force: true });
    return false;
  }
  writeOwner(directory);
  return true;
}

function writeOwner(directory) {
  const token = randomUUID();
  const draft = join(directory, `owner-${token}.json`);
  writeFileSync(draft, JSON.stringify({ pid: process.pid, host: hostname(), token }));
  renameSync(draft, join(directory, 'owner.json'));
}

function readOwner(directory) {
  try {
    const lastSeen = statSync(directory).mtimeMs;
    const text = readOptional(join(directory, 'owner.json'));
    return { token: 'nobody', ...(text === undefined ? {} : JSON.parse(text)), lastSeen };
  } catch {
    return undefined; // the lock was given back between two looks
  }
}

function readOptional(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function beat(directory) {
  const now = new Date();
  utimesSync(directory, now, now);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
