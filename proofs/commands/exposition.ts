import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Figure } from '../../bench/report.ts';
import { none, reported } from '../harness/figures.ts';
import { fmhl, freePort, launch, root } from '../harness/product.ts';

const run = promisify(execFile);

/** The contract's names end with `_ms`; promtool wants seconds. Nothing else is let pass. */
const tolerated = /^fmhl_\w+_ms metric names should not contain abbreviated units$/;

/** What Prometheus' own checker says of a live `/metrics`. */
export async function exposition({
  directory,
  say,
  mayDownload,
}: {
  directory: string;
  say: (line: string) => void;
  mayDownload: boolean;
}): Promise<Figure[]> {
  const promtool = await findPromtool(mayDownload);
  if (!promtool) return [reported('promtool check metrics: skipped, no promtool', 0, 'checks')];
  const product = launch([...fmhl, 'up'], {
    PORT: String(await freePort()),
    METRICS_PORT: '0',
    DATA_DIR: join(directory, 'metrics'),
  });
  try {
    await product.says('fmhl is ready at');
    const [, url = ''] = /Metrics +(\S+)/.exec(product.err) ?? [];
    await fetch(`${baseOf(product.out)}/api/v1/niches`);
    const metrics = await (await fetch(url)).text();
    const { status, stderr, stdout } = spawnSync(promtool, ['check', 'metrics'], { input: metrics, encoding: 'utf8' });
    const said = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !tolerated.test(line));
    // 3 is "read well, with remarks".
    if (status !== 0 && status !== 3) said.push(`exit code ${status}`);
    return [
      reported('metrics checked by promtool', metrics.match(/^# TYPE /gm)?.length ?? 0, 'metrics'),
      none('complaints of promtool but for the unit ms', said, say),
    ];
  } finally {
    await product.stop('SIGTERM');
  }
}

const baseOf = (said: string): string => /ready at (\S+)/.exec(said)?.[1] ?? '';

/** On the PATH, else unpacked from the system's package beside the dependencies, without installing it. */
async function findPromtool(mayDownload: boolean): Promise<string | undefined> {
  if (spawnSync('promtool', ['--version']).status === 0) return 'promtool';
  const folder = join(root, 'node_modules', '.cache', 'promtool');
  const unpacked = join(folder, 'usr', 'bin', 'promtool');
  if (existsSync(unpacked)) return unpacked;
  if (!mayDownload) return undefined;
  try {
    mkdirSync(folder, { recursive: true });
    await run('apt-get', ['download', 'prometheus'], { cwd: folder });
    const [archive = ''] = readdirSync(folder).filter((name) => name.endsWith('.deb'));
    await run('dpkg', ['-x', join(folder, archive), folder]);
    return existsSync(unpacked) ? unpacked : undefined;
  } catch {
    return undefined;
  }
}
