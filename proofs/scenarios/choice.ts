import { type Scenario, scenarios } from '../../apps/marketplace/src/simulator/scenarios/index.ts';

/** Those of the suite: one of mail, one of a payload, one of Redis and one of repeats. */
const quickOnes = ['smtp-outage', 'double-submit', 'poison', 'redis-flush'];

/** Throws for a name that does not exist. */
export function chosen({ quick, only }: { quick: boolean; only: readonly string[] }): readonly Scenario[] {
  const names = only.length > 0 ? only : quick ? quickOnes : scenarios.map(({ name }) => name);
  return names.map((name) => {
    const found = scenarios.find((scenario) => scenario.name === name);
    if (!found) throw new TypeError(`no scenario ${name}: one of ${scenarios.map((one) => one.name).join(', ')}`);
    return found;
  });
}
