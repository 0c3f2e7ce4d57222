import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import { freePort, launch, type Running } from '../harness/product.ts';
import type { Step } from './guide.ts';

/** The variables of the guide that the proof looks at. */
const facts = ['BASE', 'ADMIN', 'PAT', 'CLICK', 'LEAD', 'PROVIDER', 'ASSIGNMENT', 'CORRELATION'] as const;
export type Facts = Record<(typeof facts)[number], string>;

/** A shell that has taken every step but the last, which stops the product. */
export interface Walk {
  /** What each step wrote. */
  readonly outputs: readonly string[];
  readonly facts: Facts;
  /** The log of the product, as the guide keeps it. */
  readonly logPath: string;
  /** Takes the last step. Answers the exit code of the shell, which is that of the product. */
  finish(): Promise<number | null>;
  killAll(): Promise<void>;
}

const longestWalkMs = 180_000;

/** Runs the steps of the guide in one shell, in a directory of their own. */
export async function walk(steps: readonly Step[], directory: string): Promise<Walk> {
  const script = join(directory, 'guide.sh');
  const go = join(directory, 'go');
  writeFileSync(script, scriptOf(steps, go));
  const logPath = join(directory, 'product.log');
  const settings = {
    PORT: String(await freePort()),
    METRICS_PORT: String(await freePort()),
    DATA_DIR: join(directory, 'data'),
    LOG: logPath,
  };
  const shell = launch(['bash', script], settings);
  await shell.says('::pause', longestWalkMs).catch((error: unknown) => broken(shell, error));
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
function scriptOf(steps: readonly Step[], go: string): string {
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

function factsOf(out: string): Facts {
  const told = [...out.matchAll(/^::fact (\w+) (.*)$/gm)].map(([, name, value]) => [name, value]);
  return Object.fromEntries(told) as Facts;
}

async function broken(shell: Running, error: unknown): Promise<never> {
  await shell.killAll();
  throw error;
}
