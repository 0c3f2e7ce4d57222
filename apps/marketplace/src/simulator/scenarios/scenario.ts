import type { Ground } from '../live/ground.ts';
import type { Signal } from './signal.ts';

/** What went wrong, how it shows, and what an operator does about it. */
export interface Scenario<Facts = unknown> {
  /** As `fmhl demo start` takes it. */
  readonly name: string;
  readonly title: string;
  /** What is done to the product, in a sentence. */
  readonly cause: string;
  readonly signals: readonly Signal[];
  /** Invariants that `fmhl doctor` finds broken until the remedy. Default none: the product stays sound. */
  readonly breaks?: readonly string[];
  /** The remedy, as the runbook says it. */
  readonly steps: readonly string[];
  /** Makes the fault. What it answers is kept, as JSON, for the remedy and the end. */
  inject(ground: Ground): Promise<Facts>;
  /** Takes the steps, by the real API, and waits until they have worked. */
  remedy(ground: Ground, facts: Facts): Promise<void>;
  /** Takes the fault away, whether it was remedied or not. Safe twice. */
  stop(ground: Ground, facts: Facts): Promise<void>;
}

/** Facts are of the scenario that made them, so a list of scenarios need not know them. */
export function defineScenario<Facts>(scenario: Scenario<Facts>): Scenario {
  return {
    ...scenario,
    remedy: (ground, facts) => scenario.remedy(ground, facts as Facts),
    stop: (ground, facts) => scenario.stop(ground, facts as Facts),
  };
}
