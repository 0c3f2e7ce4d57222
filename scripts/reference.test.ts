import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errors } from '../apps/marketplace/src/errors.ts';
import { events } from '../apps/marketplace/src/events.ts';
import { marketplaceLogEvents } from '../apps/marketplace/src/log.ts';
import { catalogue } from '../apps/marketplace/src/metrics.ts';
import { queues } from '../apps/marketplace/src/queues.ts';
import { settings } from '../apps/marketplace/src/settings.ts';
import { opsLogEvents } from '../packages/ops/src/logging/index.ts';
import { referencePages } from './reference-pages.ts';
import { holdsTest } from './security-tests-page.ts';

const root = dirname(import.meta.dirname);
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const filesBelow = (folder: string, pattern: string) =>
  globSync(pattern, { cwd: join(root, folder), exclude: (path) => /^(node_modules|dist|fixtures|\.fmhl)$/.test(path) })
    .map((path) => join(folder, path))
    .filter((path) => !path.includes('node_modules'));

describe('the reference', () => {
  const pages = referencePages();

  it('is what the code says; `npm run reference` writes it anew', async () => {
    for (const [file, text] of Object.entries(await pages)) expect(read(`docs/reference/${file}`), file).toBe(text);
  });

  it('holds no page that nothing generates', async () => {
    const found = filesBelow('docs/reference', '*.md').map((path) => relative('docs/reference', path));
    const named = Object.keys(await pages).filter((path) => path.endsWith('.md'));
    expect(found.sort()).toEqual(named.sort());
  });

  it.each([
    ['configuration.md', Object.values(settings).map(({ env }) => env)],
    ['errors.md', Object.keys(errors)],
    ['events.md', Object.keys(events)],
    ['jobs.md', queues.map(({ name }) => name)],
    ['logs.md', [...opsLogEvents, ...marketplaceLogEvents]],
    ['metrics.md', Object.values(catalogue).map(({ name }) => name)],
  ])('names in %s all there is', async (file, names) => {
    const text = (await pages)[file];
    expect(names.filter((name) => !text?.includes(`\`${name}\``))).toEqual([]);
  });

  it('names for every route who may call it', async () => {
    const rows =
      (await pages)['http.md']?.split('\n').filter((line) => line.includes('/api/v1/') && line.startsWith('| `')) ?? [];
    expect(rows.length).toBeGreaterThan(40);
    expect(
      rows.filter(
        (row) =>
          !/\| (everybody|whoever is signed in( †)?|permission `[a-z_.]+`( †)?|the API as OpenAPI 3.1) \|/.test(row),
      ),
    ).toEqual([]);
  });
});

describe('the list of events', () => {
  it('holds what the features append, and nothing else', () => {
    const sources = filesBelow('apps/marketplace/src/features', '**/*.ts').filter((path) => !path.endsWith('.test.ts'));
    const told = sources.flatMap((path) => eventTypesIn(read(path)));
    expect([...new Set(told)].sort()).toEqual(Object.keys(events).sort());
  });
});

/** Literals such as 'lead.submitted' where a draft names its type, or where a function that makes a draft is called. */
function eventTypesIn(source: string): string[] {
  const places = source.matchAll(/(?:\btype:|Event\(|EventType =)([^{};]*)/g);
  return [...places].flatMap(([, text = '']) =>
    [...text.matchAll(/'([a-z_]+\.[a-z_]+)'/g)].map(([, type = '']) => type),
  );
}

describe('the documents', () => {
  const documents = filesBelow('.', '{*.md,docs/**/*.md,packages/*/*.md,apps/*/*.md,examples/*/*.md}');

  it('link only to what exists', () => {
    const broken = documents.flatMap((path) =>
      linksIn(read(path))
        .filter((target) => !resolves(path, target))
        .map((target) => `${path}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it('are all reached from the index of docs', () => {
    const index = linksIn(read('docs/README.md')).map((target) => join('docs', target.split('#')[0] ?? ''));
    const pages = documents.filter((path) => path.startsWith('docs/') && path !== 'docs/README.md');
    expect(pages.filter((path) => !index.includes(path))).toEqual([]);
  });

  it('name only files of the tree', () => {
    const named = [
      'README.md',
      'ARCHITECTURE.md',
      'packages/ops/ARCHITECTURE.md',
      'CONTRIBUTING.md',
      ...filesBelow('docs/decisions', '*.md'),
      'docs/glossary.md',
    ].flatMap((path) =>
      [
        ...read(path).matchAll(/`((?:apps|packages|checks|scripts|docs|bench|proofs|examples|testing)\/[\w./-]+)`/g),
      ].map(([, file = '']) => ({ path, file })),
    );
    expect(named.filter(({ file }) => !existsSync(join(root, file)))).toEqual([]);
  });
});

/** Relative targets of Markdown links. */
function linksIn(markdown: string): string[] {
  const prose = markdown.replaceAll(/```[\s\S]*?```/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

function resolves(from: string, target: string): boolean {
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? from : join(dirname(from), path);
  if (!existsSync(join(root, file))) return false;
  return (
    anchor === undefined ||
    read(file)
      .split('\n')
      .some((line) => line.startsWith('#') && slugOf(line) === anchor)
  );
}

function slugOf(heading: string): string {
  return heading
    .replace(/^#+\s*/, '')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-');
}

describe('the list of security tests', () => {
  it.each([
    ["it('is held', () => {", true],
    ["describe('is held', () => {", true],
    ["])('is held', async () => {", true],
    ["it(\n  'is held',\n  () => {", true],
    ["it.skip('is held', () => {", false],
    ["describe.skip('all', () => { it('is held', () => {", false],
    ["it.todo('later'); it('is held', () => {", false],
    ["it.skipIf(true)('is held', () => {", false],
    ["it('is held no more', () => {", false],
    ['// it is held', false],
    ["// 'is held'", false],
  ])('counts a test that runs alone: %s', (text, isThere) => {
    expect(holdsTest(text, 'is held')).toBe(isThere);
  });
});
