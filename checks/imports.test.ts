import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findImportFaults } from './imports.ts';
import { importsOf } from './sources.ts';

const root = dirname(import.meta.dirname);
const fixture = (name: string): string => `${root}/checks/fixtures/${name}`;

const planted = [
  ['upward-import', 'slice', 'the slice postgres may not import queues'],
  ['past-the-index', 'slice', 'the slice postgres is imported by its index.ts only'],
  ['unknown-slice', 'slice', 'novelties has no row'],
  ['tests-imported', 'slice', 'testing is for tests'],
  ['feature-sideways', 'slice', 'the slice email may not import leads'],
  ['library-imports-app', 'package', 'packages/ops may not import @fmhl/marketplace'],
  ['private-import', 'package', 'apps/marketplace may not import @fmhl/ops/testing'],
  ['relative-escape', 'package', 'leaves apps/marketplace by a relative path'],
  ['feature-imports-app', 'restricted', 'it constructs everything'],
  ['role-imported', 'restricted', 'a role is where a process begins'],
  ['impure-contract', 'contract', 'a contract may not import bullmq'],
  ['impure-contract-behind', 'contract', 'a file that packages/ops/src/audit/contract.ts imports may not import pg'],
  ['value-cycle', 'cycle', 'append.ts → packages/ops/src/audit/shape.ts → packages/ops/src/audit/check.ts → '],
] as const;

describe('the import table', () => {
  it.each(planted)('refuses %s', (name, rule, message) => {
    const faults = findImportFaults(fixture(name)).filter((fault) => fault.rule === rule);
    expect(faults).toHaveLength(1);
    expect(faults[0]?.message).toContain(message);
  });

  it('passes a tree that keeps it', () => {
    expect(findImportFaults(fixture('clean'))).toEqual([]);
  });

  it('is kept by this repository', () => {
    expect(findImportFaults(root)).toEqual([]);
  });
});

describe('importsOf', () => {
  const read = (text: string) =>
    importsOf({ path: 'a/b.ts', text }, root).map(
      ({ specifier, typeOnly }) => `${typeOnly ? 'type ' : ''}${specifier}`,
    );

  it.each([
    ["import { a } from './a.ts';", './a.ts'],
    ["import a, { b as c } from './a.ts';", './a.ts'],
    ["import * as a from './a.ts';", './a.ts'],
    ["import './a.ts';", './a.ts'],
    ["import {\n  a,\n  type B,\n} from './a.ts';", './a.ts'],
    ["import { type A } from './a.ts';", './a.ts'],
    ["import type from './a.ts';", './a.ts'],
    ["export * from './a.ts';", './a.ts'],
    ["export { a } from './a.ts';", './a.ts'],
    ["  const a = await import('./a.ts');", './a.ts'],
    ["import type { A } from './a.ts';", 'type ./a.ts'],
    ["export type { A } from './a.ts';", 'type ./a.ts'],
    ["export type * from './a.ts';", 'type ./a.ts'],
  ])('finds the import of %j', (text, expected) => {
    expect(read(text)).toEqual([expected]);
  });

  it.each([
    "// import { a } from './a.ts';",
    " * import './a.ts'",
    "export const from = 'a';",
    "export type A = 'a' | 'b';",
  ])('finds none in %j', (text) => {
    expect(read(text)).toEqual([]);
  });

  it('gives the line and the file that a relative import means', () => {
    const text = "\nimport { a } from '../c/d.ts';\n";
    expect(importsOf({ path: 'a/b.ts', text }, root)[0]).toMatchObject({ line: 2, target: 'c/d.ts' });
  });
});
