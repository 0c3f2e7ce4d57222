import { demoLevels, demoNiches } from './demo-catalogue.ts';

type NicheDraft = (typeof demoNiches)[number];
export type FormFields = NicheDraft['form_schema']['fields'];
export type LevelName = (typeof demoLevels)[number]['name'];

const choice = (name: string, label: string, options: string) => ({
  name,
  label,
  required: true,
  type: 'choice' as const,
  options: options.split(' '),
});
const amount = (name: string, label: string, min: number, max: number) => ({
  name,
  label,
  required: true,
  type: 'number' as const,
  min,
  max,
});
const yes = (name: string, label: string) => ({ name, label, required: false, type: 'boolean' as const });

function niche(slug: string, name: string, fields: FormFields): NicheDraft {
  return { slug, name, form_schema: { fields } };
}

/** By rank: the first is asked for most. */
const ranked: readonly NicheDraft[] = [
  ...demoNiches,
  niche('solar', 'Solar panels', [
    choice('property', 'What kind of house is it?', 'detached terraced apartment farm'),
    amount('bill_usd', 'Electricity bill a month, in dollars', 10, 2_000),
    yes('owner', 'Is it yours?'),
  ]),
  niche('plumbing', 'Plumbing', [
    choice('problem', 'What is wrong?', 'leak drain heater bathroom'),
    amount('age_years', 'How old is the house, in years?', 0, 200),
    yes('urgent', 'Is water running out?'),
  ]),
  niche('cleaning', 'Cleaning', [
    choice('place', 'What is to be cleaned?', 'home office store windows'),
    amount('area_sqft', 'Area in square feet', 100, 50_000),
    yes('weekly', 'Every week?'),
  ]),
  niche('landscaping', 'Landscaping', [
    choice('work', 'What is to be done?', 'lawn trees paving pond'),
    amount('area_sqft', 'Area in square feet', 100, 200_000),
    yes('design', 'Do you need a design?'),
  ]),
  niche('accounting', 'Accounting', [
    choice('entity', 'Who are you?', 'person sole_trader company nonprofit'),
    amount('invoices', 'Invoices a month', 0, 10_000),
    yes('payroll', 'With payroll?'),
  ]),
  niche('tutoring', 'Tutoring', [
    choice('subject', 'Which subject?', 'maths languages science music'),
    amount('age', 'Age of the pupil', 5, 80),
    yes('online', 'Online?'),
  ]),
  niche('photography', 'Photography', [
    choice('occasion', 'What is the occasion?', 'wedding portrait product property'),
    amount('hours', 'For how many hours?', 1, 24),
    yes('prints', 'With prints?'),
  ]),
  niche('windows', 'Windows and doors', [
    choice('frame', 'What are the frames made of?', 'vinyl wood aluminium unsure'),
    amount('count', 'How many windows?', 1, 200),
    yes('doors', 'Doors too?'),
  ]),
];

/** Asked for, and sold by almost nobody. */
const orphan = niche('elevators', 'Home elevators', [
  choice('building', 'Where is it to be?', 'home office'),
  amount('floors', 'How many floors?', 2, 12),
  yes('urgent', 'Is it urgent?'),
]);

/** So many niches, by rank, with the orphan as the last. */
export function worldNiches(count: number): readonly NicheDraft[] {
  return [...ranked.slice(0, count - 1), orphan];
}

/** The same in every niche. */
export const worldLevels = demoLevels;

/** A weight for each niche: 1 / rank ** exponent, and `orphanShare` of all for the last. */
export function nicheWeights(
  count: number,
  { exponent, orphanShare }: { exponent: number; orphanShare: number },
): number[] {
  const weights = Array.from({ length: count - 1 }, (_, at) => 1 / (at + 1) ** exponent);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return [...weights, (total * orphanShare) / (1 - orphanShare)];
}
