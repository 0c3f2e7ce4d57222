/**
 * Each scenario of the demo: the fault shows where its runbook says, the remedy clears it, and nothing was lost or doubled.
 *
 * One product, started as people start it, goes through them one after another. `--quick` takes four of them, `--only NAME,…` those; all of them are
 * followed by the commands `fmhl demo` and `fmhl simulate`.
 */
import { below, type Figure, type RunOptions } from '../bench/report.ts';
import { exactly } from './harness/figures.ts';
import { commandFigures } from './scenarios/commands.ts';
import { openDemo } from './scenarios/demo.ts';
import { chosen } from './scenarios/choice.ts';
import { playThrough, waitUntilSound } from './scenarios/play.ts';

export const about = 'every scenario of the demo shows, is remedied, and leaves nothing lost or doubled';

export async function run({ quick, only, say }: RunOptions): Promise<Figure[]> {
  const demo = await openDemo();
  say(`ready after ${seconds(demo.readyMs)}`);
  const figures: Figure[] = [];
  try {
    await waitUntilSound(demo.ground);
    for (const scenario of chosen({ quick, only })) {
      const { signalMs, remedyMs, faults } = await playThrough(scenario, demo);
      say(`${scenario.name}: seen after ${seconds(signalMs)}, remedied after ${seconds(remedyMs)}`);
      for (const fault of faults) say(`  ${fault}`);
      figures.push(
        below(60_000, { what: `${scenario.name}: until it shows`, value: signalMs, unit: 'ms' }),
        below(60_000, { what: `${scenario.name}: until the remedy has cleared it`, value: remedyMs, unit: 'ms' }),
        exactly(0, { what: `${scenario.name}: lost, doubled or broken`, value: faults.length, unit: 'faults' }),
      );
    }
    if (!quick && only.length === 0) figures.push(...(await commandFigures(demo)));
    figures.push(exactly(0, { what: 'exit code of the product', value: await demo.stop(), unit: '' }));
    return figures;
  } finally {
    await demo.close();
  }
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
