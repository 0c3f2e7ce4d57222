import { describe, expect, it } from 'vitest';
import { filterText } from './filter-text.ts';
import { sparkline } from './groups.ts';
import { rowCounter } from './row-counter.ts';

describe('the filter of a command', () => {
  it.each([
    [[], {}, 'state:open'],
    [['queue:email_send', 'age:>1h'], {}, 'state:open queue:email_send age:>1h'],
    [['state:resolved'], {}, 'state:resolved'],
    [['queue:x -state:open'], {}, 'queue:x -state:open'],
    [['timeout'], { queue: 'email' }, 'state:open queue:email timeout'],
    [[], { stream: 'identity.dlq', allStates: true }, 'stream:identity.dlq'],
    [[], { allStates: true }, ''],
  ])('of %j with %j is %j', (words, selection, text) => {
    expect(filterText(words, selection)).toBe(text);
  });
});

describe('the rows of a file', () => {
  it('are lines of NDJSON, whatever the chunks', () => {
    const counter = rowCounter('ndjson');
    for (const chunk of ['{"a":', '1}\n{"b":2}', '\n{"c":3}']) counter.add(Buffer.from(chunk));
    expect(counter.rows()).toBe(3);
  });

  it('are records of CSV, less its head: a line feed in quotes ends none', () => {
    const counter = rowCounter('csv');
    for (const chunk of ['id,text\r\n1,"two\nlines, ""quoted', '"""\r\n2,x\r\n']) counter.add(Buffer.from(chunk));
    expect(counter.rows()).toBe(2);
  });

  it('are none in an empty file', () => {
    expect(rowCounter('csv').rows()).toBe(0);
    expect(rowCounter('ndjson').rows()).toBe(0);
  });
});

it('a sparkline has a bar for each hour with deaths', () => {
  expect(sparkline([0, 1, 4, 8])).toBe(' ▁▄█');
});
