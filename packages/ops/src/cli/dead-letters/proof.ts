import type { Proof, ProofRow } from '../contract.ts';
import { command } from '../command.ts';
import { consent } from '../consent.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Column } from '../print/table.ts';
import { get, type Run, write } from '../run.ts';

interface ProofOptions {
  readonly repair?: boolean;
  readonly reason?: string;
}

export const proofCommand = command<ProofOptions>({
  usage: 'proof',
  summary: 'failed = captured = resolved + discarded + open, by queue; fails (1) when there is a gap',
  options: [{ flags: '--repair', meaning: 'sweep now for what was not captured' }],
  writes: true,
  act: async (run, _words, { repair, reason }) => {
    if (repair) await sweepNow(run, reason);
    const proof = await get<Proof>(run, '/queues/dlq/proof');
    if (run.output.json) run.terminal.json(proof, 2);
    else printProof(run, proof);
    return proof.ok ? exitCodes.done : exitCodes.failed;
  },
});

async function sweepNow(run: Run, reason: string | undefined): Promise<void> {
  await consent(run, { does: 'sweep for what was not captured', needsReason: true });
  await write(run, 'POST', '/queues/dlq/proof/repair', { reason });
}

function printProof({ terminal }: Run, { ok, gap, rows, counted_from }: Proof): void {
  const number = (title: string, of: (row: ProofRow) => number, leave?: number): Column<ProofRow> => ({
    title,
    of: (row) => String(of(row)),
    align: 'right',
    ...(leave !== undefined && { leave }),
  });
  terminal.table<ProofRow>(
    [
      { title: 'queue', of: ({ name }) => name, least: 12 },
      number('failed', ({ failed }) => failed),
      number('captured', ({ captured }) => captured),
      number('resolved', ({ resolved }) => resolved),
      number('discarded', ({ discarded }) => discarded),
      number('open', ({ open }) => open),
      { ...number('gap', (row) => row.gap), style: (row) => (row.gap === 0 ? undefined : 'red') },
    ],
    rows,
  );
  terminal.line();
  if (counted_from === 'postgres') terminal.note('Redis cannot be asked what it alone knows', 'yellow');
  if (ok && gap > 0) terminal.line(`${gap} died in the last seconds and are being captured.`, 'yellow');
  else if (ok) terminal.line('Nothing is lost: every failure was captured.', 'green');
  else terminal.line(`${gap} not accounted for: sweep with --repair, and look at the log of the scheduler.`, 'red');
}
