import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import type { Step } from './guide.ts';
import { freePort, launch, type Running } from './product.ts';

/** A shell that has taken every step but the last, which stops the product. */
export interface Walk<Fact extends string> {
  /** What each step wrote. */
  readonly outputs: readonly string[];
  readonly facts: Record<Fact, string>;
  /** The log of the product, as the guide keeps it. */
  readonly logPath: string;
  /** Takes the last step. Answers the exit code of the shell, which is that of the product. */
  finish(): Promise<number | null>;
  killAll(): Promise<void>;
}

export interface WalkOptions<Fact extends string> {
  /** Where its data and its log go. */
  readonly directory: string;
  /** The variables of the guide that the proof looks at. */
  readonly facts: readonly Fact[];
  /** Longest time to the last step, in ms. Default 180,000. */
  readonly withinMs?: number;
  /** Variables of the shell besides those of every walk. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Runs the steps of a guide in one shell, in a directory of their own. */
export async function walk<Fact extends string>(
  steps: readonly Step[],
  { directory, facts, withinMs = 180_000, settings: more = {} }: WalkOptions<Fact>,
): Promise<Walk<Fact>> {
  const script = join(directory, 'guide.sh');
  const go = join(directory, 'go');
  writeFileSync(script, scriptOf(steps, { go, facts }));
  const logPath = join(directory, 'product.log');
  const settings = {
    PORT: String(await freePort()),
    METRICS_PORT: String(await freePort()),
    DATA_DIR: join(directory, 'data'),
    LOG: logPath,
    ...more,
  };
  const shell = launch(['bash', script], settings);
  await shell.says('::pause', withinMs).catch((error: unknown) => broken(shell, error));
  return {
    outputs: outputsOf(shell.out),
    facts: factsOf(shell.out),
    logPath,
    async finish() {
      writeFileSync(go, '');
      return (await pollUntil(() => shell.ended, { deadlineMs: 30_000 })).code;
    },
    killAll: () => shell.killAll(),
  };
}

/** The proof looks from outside before the last step, so the shell waits there for a file. */
function scriptOf(steps: readonly Step[], { go, facts }: { go: string; facts: readonly string[] }): string {
  const parts = steps.map(({ commands }, at) => `printf '\\n::step ${at}\\n'\n${commands}`);
  const last = parts.pop() ?? '';
  const shown = facts.map((name) => `printf '::fact ${name} %s\\n' "$${name}"`);
  return [
    ...parts,
    "printf '\\n::facts\\n'",
    ...shown,
    'echo ::pause',
    `until [ -e '${go}' ]; do sleep 0.1; done`,
    last,
  ].join('\n');
}

const outputsOf = (out: string): string[] => (out.split('\n::facts\n')[0] ?? '').split(/^::step \d+\n/m).slice(1);

function factsOf<Fact extends string>(out: string): Record<Fact, string> {
  const told = [...out.matchAll(/^::fact (\w+) (.*)$/gm)].map(([, name, value]) => [name, value]);
  return Object.fromEntries(told) as Record<Fact, string>;
}

async function broken(shell: Running, error: unknown): Promise<never> {
  await shell.killAll();
  throw error;
}
