import { opsErrors } from '../refusals/index.ts';
import { age } from './print/ages.ts';
import type { Problem } from './run.ts';

const meanings: Readonly<Record<string, { readonly meaning: string }>> = opsErrors;

/** What a refusal says to a person: the sentence of its code, who was first, what would be valid. */
export function refusalText({ error, code, correlation_id, details = {} }: Problem, now: Date): string {
  const meaning = meanings[code]?.meaning.replaceAll('`', '') ?? error;
  return [
    `${meaning} (${code})`,
    ...firstComer(details, now),
    ...faults(details),
    ...remainder(details),
    ...(code === 'internal' ? [`correlation id ${correlation_id}`] : []),
  ].join('\n  ');
}

function firstComer({ by, at, via }: Readonly<Record<string, unknown>>, now: Date): string[] {
  if (typeof by !== 'string') return [];
  const since = typeof at === 'string' ? `, ${age(at, now)} ago` : '';
  return [`by ${by}${since}${typeof via === 'string' ? `, ${via}` : ''}`];
}

function faults({ faults: list }: Readonly<Record<string, unknown>>): string[] {
  if (!Array.isArray(list)) return [];
  return (list as { at?: string; message?: string }[]).map(({ at = '', message = '' }) => `${at}: ${message}`);
}

const shownOtherwise = new Set(['by', 'at', 'via', 'faults']);

function remainder(details: Readonly<Record<string, unknown>>): string[] {
  const hasFirstComer = typeof details.by === 'string';
  return Object.entries(details)
    .filter(
      ([name, value]) =>
        value !== null && value !== undefined && !(shownOtherwise.has(name) && (hasFirstComer || name === 'faults')),
    )
    .map(
      ([name, value]) => `${name.replaceAll('_', ' ')}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
}
