import { readFileSync } from 'node:fs';

/** One step of a guide: commands, and the answer it shows for them, if any. */
export interface Step {
  readonly commands: string;
  readonly answer: readonly string[];
}

/** The steps of a guide in Markdown: each `bash` block with the block that follows it. */
export function readGuide(path: string): Step[] {
  const blocks = [...readFileSync(path, 'utf8').matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)];
  return blocks.flatMap(([, language, commands = ''], at) => {
    if (language !== 'bash') return [];
    const [, next, answer = ''] = blocks[at + 1] ?? [];
    return [{ commands, answer: next === 'bash' ? [] : answer.trimEnd().split('\n') }];
  });
}

/** What the guide shows and the steps did not answer, the last step aside. */
export function unlike(steps: readonly Step[], outputs: readonly string[]): string[] {
  return steps
    .slice(0, -1)
    .flatMap(({ answer }, at) => missingLines(answer, outputs[at] ?? '').map((line) => `step ${at + 1}: ${line}`));
}

/** The lines which the guide shows and the output does not have; `…` stands for anything. */
function missingLines(shown: readonly string[], output: string): string[] {
  const lines = output.split('\n');
  return shown.filter((line) => {
    const form = new RegExp(`^${line.split('…').map(escaped).join('.*')}$`);
    return !lines.some((written) => form.test(written));
  });
}

/** What a regular expression takes for itself. */
const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
