import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { installScripts } from './install-scripts.ts';

interface Locked {
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  hasInstallScript?: boolean;
  inBundle?: boolean;
}

interface Manifest {
  name?: string;
  scripts?: Record<string, string>;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

const root = dirname(import.meta.dirname);
const readJson = <T>(path: string) => JSON.parse(readFileSync(join(root, path), 'utf8')) as T;
const lock = readJson<{ packages: Record<string, Locked> }>('package-lock.json').packages;
const installed = Object.entries(lock).filter(([path, { link }]) => path.includes('node_modules/') && !link);
const workspaces = Object.keys(lock).filter((path) => !path.includes('node_modules/'));
const nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
const atInstall = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish'];
const exact = /^\d+\.\d+\.\d+(-[\w.]+)?$/;

describe('the dependencies', () => {
  it('are asked for by exact version', () => {
    for (const path of workspaces) {
      const manifest = readJson<Manifest>(join(path, 'package.json'));
      const asked = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };
      const loose = Object.entries(asked).filter(([, version]) => !exact.test(version));
      expect([path, loose]).toEqual([path, []]);
    }
  });

  it('are locked to one version and one content each, of no place but a registry', () => {
    expect(installed.length).toBeGreaterThan(200);
    const loose = installed.filter(
      ([, { version = '', integrity = '', resolved = 'https://' }]) =>
        !exact.test(version.replace(/\+.*$/, '')) ||
        !integrity.startsWith('sha512-') ||
        !resolved.startsWith('https://'),
    );
    expect(loose.map(([path]) => path)).toEqual([]);
  });
});

interface Component {
  name: string;
  version: string;
  scope?: string;
  hashes?: { alg: string }[];
}

describe('the bill of materials', () => {
  it('is CycloneDX, and names every package with its hash, those that only build and test marked so', () => {
    const text = execFileSync('npm', ['run', '--silent', 'sbom'], { cwd: root, encoding: 'utf8', maxBuffer: 64e6 });
    const bill = JSON.parse(text) as { bomFormat: string; components: Component[] };
    expect(bill.bomFormat).toBe('CycloneDX');
    for (const [path, { version }] of installed) {
      const found = bill.components.find((one) => one.name === nameOf(path) && one.version === version);
      expect([path, found?.hashes?.[0]?.alg]).toEqual([path, 'SHA-512']);
    }
    const scopeOf = (name: string) => bill.components.find((one) => one.name === name)?.scope;
    expect([scopeOf('fastify'), scopeOf('vitest')]).toEqual(['required', 'optional']);
  });
});

describe('the install scripts', () => {
  const bringing = installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => nameOf(path));

  it('of packages are those that are listed, each with what it is for', () => {
    expect([...new Set(bringing)].toSorted()).toEqual(Object.keys(installScripts).toSorted());
    for (const reason of Object.values(installScripts)) expect(reason.length).toBeGreaterThan(30);
  });

  it('are no others in what is installed, whatever the lockfile says', () => {
    for (const [path] of installed) {
      if (!existsSync(join(root, path, 'package.json'))) continue;
      const { scripts = {} } = readJson<Manifest>(join(path, 'package.json'));
      const runs = ['preinstall', 'install', 'postinstall'].filter((name) => scripts[name]);
      const isBuilt = existsSync(join(root, path, 'binding.gyp'));
      if (runs.length > 0 || isBuilt) expect([path, nameOf(path) in installScripts]).toEqual([path, true]);
    }
  });

  it('are none of ours, and npm is told to run none', () => {
    for (const path of workspaces) {
      const { scripts = {} } = readJson<Manifest>(join(path, 'package.json'));
      expect([path, atInstall.filter((name) => scripts[name])]).toEqual([path, []]);
    }
    expect(readFileSync(join(root, '.npmrc'), 'utf8')).toMatch(/^ignore-scripts=true$/m);
    expect(readFileSync(join(root, 'scripts/dependencies.mjs'), 'utf8')).toContain("'--ignore-scripts'");
  });
});
