import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = dirname(import.meta.dirname);

type Diagnostic = { code: string; filename: string; labels: { span: { line: number } }[] };

function lint(folder: string): string[] {
  const args = ['node_modules/.bin/oxlint', '--type-aware', '--format', 'json', folder];
  const { stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: Diagnostic[] };
  return diagnostics.map(({ code, filename, labels }) => {
    const file = filename.slice(filename.lastIndexOf('/') + 1);
    return `${file}:${labels[0]?.span.line} ${code}`;
  });
}

describe('the linter', () => {
  it('refuses every planted fault', { timeout: 30_000 }, () => {
    expect(lint('checks/fixtures/lint').sort()).toEqual([
      'faults.ts:1 import(no-cycle)',
      'faults.ts:1 typescript(consistent-type-imports)',
      'faults.ts:10 typescript(no-misused-promises)',
      'faults.ts:11 typescript(no-misused-promises)',
      'faults.ts:15 typescript(await-thenable)',
      'faults.ts:18 typescript(no-explicit-any)',
      'faults.ts:20 eslint(eqeqeq)',
      'faults.ts:23 eslint(no-console)',
      'faults.ts:27 typescript(switch-exhaustiveness-check)',
      'faults.ts:34 typescript(ban-ts-comment)',
      'faults.ts:38 typescript(only-throw-error)',
      'faults.ts:41 typescript(no-non-null-assertion)',
      'faults.ts:41 typescript(no-unnecessary-type-assertion)',
      'faults.ts:6 typescript(no-floating-promises)',
      'kinds.ts:1 import(no-cycle)',
      'long.ts:1 eslint(max-lines-per-function)',
      'long.ts:404 eslint(max-lines)',
    ]);
  });
});
