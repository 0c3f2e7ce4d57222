import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  currentStamp,
  fingerprintOf,
  installCommand,
  treeMatchesLockfile,
  workspacesOf,
  writeStamp,
} from './dependencies.mjs';
import { isNewEnough } from './redis-server.mjs';
import { isStale, withSetupLock } from './setup-lock.mjs';

let root;

function write(path, content) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), JSON.stringify(content));
}

const pg = { version: '8.0.0', integrity: 'sha512-pg' };
const forElsewhere = { version: '1.0.0', optional: true, os: ['plan9'], cpu: ['vax'] };
const application = { name: 'shop', dependencies: { pg: '8.0.0' } };

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'fmhl-setup-'));
  write('package.json', { name: 'root', workspaces: ['apps/*'], scripts: { start: 'node .' } });
  write('apps/shop/package.json', application);
  const packages = { 'apps/shop': application, 'node_modules/pg': pg, 'node_modules/elsewhere': forElsewhere };
  write('package-lock.json', { packages });
  write('node_modules/.package-lock.json', { packages: { 'apps/shop': application, 'node_modules/pg': pg } });
  write('apps/not-a-package/readme.json', {});
});

afterEach(() => rmSync(root, { recursive: true }));

describe('an installation', () => {
  it('is current after its stamp was written', () => {
    expect(currentStamp(root)).toBeUndefined();
    writeStamp(root, { node: '/a/node' });
    expect(currentStamp(root)).toMatchObject({ node: '/a/node' });
  });

  it('is stale when a workspace asks for another version', () => {
    writeStamp(root, {});
    write('apps/shop/package.json', { ...application, dependencies: { pg: '8.1.0' } });
    expect(currentStamp(root)).toBeUndefined();
  });

  it('is stale when the lockfile changes', () => {
    writeStamp(root, {});
    write('package-lock.json', { packages: {} });
    expect(currentStamp(root)).toBeUndefined();
  });

  it('stays current when only a script changes', () => {
    const before = fingerprintOf(root);
    write('package.json', { name: 'root', workspaces: ['apps/*'], scripts: { start: 'node elsewhere' } });
    expect(fingerprintOf(root)).toBe(before);
  });

  it('counts as a workspace what has a package.json', () => {
    expect(workspacesOf(root)).toEqual(['apps/shop']);
  });
});

describe('a tree that npm installed by hand', () => {
  it('matches its lockfile without the packages of other machines', () => {
    expect(treeMatchesLockfile(root)).toBe(true);
  });

  it('does not match when a package is missing or another version', () => {
    write('node_modules/.package-lock.json', { packages: { 'apps/shop': application } });
    expect(treeMatchesLockfile(root)).toBe(false);
    write('node_modules/.package-lock.json', { packages: { 'node_modules/pg': { ...pg, version: '7.0.0' } } });
    expect(treeMatchesLockfile(root)).toBe(false);
  });

  it('does not match when a package.json asks for what the lockfile does not know', () => {
    write('apps/shop/package.json', { ...application, dependencies: { pg: '8.0.0', zod: '4.0.0' } });
    expect(treeMatchesLockfile(root)).toBe(false);
  });
});

describe('the npm command', () => {
  it('is a clean install of a lockfile that knows everything', () => {
    expect(installCommand(root)).toEqual(['ci']);
  });

  it('keeps to the versions of a lockfile that lacks packages of other platforms', () => {
    const packages = {
      'apps/shop': application,
      'node_modules/pg': { ...pg, optionalDependencies: { absent: '1.0.0' } },
    };
    write('package-lock.json', { packages });
    expect(installCommand(root)).toEqual(['install', '--no-save']);
  });

  it('makes a lockfile where there is none', () => {
    rmSync(join(root, 'package-lock.json'));
    expect(installCommand(root)).toEqual(['install']);
  });

  it('is refused while a package.json asks for what the lockfile does not know', () => {
    write('apps/shop/package.json', { ...application, dependencies: { zod: '4.0.0' } });
    expect(() => installCommand(root)).toThrow('Please run: npm install');
  });
});

describe('the setup lock', () => {
  const now = 1_000_000;
  const alive = { token: 'a', pid: process.pid, host: hostname(), lastSeen: now };

  it('is stale when its owner is gone or silent, and not before', () => {
    expect(isStale(alive, now)).toBe(false);
    expect(isStale({ ...alive, pid: 2 ** 30 }, now)).toBe(true);
    expect(isStale({ ...alive, pid: 2 ** 30, host: 'another' }, now)).toBe(false);
    expect(isStale({ ...alive, lastSeen: now - 60_000 }, now)).toBe(true);
  });

  it('lets one in at a time', async () => {
    const order = [];
    const work = (name) => async () => {
      order.push(`${name} in`);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`${name} out`);
    };
    const lock = join(root, 'lock');
    await Promise.all([withSetupLock(lock, work('a')), withSetupLock(lock, work('b'))]);
    expect(order).toEqual(['a in', 'a out', 'b in', 'b out']);
  });

  it('is taken over from a dead owner by one of those who wait', async () => {
    write('lock/owner.json', { token: 'dead', pid: 2 ** 30, host: hostname() });
    let inside = 0;
    let most = 0;
    const work = async () => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    };
    const lock = join(root, 'lock');
    await Promise.all([withSetupLock(lock, work), withSetupLock(lock, work), withSetupLock(lock, work)]);
    expect(most).toBe(1);
  });
});

describe('a Redis server', () => {
  it.each([
    ['Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64', true],
    ['Redis server v=6.2.0 sha=00000000:0', true],
    ['Valkey server v=8.1.1 sha=00000000:0', true],
    ['Redis server v=6.0.16 sha=00000000:0', false],
    ['', false],
  ])('of %j is new enough: %s', (line, verdict) => {
    expect(isNewEnough(line)).toBe(verdict);
  });
});
