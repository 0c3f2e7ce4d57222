import { z } from 'zod';
import { emailAddress } from '../../email-address.ts';
import { cleanLine, cleanText } from '../../text.ts';
import { timeZone } from '../../time-zone.ts';

const cents = z.int().min(0);
const version = z.int().min(1);
const expected_version = version.optional();
const moment = z.iso.datetime();

const fieldName = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'must be lower case letters, digits and _');
const labels = { name: fieldName, label: cleanLine(1, 120), required: z.boolean().default(false) };

/** One question of a niche's form. Strict by type: a bound of one type is a fault on another. */
export const formField = z.discriminatedUnion('type', [
  z.strictObject({ ...labels, type: z.literal('text'), max_length: z.int().min(1).max(2000).optional() }),
  z.strictObject({ ...labels, type: z.literal('number'), min: z.number().optional(), max: z.number().optional() }),
  z.strictObject({ ...labels, type: z.literal('choice'), options: z.array(cleanLine(1, 80)).min(1).max(100) }),
  z.strictObject({ ...labels, type: z.literal('boolean') }),
]);
export type FormField = z.infer<typeof formField>;

export const formSchema = z.strictObject({ fields: z.array(formField).max(40) });
export type FormSchema = z.infer<typeof formSchema>;

export const filterOperators = ['eq', 'neq', 'in', 'not_in', 'contains', 'gte', 'lte', 'between', 'exists'] as const;
export type FilterOperator = (typeof filterOperators)[number];

/** One rule of a filter; all must hold. What `value` may be is said by the form's field and the operator. */
export interface FilterRule {
  field: string;
  op: FilterOperator;
  value: unknown;
}

/** Judged by the rules of filters rather than here, so that a fault is answered with its path. */
const filterRules = z.array(z.unknown()).max(20).nullable();

export const niche = z.strictObject({
  id: z.uuid(),
  slug: z.string(),
  name: z.string(),
  status: z.enum(['active', 'paused']),
  form_schema: formSchema,
  consent_text: z.string(),
  consent_version: z.int(),
  dedup_days: z.int(),
  report_window_days: z.int(),
  version,
  created_at: moment,
});
export type Niche = z.infer<typeof niche>;

export const createNicheRequest = z.strictObject({
  slug: z
    .string()
    .max(64)
    .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'must be lower case words joined by -'),
  name: cleanLine(1, 80),
  form_schema: formSchema.default({ fields: [] }),
  consent_text: cleanText(20, 4000).optional(),
  dedup_days: z.int().min(0).max(365).optional(),
  report_window_days: z.int().min(0).max(90).optional(),
});

export const changeNicheRequest = z.strictObject({
  name: cleanLine(1, 80).optional(),
  status: z.enum(['active', 'paused']).optional(),
  form_schema: formSchema.optional(),
  consent_text: cleanText(20, 4000).optional(),
  dedup_days: z.int().min(0).max(365).optional(),
  report_window_days: z.int().min(0).max(90).optional(),
  expected_version,
});
export type NicheChange = z.infer<typeof changeNicheRequest>;

export const publicNiche = z.strictObject({ slug: z.string(), name: z.string() });

export const nicheForm = z.strictObject({
  slug: z.string(),
  name: z.string(),
  fields: z.array(formField),
  consent: z.strictObject({ text: z.string(), version: z.int() }),
});

const price = z.int().min(50).max(1_000_000);

export const level = z.strictObject({
  id: z.uuid(),
  niche_id: z.uuid(),
  niche: z.string(),
  name: z.string(),
  ord: z.int(),
  price_cents: cents,
  max_recipients: z.int(),
  status: z.enum(['active', 'retired']),
  version,
});
export type Level = z.infer<typeof level>;

const levelTerms = { name: cleanLine(1, 60), ord: z.int().min(1).max(100), max_recipients: z.int().min(1).max(20) };

export const createLevelRequest = z.strictObject({ niche_id: z.uuid(), ...levelTerms, price_cents: price });

export const changeLevelRequest = z.strictObject({
  ...z.strictObject(levelTerms).partial().shape,
  status: z.enum(['active', 'retired']).optional(),
  expected_version,
});
export type LevelChange = z.infer<typeof changeLevelRequest>;

export const pricePreviewRequest = z.strictObject({ price_cents: price });

