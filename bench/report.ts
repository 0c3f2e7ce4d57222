/** Runs one benchmark or proof and reports its figures: a table for people, one line of JSON for programs. */
import { parseArgs } from 'node:util';

export type Figure = {
  what: string;
  value: number;
  /** `ms`, `jobs/s`, `ratio`, `leads` … */
  unit: string;
  /** The bound in words, as `≥ 0.95`; empty for a figure that is only reported. */
  target: string;
  /** Whether the target held; true where there is none. */
  ok: boolean;
};

export type RunOptions = {
  /** How many seeds a proof tries, from `firstSeed` on. */
  seeds: number;
  firstSeed: number;
  /** Ask for a short run, to see that it works. */
  quick: boolean;
  /** Ask for the size that takes long, where there is one. */
  large: boolean;
  /** The names given with `--only a,b`, of a run that has parts; none for all. */
  only: readonly string[];
  say: (line: string) => void;
};

/** What `<name>.bench.ts` and `<name>.proof.ts` export, beside a docstring whose first line `--list` shows. */
export type Runnable = { about: string; run: (options: RunOptions) => Promise<Figure[]> };

type Report = { name: string; ok: boolean; figures: Figure[]; error?: string };

export function medianOf(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) throw new RangeError('the median of no values');
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** A figure that must not be under `bound`. */
export const atLeast = (bound: number, figure: Pick<Figure, 'what' | 'value' | 'unit'>): Figure => ({
  ...figure,
  target: `≥ ${bound}`,
  ok: figure.value >= bound,
});

/** A figure that must stay under `bound`. */
export const below = (bound: number, figure: Pick<Figure, 'what' | 'value' | 'unit'>): Figure => ({
  ...figure,
  target: `< ${bound}`,
  ok: figure.value < bound,
});

const whatWidth = 44;

/** The figures as lines of at most 80 columns; a long name goes on in a second line. */
export function tableOf(figures: Figure[]): string {
  return figures.flatMap(rowsOf).join('\n');
}

function rowsOf({ what, value, unit, target, ok }: Figure): string[] {
  const [first = '', ...rest] = wrapped(what, whatWidth);
  const amount = `${readable(value)} ${unit}`.padStart(18);
  const row = `${ok ? 'ok  ' : 'FAIL'} ${first.padEnd(whatWidth)}${amount}  ${target}`.trimEnd();
  return [row, ...rest.map((line) => `     ${line}`)];
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function readable(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString('en-US');
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3);
}

type Options = Omit<RunOptions, 'say'> & { json: boolean };

/** Prints what is wrong with the arguments, sets exit code 2 and gives undefined when they cannot be read. */
function readOptions(args: string[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args,
      options: {
        seeds: { type: 'string' },
        seed: { type: 'string' },
        quick: { type: 'boolean' },
        large: { type: 'boolean' },
        only: { type: 'string', multiple: true },
        json: { type: 'boolean' },
      },
    });
    const { seed, seeds = seed === undefined ? '20' : '1' } = values;
    const firstSeed = Number(seed ?? '1');
    for (const [flag, value] of Object.entries({ '--seeds': Number(seeds), '--seed': firstSeed }))
      if (!Number.isInteger(value) || value < 1) throw new TypeError(`${flag} takes a whole number of at least 1`);
    return {
      seeds: Number(seeds),
      firstSeed,
      quick: values.quick === true,
      large: values.large === true,
      only: (values.only ?? []).flatMap((names) => names.split(',')),
      json: values.json === true,
    };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
    return undefined;
  }
}

async function main([file = '', name = '', ...args]: string[]): Promise<void> {
  const options = readOptions(args);
  if (options === undefined) return;
  const end = (report: Report) => finish(report, options.json);
  // A fault outside the awaited run must still end in a report, and so must a run that waits for nothing.
  process.on('uncaughtException', (error) => end(brokenOff(name, error)));
  // What was started is ended on exit, which a signal alone would skip.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  process.on('beforeExit', () => end(brokenOff(name, new Error('the run waits for something that cannot happen'))));
  try {
    const runnable = (await import(file)) as Runnable;
    console.log(`${name}: ${runnable.about}`);
    const figures = await runnable.run({ ...options, say: (line) => console.log(line) });
    end({ name, ok: figures.every((figure) => figure.ok), figures });
  } catch (error) {
    end(brokenOff(name, error));
  }
}

function brokenOff(name: string, error: unknown): Report {
  console.error(error);
  return { name, ok: false, figures: [], error: error instanceof Error ? error.message : String(error) };
}

function finish(report: Report, json: boolean): void {
  const verdict = report.ok ? 'all held' : (report.error ?? 'not all held');
  const table = report.figures.length > 0 ? `\n${tableOf(report.figures)}\n` : '';
  const text = `${table}${report.name}: ${verdict}\n${json ? `${JSON.stringify(report)}\n` : ''}`;
  process.stdout.write(text, () => process.exit(report.ok ? 0 : 1));
}

// Not awaited here: the file it imports imports this one, which must have been evaluated by then.
if (import.meta.main) void main(process.argv.slice(2));
