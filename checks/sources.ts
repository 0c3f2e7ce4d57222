/** The source files of a tree and the import statements in them. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

export type Fault = { file: string; line: number; rule: string; message: string };

/** `path` is relative to the root, with forward slashes. */
export type Source = { path: string; text: string };

export type Import = {
  specifier: string;
  line: number;
  /** Erased before running: `import type` and `export type`. `import { type X }` is not, it still loads the module. */
  typeOnly: boolean;
  /** The path of the imported file in the same tree; undefined for packages. */
  target: string | undefined;
};

const skipped = /(^|\/)(node_modules|dist|fixtures)\//;

export function readSources(root: string, folders: string[]): Source[] {
  const patterns = folders.map((folder) => `${folder}/**/*.{ts,tsx,mts,mjs}`);
  const paths = globSync(patterns, { cwd: root, exclude: (path) => path === 'node_modules' || path === 'dist' });
  return paths
    .filter((path) => !skipped.test(path))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}

// TypeScript 7 has no API for this, and the formatter puts every statement at the start of a line. That is what makes
// these expressions sound; `*.test.ts` beside this file holds the cases.
const statement = /^(?:import|export)\s+(type\s+(?!from\b|,))?(?:[\w*\s{},$]*?\bfrom\s+)?['"]([^'"\n]+)['"]/gm;
const call = /^(?!\s*(?:\/\/|\*)).*\bimport\(\s*['"]([^'"\n]+)['"]/gm;

export function importsOf({ path, text }: Source, root: string): Import[] {
  const found = [
    ...[...text.matchAll(statement)].map((match) => ({ match, typeOnly: match[1] !== undefined, specifier: match[2] })),
    ...[...text.matchAll(call)].map((match) => ({ match, typeOnly: false, specifier: match[1] })),
  ];
  return found.map(({ match, typeOnly, specifier = '' }) => ({
    specifier,
    typeOnly,
    line: lineAt(text, match.index),
    target: targetOf(path, specifier, root),
  }));
}

function targetOf(from: string, specifier: string, root: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  const path = normalize(join(dirname(from), specifier));
  return existsSync(join(root, path)) || !path.endsWith('.js') ? path : path.replace(/\.js$/, '.ts');
}

export const lineAt = (text: string, index: number): number => text.slice(0, index).split('\n').length;

/** Tests, and what only they use: `*.fixture.ts`. */
export const isTest = (path: string): boolean => /\.(test|fixture)\.tsx?$/.test(path);