export const pricePreview = z.strictObject({
  /** The price now, in cents. */
  current: cents,
  change_pct: z.number(),
  becomes_unfunded: z.strictObject({ subscriptions: z.int(), providers: z.int() }),
  becomes_funded: z.int(),
  leads_30d: z.int(),
  /** Without what was refunded. */
  revenue_30d_cents: cents,
  /** Give it back with the change: it says that nothing has changed since. */
  plan_hash: z.string(),
});

export const changePriceRequest = z.strictObject({
  price_cents: price,
  plan_hash: z.string().regex(/^[0-9a-f]{64}$/, 'must be the plan_hash of a preview'),
  memo: cleanText(10, 500),
  /** The name of the level, for a change beyond 50 % or one that leaves 5 % of the active subscriptions without funds. */
  confirm: z.string().max(200).optional(),
});
export type PriceChange = z.infer<typeof changePriceRequest>;

export const priceChanged = z.strictObject({ paused: z.int(), resumed: z.int() });

const providerStatus = z.enum(['pending', 'active', 'suspended', 'closed']);

export const profile = z.strictObject({
  id: z.uuid(),
  company: z.string(),
  tz: z.string(),
  status: providerStatus,
  email_verified: z.boolean(),
  balance_cents: cents,
  low_balance_cents: cents.nullable(),
  version,
});
export type Profile = z.infer<typeof profile>;

export const changeProfileRequest = z.strictObject({
  company: cleanLine(1, 120).optional(),
  tz: timeZone.optional(),
  low_balance_cents: z.int().min(0).max(100_000_000).nullable().optional(),
  expected_version,
});
export type ProfileChange = z.infer<typeof changeProfileRequest>;

export const subscriptionStatus = z.enum(['active', 'paused_user', 'paused_funds', 'paused_admin', 'cancelled']);
export type SubscriptionStatus = z.infer<typeof subscriptionStatus>;

export const subscription = z.strictObject({
  id: z.uuid(),
  provider_id: z.uuid(),
  niche: z.string(),
  level_id: z.uuid(),
  level: z.string(),
  price_cents: cents,
  status: subscriptionStatus,
  areas: z.array(z.string()),
  filter_rules: z
    .array(z.strictObject({ field: z.string(), op: z.enum(filterOperators), value: z.unknown() }))
    .nullable(),
  weight: z.int(),
  daily_cap: z.int().nullable(),
  last_served_at: moment.nullable(),
  version,
  created_at: moment,
});
export type Subscription = z.infer<typeof subscription>;

const areas = z.array(z.string().max(16)).min(1).max(50);
const daily_cap = z.int().min(1).max(100_000).nullable();

export const subscribeRequest = z.strictObject({
  level_id: z.uuid(),
  areas,
  filter_rules: filterRules.default(null),
  daily_cap: daily_cap.default(null),
});

/** Staff may also say how large a share the subscription gets. */
export const adminSubscribeRequest = subscribeRequest.extend({ weight: z.int().min(1).max(10).default(1) });
export type SubscriptionTerms = z.infer<typeof adminSubscribeRequest>;

export const changeSubscriptionRequest = z.strictObject({
  status: z.enum(['active', 'paused_user']).optional(),
  areas: areas.optional(),
  filter_rules: filterRules.optional(),
  daily_cap: daily_cap.optional(),
  expected_version,
});
export type SubscriptionChange = z.infer<typeof changeSubscriptionRequest>;

/** `changed: false` when everything asked for held already. */
export const changedSubscription = subscription.extend({ changed: z.boolean() });

/** Why an administrator pauses a subscription, or ends that. */
export const pauseRequest = z.strictObject({ memo: cleanText(10, 500) });

export const createProviderRequest = z.strictObject({
  email: emailAddress,
  password: z.string().min(1).max(1024),
  company: cleanLine(1, 120),
  tz: timeZone.default('UTC'),
});

export const providerCard = z.strictObject({
  id: z.uuid(),
  user_id: z.uuid(),
  email: z.string(),
  company: z.string(),
  tz: z.string(),
  status: providerStatus,
  balance_cents: cents,
  version,
  created_at: moment,
});
export type ProviderCard = z.infer<typeof providerCard>;

export const providerDetail = providerCard.extend({ subscriptions: z.array(subscription) });
