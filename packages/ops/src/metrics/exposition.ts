import type { Family } from './family.ts';
import { BucketSeries } from './instruments.ts';

/** Text of one metric in the exposition format 0.0.4, or nothing when no series has a value. */
export function exposeFamily(family: Family): string {
  const { name, help, type } = family.definition;
  const lines: string[] = [];
  for (const { labels, series } of family.series.values()) {
    const text = labelText(family.labelNames, labels);
    if (series instanceof BucketSeries) exposeBuckets(lines, name, text, series);
    else if (series.value !== undefined) lines.push(`${name}${braces(text)} ${numberText(series.value)}`);
  }
  if (lines.length === 0) return '';
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`;
}

function exposeBuckets(lines: string[], name: string, labels: string, { edges, counts, sum }: BucketSeries) {
  const separator = labels ? ',' : '';
  let total = 0;
  edges.forEach((edge, index) => {
    total += counts[index] ?? 0;
    lines.push(`${name}_bucket{${labels}${separator}le="${edge}"} ${total}`);
  });
  total += counts[edges.length] ?? 0;
  lines.push(`${name}_bucket{${labels}${separator}le="+Inf"} ${total}`);
  lines.push(`${name}_sum${braces(labels)} ${numberText(sum)}`, `${name}_count${braces(labels)} ${total}`);
}

function labelText(names: readonly string[], values: readonly string[]): string {
  return names.map((name, index) => `${name}="${escapeLabel(values[index] ?? '')}"`).join(',');
}

const braces = (labels: string) => (labels ? `{${labels}}` : '');
const escapeHelp = (text: string) => text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n');
const escapeLabel = (text: string) => escapeHelp(text).replace(/"/g, '\\"');

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
