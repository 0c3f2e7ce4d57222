/**
 * The two commands as an operator meets them: starts, ends, kills, wrong settings, migrations, outages, probes.
 */
import type { Figure, RunOptions } from '../bench/report.ts';
import { exposition } from './commands/exposition.ts';
import { help, takenMetricsPort, wrongSettings } from './commands/faults.ts';
import { migrations } from './commands/migrations.ts';
import { outages } from './commands/outages.ts';
import { starts } from './commands/starts.ts';
import { temporaryDirectory } from './harness/directory.ts';

export const about = 'starts, ends, kill -9, wrong settings, migrations both ways, outages of Redis and Postgres';

export async function run({ quick, say }: RunOptions): Promise<Figure[]> {
  const directory = temporaryDirectory('commands');
  const ground = { directory: directory.path, say };
  const parts: Record<string, () => Promise<Figure[]>> = {
    help: () => help(ground),
    'wrong settings': () => wrongSettings(ground),
    'a taken METRICS_PORT': () => takenMetricsPort(ground),
    'starts and ends': () => starts({ ...ground, rounds: quick ? 2 : 5 }),
    migrations: () => migrations(ground),
    outages: () => outages(ground),
    metrics: () => exposition({ ...ground, mayDownload: !quick }),
  };
  const figures: Figure[] = [];
  try {
    for (const [name, part] of Object.entries(parts)) {
      const startedAt = performance.now();
      figures.push(...(await part()));
      say(`${name}: ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
    }
    return figures;
  } finally {
    directory.remove();
  }
}
