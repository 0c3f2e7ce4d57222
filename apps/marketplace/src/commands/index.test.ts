import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { addCommands, commandNames } from './index.ts';

async function namesFor(asked?: string): Promise<string[]> {
  const program = new Command('fmhl');
  await addCommands(program, asked);
  return program.commands.map((command) => command.name());
}

describe('the commands of fmhl', () => {
  it('are all there where none is asked for, or one that is unknown', async () => {
    expect(await namesFor()).toEqual(commandNames);
    expect(await namesFor('--help')).toEqual(commandNames);
    expect(await namesFor('dql')).toEqual(commandNames);
  });

  it.each(commandNames)('have %s among what is loaded for it, and nothing that another room adds', async (name) => {
    const names = await namesFor(name);
    expect(names).toContain(name);
    expect(names.length).toBeLessThan(commandNames.length);
  });
});
