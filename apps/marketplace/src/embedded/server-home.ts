import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  rmdirSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { canWriteIn, ownerOf, type ServerUser } from './server-user.ts';

/** Where root puts what another user must reach and cannot reach in the data directory (a clone below /root, say). */
export const SYSTEM_HOME = '/var/lib/fmhl';

/** The kernel's limit is 108 bytes on Linux and 104 on macOS, its ending zero included. */
const SOCKET_PATH_LIMIT = 100;

/**
 * The real path of a private directory that the server's user owns and can reach. Where it cannot reach the wanted one, that one
 * becomes a symbolic link into `SYSTEM_HOME`, so removing the data directory still gives a fresh start.
 */
export function settleHome(wanted: string, user: ServerUser | undefined): string {
  if (!user) return privateDirectory(wanted);
  const link = linkTarget(wanted);
  if (link) return systemDirectory(link, user);
  const home = privateDirectory(wanted, user);
  if (canWriteIn(home, user)) return home;
  return relocate(home, user);
}

function relocate(home: string, user: ServerUser): string {
  const target = systemDirectory(join(SYSTEM_HOME, randomBytes(6).toString('hex')), user);
  try {
    rmdirSync(home);
  } catch {
    throw new Error(
      `${home} holds data which user ${user.uid} can no longer reach: let others pass its parent directories (chmod o+x)`,
    );
  }
  symlinkSync(target, home);
  return target;
}

function systemDirectory(path: string, user: ServerUser): string {
  ensureSystemHome();
  return privateDirectory(path, user);
}

export function ensureSystemHome(): void {
  if (mkdirSync(SYSTEM_HOME, { recursive: true })) chmodSync(SYSTEM_HOME, 0o755);
}

function linkTarget(path: string): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isSymbolicLink() ? resolve(path, '..', readlinkSync(path)) : undefined;
}

/** Makes the directory (0700, owned by the user) when it is missing; refuses one which belongs to somebody else. */
export function privateDirectory(path: string, user?: ServerUser): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const owner = ownerOf(path)?.uid;
  const self = process.getuid?.();
  if (owner !== user?.uid && owner !== self) {
    throw new Error(`${path} belongs to user ${owner}: run as that user or as root, or choose another --data-dir`);
  }
  if (user) chownSync(path, user.uid, user.gid);
  chmodSync(path, 0o700);
  return realpathSync(path);
}

/** A private directory for sockets: the wanted one, or a short one in the temporary directory where its path is too long for a socket. */
export function socketDirectory(wanted: string, socketName: string, user?: ServerUser): string {
  if (Buffer.byteLength(join(wanted, socketName)) < SOCKET_PATH_LIMIT) return privateDirectory(wanted, user);
  const name = `fmhl-${createHash('sha256').update(wanted).digest('hex').slice(0, 16)}`;
  // Root's own temporary directory may be closed to the server's user.
  return privateDirectory(join(user ? '/tmp' : tmpdir(), name), user);
}

/** Removes a directory that `socketDirectory` made outside of the server's home, once the sockets in it are gone. */
export function leaveSocketDirectory(sockets: string, home: string): void {
  if (sockets === home || sockets.startsWith(`${home}/`)) return;
  try {
    rmdirSync(sockets);
  } catch {}
}
