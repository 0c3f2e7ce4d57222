import { areaCodesOf } from '../features/subscriptions/index.ts';
import type { Random } from './random.ts';

/** A postal prefix: `US-941` lies in `US-CA`. */
export interface Place {
  readonly prefix: string;
  readonly state: string;
  readonly zone: string;
}

const zones: Readonly<Record<string, string>> = {
  'America/New_York': 'CT DC DE FL GA IN KY MA MD ME MI NC NH NJ NY OH PA RI SC VA VT WV',
  'America/Chicago': 'AL AR IA IL KS LA MN MO MS ND NE OK SD TN TX WI',
  'America/Denver': 'CO ID MT NM UT WY',
  'America/Phoenix': 'AZ',
  'America/Los_Angeles': 'CA NV OR WA',
  'America/Anchorage': 'AK',
  'Pacific/Honolulu': 'HI',
};

export const zoneNames = Object.keys(zones);

const zoneOfState = new Map(
  Object.entries(zones).flatMap(([zone, states]) => states.split(' ').map((state) => [state, zone] as const)),
);

/** Those of the fifty states and the capital, in an order without meaning: the first have most of the people. */
export const places: readonly Place[] = Array.from({ length: 1_000 }, (_, n) =>
  String((n * 617) % 1_000).padStart(3, '0'),
)
  .map((digits) => areaCodesOf(`${digits}01`))
  .flatMap(([, , state = '', prefix = '']) => {
    const zone = zoneOfState.get(state.slice(3));
    return zone === undefined ? [] : [{ prefix, state, zone }];
  });

/** A place; a quarter of them has half of the people. */
export function somePlace(random: Random): Place {
  return places[Math.floor(random.next() ** 2 * places.length)] as Place;
}

/** A ZIP code of the place. */
export function postcodeIn({ prefix }: Place, random: Random): string {
  return `${prefix.slice(3)}${String(random.between(1, 99)).padStart(2, '0')}`;
}
