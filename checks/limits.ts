/** Habits that a text search can hold. What needs syntax or types is in .oxlintrc.json. */
import { basename, extname } from 'node:path';
import { type Fault, isTest, lineAt, readSources, type Source } from './sources.ts';

const folders = ['packages', 'apps', 'examples', 'bench', 'proofs', 'checks', 'testing'];

type Limit = {
  rule: string;
  message: string;
  pattern: RegExp;
  /** Where the pattern is forbidden. */
  applies: (path: string) => boolean;
};

const isProduct = (path: string): boolean => /^(packages|apps)\//.test(path);

const isQueues = (path: string): boolean => path.startsWith('packages/ops/src/queues/');

const limits: Limit[] = [
  {
    rule: 'environment',
    message: "only an application's config.ts reads the environment",
    pattern:
      /\bprocess\s*\.\s*env\b|\bprocess\[['"]env['"]\]|\{[^}\n]*\benv\b[^}\n]*\}\s*(?:=\s*process\b|from 'node:process')/g,
    applies: (path) => isProduct(path) && !isTest(path) && !/^apps\/[^/]+\/src\/config\.ts$/.test(path),
  },
  {
    rule: 'queues',
    message: 'a BullMQ queue and what it keeps are decided in packages/ops/src/queues',
    pattern: /\bnew Queue\(|\bremoveOnFail\b|\bremoveOnComplete\b/g,
    applies: (path) => isProduct(path) && !isTest(path) && !isQueues(path),
  },
];

const drawers = new Set(['utils', 'util', 'lib', 'common', 'helpers', 'shared', 'misc']);

const roleLines = 60;

export function findLimitFaults(root: string): Fault[] {
  const sources = readSources(root, folders);
  return sources.flatMap((source) => [
    ...limits.flatMap((limit) => matches(limit, source)),
    ...drawerFault(source),
    ...roleFault(source),
  ]);
}

function matches({ rule, message, pattern, applies }: Limit, { path, text }: Source): Fault[] {
  if (!applies(path)) return [];
  const found = [...text.matchAll(pattern)].filter((match) => !isComment(text, match.index));
  return found.map((match) => ({ file: path, line: lineAt(text, match.index), rule, message }));
}

function isComment(text: string, index: number): boolean {
  const start = text.lastIndexOf('\n', index) + 1;
  return /^\s*(\/\/|\/?\*)/.test(text.slice(start, index + 1));
}

function drawerFault({ path }: Source): Fault[] {
  const drawer = path
    .split('/')
    .map(stem)
    .find((name) => drawers.has(name));
  if (!isProduct(path) || drawer === undefined) return [];
  return [{ file: path, line: 1, rule: 'drawer', message: `"${drawer}" names no concept` }];
}

const stem = (name: string): string => basename(name, extname(name)).replace(/\.(db\.)?test$/, '');

function roleFault({ path, text }: Source): Fault[] {
  const lines = text.trimEnd().split('\n').length;
  if (!/^apps\/[^/]+\/src\/roles\//.test(path) || lines < roleLines || isTest(path)) return [];
  const message = `${lines} lines: a role is a table of contents of under ${roleLines}`;
  return [{ file: path, line: 1, rule: 'role', message }];
}
