import { setTimeout as wait } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { readProcessConfig } from '../config.ts';
import { endWith } from './end.ts';

interface SimulateOptions {
  readonly speed: number;
  readonly seed: number;
  readonly scenario: readonly string[];
  readonly for?: number;
}

export function simulateCommand(program: Command): void {
  program
    .command('simulate')
    .description(
      'let simulated people, staff and providers use the demo that runs on this data directory: never in production',
    )
    .option('--speed <times>', 'how many times as fast as life, 1 to 60', whole(1, 60), 10)
    .option('--seed <number>', 'who comes and what they do follows from it', whole(0, 2 ** 31 - 1), 42)
    .option('--scenario <name>', 'something that goes wrong meanwhile (fmhl demo list); may be given again', also, [])
    .option('--for <seconds>', 'how long; without it until Ctrl-C', whole(1, 86_400))
    .action(simulate);
}

function whole(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`);
  };
}

const also = (name: string, names: readonly string[]): string[] => [...names, name];
const tellEveryMs = 10_000;

async function simulate({ speed, seed, scenario: names, for: seconds }: SimulateOptions): Promise<void> {
  const { openDemoGround } = await import('../simulator/live/open-demo-ground.ts');
  const { openGroundTraffic } = await import('../simulator/live/ground-traffic.ts');
  const { scenarioNamed, startScenario, stopScenario } = await import('../simulator/scenarios/under-way.ts');
  const scenarios = names.map(scenarioNamed);
  const config = readProcessConfig();
  const ground = await openDemoGround(config);
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  try {
    const traffic = await openGroundTraffic(ground, { seed, speed, say: (line) => console.error(`fmhl: ${line}`) });
    await traffic.start();
    for (const one of scenarios) await startScenario(ground, config.dataDir, one);
    const tell = () => console.log(JSON.stringify(traffic.counts));
    const telling = setInterval(tell, tellEveryMs);
    await wait(seconds === undefined ? 2 ** 31 - 1 : seconds * 1_000, undefined, interrupted).catch(() => {});
    clearInterval(telling);
    for (const scenario of scenarios) await stopScenario(ground, config.dataDir, { scenario, isRemedied: true });
    await traffic.stop();
    tell();
  } finally {
    await ground.close();
  }
  endWith(0);
}
