import type { Figure } from '../../bench/report.ts';

/** A figure that must be exactly this. */
export function exactly(wanted: number, figure: Pick<Figure, 'what' | 'value' | 'unit'>): Figure {
  return { ...figure, target: `= ${wanted}`, ok: figure.value === wanted };
}

/** How many of these went wrong; each is told. None may. */
export function none(what: string, wrong: readonly string[], say: (line: string) => void): Figure {
  for (const line of wrong) say(`not so: ${line}`);
  return exactly(0, { what, value: wrong.length, unit: 'faults' });
}

/** A figure without a target. */
export function reported(what: string, value: number, unit: string): Figure {
  return { what, value, unit, target: '', ok: true };
}
