import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';

/** The user a server runs as when the application runs as root: PostgreSQL refuses to run as root. */
export interface ServerUser {
  uid: number;
  gid: number;
}

/** The owner of a data directory that root found: it stays the owner, so that `npm start` works after `sudo npm start`. */
export function foreignOwner(dataDirectory: string): ServerUser | undefined {
  const owner = process.getuid?.() === 0 ? ownerOf(dataDirectory) : undefined;
  return owner?.uid === 0 ? undefined : owner;
}

/** Whom PostgreSQL runs as; undefined is ourselves, which root cannot be. */
export function serverUser(dataDirectory: string): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const user = foreignOwner(dataDirectory) ?? accountNamed('postgres') ?? accountNamed('nobody');
  if (!user)
    throw new Error(
      'running as root needs a user `postgres` or `nobody` for PostgreSQL: give DATABASE_URL, or run as another user',
    );
  return user;
}

export function ownerOf(path: string): ServerUser | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found && { uid: found.uid, gid: found.gid };
}

function accountNamed(name: string): ServerUser | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  // macOS writes the ids of `nobody` as -2.
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
}

/** True when that user can enter the directory and write in it: found by doing it, as every parent has a say. */
export function canWriteIn(directory: string, user: ServerUser): boolean {
  const probe = 'cd "$1" && : > .probe && rm .probe';
  return spawnSync('/bin/sh', ['-c', probe, 'sh', directory], { ...user, cwd: '/', stdio: 'ignore' }).status === 0;
}

export function canRun(program: string, user: ServerUser | undefined): boolean {
  return spawnSync(program, ['--version'], { ...user, cwd: '/', stdio: 'ignore' }).status === 0;
}
