import { describe, expect, it } from 'vitest';
import { FairOrder, type Standing } from './fair-order.ts';
import { streamOf } from './random.ts';

const standing = (id: string, vt: number, areas: string[]): Standing => ({ id, vt, areas, status: 'active' });
const ids = ({ found }: { found: Standing[] }) => found.map(({ id }) => id);

describe('the fair order of a level', () => {
  it('gives the first by time and id, of the areas that are asked for, each once', () => {
    const order = new FairOrder();
    for (const one of [
      standing('b', 5, ['US']),
      standing('a', 5, ['US-CA']),
      standing('c', 1, ['US-TX']),
      standing('d', 0, ['US', 'US-CA']),
    ])
      order.enter(one);
    expect(ids(order.first(['*', 'US', 'US-CA'], 9, () => true))).toEqual(['d', 'a', 'b']);
    expect(ids(order.first(['US'], 1, () => true))).toEqual(['d']);
  });

  it('passes by who does not fit, and leaves them where they stood', () => {
    const order = new FairOrder();
    for (const one of [standing('a', 1, ['US']), standing('b', 2, ['US'])]) order.enter(one);
    expect(order.first(['US'], 1, ({ id }) => id !== 'a')).toMatchObject({ found: [{ id: 'b' }], examined: 2 });
    expect(ids(order.first(['US'], 2, () => true))).toEqual(['a', 'b']);
  });

  it('forgets who has moved on or rests, until they enter again', () => {
    const order = new FairOrder();
    const [one, other] = [standing('a', 1, ['US']), standing('b', 2, ['US'])];
    for (const each of [one, other]) order.enter(each);
    one.vt = 3;
    order.enter(one);
    expect(ids(order.first(['US'], 2, () => true))).toEqual(['b', 'a']);
    other.status = 'paused_funds';
    expect(ids(order.first(['US'], 2, () => true))).toEqual(['a']);
    other.status = 'active';
    order.enter(other);
    order.enter(other);
    expect(ids(order.first(['US'], 3, () => true))).toEqual(['b', 'a']);
  });

  it('agrees with a sorted list, whatever happens', () => {
    const random = streamOf(1, 'order');
    const order = new FairOrder();
    const all = Array.from({ length: 60 }, (_, at) =>
      standing(
        String(at).padStart(2, '0'),
        random.below(20),
        random.shuffled(['*', 'US', 'US-CA', 'US-TX']).slice(0, random.between(1, 3)),
      ),
    );
    for (const one of all) order.enter(one);
    for (let round = 0; round < 300; round += 1) {
      const areas = random.pick([['*', 'US', 'US-CA'], ['*', 'US-TX'], ['US']]);
      const sorted = all
        .filter((one) => one.status === 'active' && one.areas.some((area) => areas.includes(area)))
        .toSorted((one, other) => one.vt - other.vt || Number(one.id) - Number(other.id));
      const { found } = order.first(areas, 4, () => true);
      expect(found).toEqual(sorted.slice(0, 4));
      const [served] = found;
      const turned = random.pick(all);
      turned.status = turned.status === 'active' ? 'paused_funds' : 'active';
      if (served) served.vt += random.below(9);
      for (const one of [served, turned]) if (one?.status === 'active') order.enter(one);
    }
  });
});
