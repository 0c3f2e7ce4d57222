import type { Explanation } from '../contract.ts';
import { age, moment } from '../print/ages.ts';
import { get, type Run } from '../run.ts';

/** Why something waits, the strongest reason first, and what would help. */
export async function printExplanation(run: Run, path: string): Promise<void> {
  const { terminal, output, now } = run;
  const explanation = await get<Explanation>(run, path);
  if (output.json) return terminal.json(explanation, 2);
  const { state, since, reasons, ahead, eta } = explanation;
  if (output.quiet) return reasons.forEach(({ code }) => terminal.line(code));
  terminal.line(since ? `${state} for ${age(since, now())}` : state, 'bold');
  for (const { code, text, action } of reasons) {
    terminal.sentence(`- ${text} (${code})`, { indent: 2 });
    if (action) terminal.line(`  ${action.method} ${action.path} (${action.permission})`, 'dim');
  }
  if (reasons.length === 0) terminal.line('Nothing holds it up.');
  if (ahead !== null && ahead > 0) terminal.line(`${ahead} jobs are ahead.`);
  if (eta) terminal.sentence(`Expected at ${moment(eta.at)}: ${eta.basis}${eta.sure ? '' : ', a guess'}.`);
}
