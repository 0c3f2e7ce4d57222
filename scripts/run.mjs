// npm run bench -- <name> and npm run prove -- <name>: runs one file of bench/ or proofs/ on Node 24.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './commands.mjs';
import { ensureSetup, fail, root } from './setup.mjs';

const kinds = {
  bench: { folder: 'bench', suffix: '.bench.ts' },
  prove: { folder: 'proofs', suffix: '.proof.ts' },
};

const [kindName, name, ...options] = process.argv.slice(2);
const kind = kinds[kindName];

function namesOf({ folder, suffix }) {
  const files = existsSync(join(root, folder)) ? readdirSync(join(root, folder)) : [];
  return files
    .filter((file) => file.endsWith(suffix))
    .map((file) => file.slice(0, -suffix.length))
    .sort();
}

function list({ folder, suffix }, names) {
  const width = Math.max(0, ...names.map((each) => each.length));
  return names.map((each) => `  ${each.padEnd(width)}  ${firstDocLine(join(root, folder, each + suffix))}`).join('\n');
}

function firstDocLine(file) {
  const [, line = ''] = /\/\*\*\s*\*?\s*(.*)/.exec(readFileSync(file, 'utf8')) ?? [];
  return line.replace('*/', '').trim();
}

async function main() {
  const names = namesOf(kind);
  if (name === '--list') return console.log(list(kind, names) || 'there are none yet');
  if (!names.includes(name)) {
    console.error(
      `usage: npm run ${kindName} -- <name> [--seeds N] [--seed FIRST] [--quick] [--large] [--only PART,…] [--json] | --list\nnames:\n${list(kind, names)}`,
    );
    process.exitCode = 2;
    return;
  }
  const { node, path } = await ensureSetup({ forTests: true });
  const file = join(root, kind.folder, name + kind.suffix);
  const reporter = join(root, 'bench', 'report.ts');
  process.exitCode = await run(node, [reporter, file, name, ...options], {
    cwd: root,
    // What a proof starts, and starts again, is compiled once for all of them.
    env: { NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'node'), ...process.env, PATH: path },
  });
}

main().catch(fail);
