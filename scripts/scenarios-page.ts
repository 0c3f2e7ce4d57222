import { nameOf, type Scenario, scenarios, type Signal } from '../apps/marketplace/src/simulator/scenarios/index.ts';
import { code, page } from './markdown.ts';

const intro = `What can be made to go wrong in a running demo, where it shows, and what an operator does about it: \`fmhl demo start <name>\`,
\`fmhl demo stop <name>\`. Never in production. Each is proved: \`npm run prove -- scenarios\` makes the fault, waits for every signal, takes the
remedy, sees the signals vanish, and then asks \`fmhl doctor\` and counts every mail.`;

/** One section for each scenario, in the order of `fmhl demo list`. */
export function scenariosPage(): string {
  return page('Scenarios', [intro, ...scenarios.map(sectionOf)]);
}

function sectionOf({ name, title, cause, signals, breaks = [], steps }: Scenario): string {
  const broken = breaks.length > 0 ? [`- ${code('fmhl doctor')} finds ${breaks.map(code).join(', ')} broken`] : [];
  return [
    `## ${name}`,
    `**${title}.** ${cause}`,
    ['Where it shows:', '', ...signals.map((one) => `- ${placeOf(one)}: ${one.tells}`), ...broken].join('\n'),
    ['What to do:', '', ...steps.map((step, at) => `${at + 1}. ${step}`)].join('\n'),
  ].join('\n\n');
}

function placeOf(signal: Signal): string {
  const name = code(nameOf(signal));
  if ('list' in signal) {
    const where = Object.entries(signal.where ?? {}).map(([key, value]) => `${code(key)} is ${code(String(value))}`);
    const rows = where.length > 0 ? `${name}, where ${where.join(' and ')}` : name;
    return signal.field === undefined ? rows : `${rows}, has ${code(signal.field)} below ${signal.below}`;
  }
  if (signal.rises !== undefined) return `${name} rises by ${signal.rises} or more`;
  return signal.falls === undefined ? `${name} is ${signal.reaches} or more` : `${name} is ${signal.falls}`;
}
