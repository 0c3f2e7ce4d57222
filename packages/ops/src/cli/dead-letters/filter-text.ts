export interface Selection {
  readonly queue?: string;
  readonly stream?: string;
  readonly allStates?: boolean;
}

export const selectionOptions = [
  { flags: '--queue <name>', meaning: 'of this queue; the same as queue:<name>' },
  { flags: '--stream <name>', meaning: 'of this stream, such as identity.dlq; the same as stream:<name>' },
] as const;

/** The filter of a command: its words, and its options as terms. Where it says nothing of states, the open ones are meant. */
export function filterText(words: readonly string[], { queue, stream, allStates = false }: Selection): string {
  const given = words.join(' ').trim();
  const says = (field: string) => new RegExp(`(?:^|\\s)-?${field}:`).test(given);
  return [
    allStates || says('state') ? '' : 'state:open',
    queue ? `queue:${queue}` : '',
    stream ? `stream:${stream}` : '',
    given,
  ]
    .filter(Boolean)
    .join(' ');
}
