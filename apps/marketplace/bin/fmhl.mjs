#!/usr/bin/env node
// The command `fmhl`. A shell may give it the machine's own Node, which may be too old for the sources.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const oldest = 24;
const modules = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= oldest) {
  // Half of a short command is compiling what the last one compiled.
  module.enableCompileCache(join(modules, '.cache', 'node'));
  await import(cli);
} else {
  const bundled = join(modules, '.bin', 'node');
  if (!existsSync(bundled)) {
    console.error(
      `fmhl needs Node ${oldest} or newer; this is ${process.versions.node}. Run "npm start" once, which brings it along.`,
    );
    process.exit(1);
  }
  // Signals reach both, as they share a process group; the child drains and its exit code is ours.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {});
  process.exit(spawnSync(bundled, [cli, ...process.argv.slice(2)], { stdio: 'inherit' }).status ?? 1);
}
