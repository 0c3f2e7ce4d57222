// npm test: the checks, then all tests, then the proofs. `npm test -- <pattern>` runs the matching test files alone.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChecks } from './check.mjs';
import { run, seconds } from './commands.mjs';
import { ensureSetup, fail, root } from './setup.mjs';
import { proofs, testProjects } from './suite.mjs';

/** No step of the suite comes near this; what does hangs, and must not hang CI with it. */
const withinMs = 15 * 60_000;

const [only, filters] = readArguments(process.argv.slice(2));

function readArguments(args) {
  const at = args.indexOf('--only');
  if (at === -1) return [undefined, args];
  return [args[at + 1], args.filter((_, index) => index !== at && index !== at + 1)];
}

function stepsFor({ node, path }) {
  // Tests and proofs start hundreds of processes of the same sources, and half of a short one's time is compiling.
  const cache = { NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'node') };
  const environment = { node, options: { cwd: root, env: { ...cache, ...process.env, PATH: path }, withinMs } };
  const isWhole = only === undefined && filters.length === 0;
  const steps = testProjects
    .filter(({ project }) => only === undefined || only === project)
    .map(({ project, title }) => ({ title, work: () => runTests(project, environment) }));
  if (isWhole) steps.unshift({ title: 'checks', work: () => runChecks({ node, path }) });
  if (proofs.length > 0 && (isWhole || only === 'proofs'))
    steps.push({ title: 'proofs', work: () => runProofs(environment) });
  return steps;
}

async function runTests(project, { node, options }) {
  const folder = mkdtempSync(join(tmpdir(), 'fmhl-tests-'));
  const report = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const code = await run(
    node,
    [vitest, 'run', '--project', project, '--passWithNoTests', ...reporters, ...filters],
    options,
  );
  const counts = countsOf(report, code);
  rmSync(folder, { recursive: true });
  return counts;
}

/** Counts tests from vitest's JSON report. A file that could not be loaded, or a run that broke off, is one failure. */
function countsOf(report, code) {
  const {
    testResults = [],
    numPassedTests = 0,
    numFailedTests = 0,
    numPendingTests = 0,
    numTodoTests = 0,
  } = readReport(report);
  const unloaded = testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some(isFailed),
  ).length;
  const failed = numFailedTests + unloaded;
  const skipped = numPendingTests + numTodoTests;
  return { passed: numPassedTests, failed: code !== 0 && failed === 0 ? 1 : failed, skipped };
}

const isFailed = ({ status }) => status === 'failed';

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return {};
  }
}

async function runProofs({ node, options }) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const proof of proofs) {
    const started = Date.now();
    const code = await run(node, proof.run, options);
    console.log(`${code === 0 ? 'ok' : 'FAIL'} ${proof.name} ${seconds(started)}`);
    counts[code === 0 ? 'passed' : 'failed'] += 1;
  }
  return counts;
}

async function main() {
  const steps = stepsFor(await ensureSetup({ forTests: true }));
  const total = { passed: 0, failed: 0, skipped: 0 };
  const summary = [];
  for (const { title, work } of steps) {
    console.log(`\n== ${title}`);
    const started = Date.now();
    const counts = await work();
    for (const key of Object.keys(total)) total[key] += counts[key];
    summary.push(`${title.padEnd(16)} ${lineOf(counts).padEnd(32)} ${seconds(started)}`);
  }
  console.log(`\n${summary.join('\n')}\n\n${lineOf(total)}`);
  process.exitCode = total.failed === 0 ? 0 : 1;
}

function lineOf({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`;
}

main().catch(fail);
