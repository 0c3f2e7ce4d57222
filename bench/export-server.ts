/** The worker of the export benchmark, in a process of its own: says when it works, and answers each message with its most memory so far. */
import { openSync, writeSync } from 'node:fs';
import { openApp, type ReadyConfig } from '../apps/marketplace/src/app.ts';
import { readConfig } from '../apps/marketplace/src/config.ts';

export interface WorkerMessage {
  /** Most resident memory of the process so far, in MB. */
  readonly peakMb?: number;
}

async function work(env: Record<string, string>): Promise<void> {
  const sink = openSync('/dev/null', 'w');
  const logTo = { write: (line: string) => writeSync(sink, line) };
  const app = openApp(readConfig(env) as ReadyConfig, { role: 'worker', logTo });
  const { report_export } = app.handlers();
  for (const part of [app.ops.relay(), app.ops.worker({ ...(report_export && { report_export }) })]) await part.start();
  const tell = (message: WorkerMessage) => process.send?.(message);
  process.on('message', () => tell({ peakMb: process.resourceUsage().maxRSS / 1024 }));
  process.once('disconnect', () => process.exit());
  tell({});
}

if (import.meta.main) await work(JSON.parse(process.argv[2] ?? '{}') as Record<string, string>);
