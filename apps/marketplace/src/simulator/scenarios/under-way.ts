import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ground } from '../live/ground.ts';
import { scenarios } from './index.ts';
import type { Scenario } from './scenario.ts';

/** The scenarios that were started on a data directory and not stopped, with what their remedy has to know. */
export function scenariosUnderWay(dataDir: string): string[] {
  const directory = join(dataDir, folder);
  if (!existsSync(directory)) return [];
  return readdirSync(directory).flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : []));
}

/** Throws, in words, for a name that no scenario has. */
export function scenarioNamed(name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found) return found;
  throw new Error(`no scenario is called ${name}: \`fmhl demo list\` shows them all`);
}

/** Makes the fault, and remembers what the remedy has to know. Throws when it is there already. */
export async function startScenario(ground: Ground, dataDir: string, scenario: Scenario): Promise<void> {
  if (scenariosUnderWay(dataDir).includes(scenario.name))
    throw new Error(`${scenario.name} is under way: \`fmhl demo stop ${scenario.name}\` ends it`);
  const facts = await scenario.inject(ground);
  mkdirSync(join(dataDir, folder), { recursive: true });
  writeFileSync(factsFile(dataDir, scenario), JSON.stringify(facts ?? null), { mode: 0o600 });
}

/** Takes the fault away; before that, with `isRemedied`, takes the steps of the remedy. Throws when it is not under way. */
export async function stopScenario(
  ground: Ground,
  dataDir: string,
  { scenario, isRemedied }: { scenario: Scenario; isRemedied: boolean },
): Promise<void> {
  if (!scenariosUnderWay(dataDir).includes(scenario.name)) throw new Error(`${scenario.name} is not under way`);
  const facts: unknown = JSON.parse(readFileSync(factsFile(dataDir, scenario), 'utf8'));
  if (isRemedied) await scenario.remedy(ground, facts);
  await scenario.stop(ground, facts);
  rmSync(factsFile(dataDir, scenario));
}

const folder = 'scenarios';
const factsFile = (dataDir: string, { name }: Scenario): string => join(dataDir, folder, `${name}.json`);
