import { bucketsOf, type Catalogue, type LabelDomain, type MetricDefinition } from './definition.ts';

const aggregations = { F: 'flow: `sum(rate())`', S: 'stock: `max by`', I: 'instance' } as const;

/** The catalogue as a Markdown table, for the reference pages. */
export function metricsReference(catalogue: Catalogue): string {
  const rows = Object.values(catalogue).map((definition) => {
    const { name, type, help, unit, aggregation, reporter } = definition;
    return `| \`${name}\` | ${type} | ${labelsText(definition)} | ${unitText(definition, unit)} | ${aggregations[aggregation]} | ${help}. Set by: ${reporter} |`;
  });
  return ['| name | type | labels | unit | aggregation | meaning |', '|---|---|---|---|---|---|', ...rows, ''].join(
    '\n',
  );
}

function labelsText({ labels }: MetricDefinition): string {
  const texts = Object.entries<LabelDomain>(labels ?? {}).map(([name, domain]) => {
    return typeof domain === 'string' ? `\`${name}\`` : `\`${name}\` (${domain.join(', ')})`;
  });
  return texts.join(', ') || '–';
}

function unitText(definition: MetricDefinition, unit: string): string {
  return definition.type === 'histogram' ? `${unit}; edges ${bucketsOf(definition).join(' ')}` : unit;
}
