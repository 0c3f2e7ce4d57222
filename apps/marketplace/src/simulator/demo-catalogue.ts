import type { createLevel, createNiche } from '../features/subscriptions/index.ts';

type NicheDraft = Parameters<typeof createNiche>[1];
type LevelDraft = Parameters<typeof createLevel>[1];

/** What is asked in three trades. */
export const demoNiches: readonly NicheDraft[] = [
  {
    slug: 'roofing',
    name: 'Roofing',
    form_schema: {
      fields: [
        choice('roof', 'What is the roof made of?', ['shingle', 'metal', 'tile', 'flat']),
        amount('area_sqft', 'Area in square feet', 100, 20_000),
        { name: 'urgent', label: 'Is water coming in?', required: false, type: 'boolean' },
        { name: 'details', label: 'Anything else?', required: false, type: 'text', max_length: 500 },
      ],
    },
  },
  {
    slug: 'hosting',
    name: 'Web hosting',
    form_schema: {
      fields: [
        choice('platform', 'What do you run?', ['wordpress', 'node', 'php', 'static']),
        amount('monthly_visits', 'Visits a month', 0, 10_000_000),
        { name: 'migration', label: 'Shall we move it for you?', required: false, type: 'boolean' },
      ],
    },
  },
  {
    slug: 'moving',
    name: 'Moving',
    form_schema: {
      fields: [
        amount('rooms', 'How many rooms?', 1, 20),
        amount('distance_miles', 'How far, in miles?', 0, 5_000),
        { name: 'storage', label: 'Do you need storage?', required: false, type: 'boolean' },
      ],
    },
  },
];

/** The same three in every niche. */
export const demoLevels = [
  { name: 'Exclusive', ord: 1, price_cents: 6_000, max_recipients: 1 },
  { name: 'Select', ord: 2, price_cents: 2_800, max_recipients: 3 },
  { name: 'Standard', ord: 3, price_cents: 1_500, max_recipients: 5 },
] as const satisfies readonly Omit<LevelDraft, 'niche_id'>[];

export type DemoLevel = (typeof demoLevels)[number]['name'];

function choice(name: string, label: string, options: string[]) {
  return { name, label, required: true, type: 'choice' as const, options };
}

function amount(name: string, label: string, min: number, max: number) {
  return { name, label, required: true, type: 'number' as const, min, max };
}
