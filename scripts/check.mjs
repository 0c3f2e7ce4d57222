// npm run check: types, lint, format, boundaries and dead code, side by side. `npm run check -- --fix` mends what it can.
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { capture, seconds } from './commands.mjs';
import { ensureSetup, fail, root } from './setup.mjs';

const bin = (name) => join('node_modules', '.bin', name);

// The longest first: there may be fewer processors than checks.
const checks = [
  { name: 'lint', run: [bin('oxlint'), '--type-aware', '--deny-warnings', '--ignore-pattern', 'checks/fixtures'] },
  { name: 'dead code', run: [bin('knip'), '--no-progress', '--no-config-hints'] },
  { name: 'types', run: [bin('tsc'), '-p', 'tsconfig.check.json'] },
  { name: 'boundaries', run: ['checks/run.ts'] },
  { name: 'format', run: [bin('biome'), 'format', '--reporter=summary'] },
];

const fixes = [
  { name: 'lint', run: [bin('oxlint'), '--fix', '--quiet', '--ignore-pattern', 'checks/fixtures'] },
  { name: 'format', run: [bin('biome'), 'format', '--write'] },
];

/** Runs all checks, prints a line each and the output of those that fail. Resolves with the counts. */
export async function runChecks({ node, path }) {
  const results = await Promise.all(checks.map((check) => runCheck(check, node, path)));
  const failed = results.filter((isOk) => !isOk).length;
  return { passed: results.length - failed, failed, skipped: 0 };
}

async function runCheck(check, node, path) {
  const started = Date.now();
  const { code, output } = await capture(node, check.run, { cwd: root, env: { ...process.env, PATH: path } });
  console.log(
    code === 0
      ? `ok   ${check.name} ${seconds(started)}`
      : `FAIL ${check.name} ${seconds(started)}\n${output.trim()}\n`,
  );
  return code === 0;
}

async function fix({ node, path }) {
  for (const { run } of fixes) await capture(node, run, { cwd: root, env: { ...process.env, PATH: path } });
}

async function main() {
  const setup = await ensureSetup({ redis: false });
  if (process.argv.includes('--fix')) await fix(setup);
  const { failed } = await runChecks(setup);
  process.exitCode = failed === 0 ? 0 : 1;
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) main().catch(fail);
