/** What a README asks its reader to type, and what it says comes back. */
export interface Step {
  readonly command: string;
  /** The block that follows the command; undefined when the README shows none. */
  readonly answer: string | undefined;
}

/** The `sh` blocks under one `##` heading, each with the answer after it. Throws when the heading or its blocks are missing. */
export function stepsUnder(heading: string, readme: string): Step[] {
  const section = readme.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const blocks = [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, kind = '', text = '']) => ({ kind, text }));
  const steps = blocks.flatMap(({ kind, text }, at) => {
    const next = blocks[at + 1];
    return kind === 'sh' ? [{ command: text.trim(), answer: next?.kind === 'sh' ? undefined : next?.text.trim() }] : [];
  });
  if (steps.length === 0) throw new Error(`the README has no commands under "${heading}"`);
  return steps;
}

/** Whether `output` is what the README shows: the same text, with anything short in the place of `…`. */
export function isAsShown(output: string, answer: string): boolean {
  const literals = answer.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${literals.join('[^"\\n]{1,64}?')}$`).test(output.trim());
}
