import type { Command } from 'commander';
import { readProcessConfig } from '../config.ts';
import type { Ground } from '../simulator/live/ground.ts';
import { endWith } from './end.ts';

export function demoCommand(program: Command): void {
  const demo = program.command('demo').description('break a running demo on purpose, and mend it: never in production');
  demo.command('list').description('what can go wrong').action(list);
  demo
    .command('start')
    .description('make one thing go wrong; says where it shows and what to do about it')
    .argument('<name>', 'as fmhl demo list shows it')
    .action(start);
  demo
    .command('stop')
    .description('take the fault away')
    .argument('<name>', 'of a scenario that was started')
    .option('--remedy', 'take the steps of its remedy too, by the same API as an operator')
    .action(stop);
}

// What scenarios need is large, and no other command needs it.
const load = () => import('../simulator/scenarios/under-way.ts');

async function list(): Promise<void> {
  const { scenarios } = await import('../simulator/scenarios/index.ts');
  const { scenariosUnderWay } = await load();
  const underWay = new Set(scenariosUnderWay(readProcessConfig().dataDir));
  const width = Math.max(...scenarios.map(({ name }) => name.length));
  for (const { name, title } of scenarios) {
    console.log(`${name.padEnd(width)}  ${title}${underWay.has(name) ? '  [under way]' : ''}`);
  }
  endWith(0);
}

async function start(name: string): Promise<void> {
  const { scenarioNamed, startScenario } = await load();
  const { nameOf } = await import('../simulator/scenarios/index.ts');
  const scenario = scenarioNamed(name);
  await onDemo((ground, dataDir) => startScenario(ground, dataDir, scenario));
  console.log(`${scenario.cause}\n\nWhere it shows:`);
  for (const signal of scenario.signals) console.log(`  ${nameOf(signal)}\n    ${signal.tells}`);
  console.log('\nWhat to do:');
  for (const [at, step] of scenario.steps.entries()) console.log(`  ${at + 1}. ${step}`);
  console.log(`\nDone, or enough seen: fmhl demo stop ${name} (with --remedy it takes these steps for you)`);
}

async function stop(name: string, { remedy: isRemedied = false }: { remedy?: boolean }): Promise<void> {
  const { scenarioNamed, stopScenario } = await load();
  const scenario = scenarioNamed(name);
  await onDemo((ground, dataDir) => stopScenario(ground, dataDir, { scenario, isRemedied }));
  console.log(isRemedied ? `${name} is remedied.` : `${name} is stopped: what it left behind is yours to mend.`);
}

async function onDemo(work: (ground: Ground, dataDir: string) => Promise<void>): Promise<void> {
  const { openDemoGround } = await import('../simulator/live/open-demo-ground.ts');
  const config = readProcessConfig();
  const ground = await openDemoGround(config);
  try {
    await work(ground, config.dataDir);
  } finally {
    await ground.close();
  }
  endWith(0);
}
