import { type Scenario, scenarios } from '../../apps/marketplace/src/simulator/scenarios/index.ts';
import { scenarioNamed } from '../../apps/marketplace/src/simulator/scenarios/under-way.ts';

/** Those of the suite: one of mail, one of a payload, one of Redis and one of repeats. */
const quickOnes = ['smtp-outage', 'double-submit', 'poison', 'redis-flush'];

/** Throws for a name that does not exist. */
export function chosen({ quick, only }: { quick: boolean; only: readonly string[] }): readonly Scenario[] {
  const names = only.length > 0 ? only : quick ? quickOnes : scenarios.map(({ name }) => name);
  return names.map(scenarioNamed);
}
