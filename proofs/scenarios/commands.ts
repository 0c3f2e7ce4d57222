import { atLeast, type Figure } from '../../bench/report.ts';
import { exactly } from '../harness/figures.ts';
import { fmhl, runToEnd } from '../harness/product.ts';
import type { Demo } from './demo.ts';

const seconds = 15;

/** The commands by which a person breaks and mends the demo, and lets people use it. */
export async function commandFigures({ env }: Pick<Demo, 'env'>): Promise<Figure[]> {
  const ask = (...args: string[]) => runToEnd([...fmhl, ...args], env);
  const started = await ask('demo', 'start', 'double-submit');
  const listed = await ask('demo', 'list');
  const again = await ask('demo', 'start', 'double-submit');
  const stopped = await ask('demo', 'stop', 'double-submit', '--remedy');
  const unknown = await ask('demo', 'start', 'nonsense');
  const simulated = await ask('simulate', '--speed', '60', '--for', String(seconds));
  const counts = JSON.parse(simulated.out.trim().split('\n').at(-1) ?? '{}') as Record<string, number>;
  const ends = [started, listed, again, stopped, unknown, simulated].map(({ code }) => code).join(' ');
  const says = [
    started.out.includes('What to do:\n  1. '),
    /double-submit .*\[under way\]/.test(listed.out),
    again.err.includes('fmhl demo stop double-submit'),
    stopped.out.includes('is remedied'),
    unknown.err.includes('fmhl demo list'),
  ];
  return [
    exactly(1, {
      what: `exit codes of the commands: ${ends}`,
      value: ends === '0 0 1 0 1 0' ? 1 : 0,
      unit: 'as meant',
    }),
    exactly(says.length, {
      what: 'sentences that the commands must say',
      value: says.filter(Boolean).length,
      unit: '',
    }),
    atLeast(5, { what: `leads of simulated people in ${seconds} s`, value: counts.submitted ?? 0, unit: 'leads' }),
    exactly(0, { what: 'journeys of simulated people that failed', value: counts.failed ?? 1, unit: '' }),
  ];
}
