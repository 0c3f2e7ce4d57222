import { reportFormulas, reportRules, type ReportReference } from '../apps/marketplace/src/features/reports/index.ts';
import { code, page, table } from './markdown.ts';

/** What each report counts: field by field, on which clock. */
export function reportsPage(): string {
  return page('Reports', [
    intro,
    ...Object.entries(reportFormulas).map(([name, report]) => section(name as keyof typeof reportRules, report)),
  ]);
}

const intro = `\`GET /api/v1/admin/reports/<name>?from&to&by&clock\` with the permission \`report.read\`. Every number is counted when it is asked for, from one
snapshot of the rows. Test leads are never counted; a refund is counted with the sale that it undoes, whenever it was.

\`from\` is included and \`to\` is not; a date is its midnight in UTC, and days, weeks and months are those of UTC. The answer repeats what was asked as it
was understood: \`clock\`, \`from\`, \`to\`, \`by\`. It has 500 rows at most, and \`truncated\` says whether there are more, or may be. A report that takes longer than
10 s is refused with \`report_too_slow\`. Shares are numbers from 0 to 1, and null where there is nothing to divide by; money is in cents.`;

function section(name: keyof typeof reportRules, { about, limits = '', clocks, fields }: ReportReference): string {
  const { clock, by, mostDays, usualDays } = reportRules[name];
  const told = [
    `${about}. At most ${mostDays} days; without \`from\` the last ${usualDays}.`,
    limits,
    by.length > 0
      ? `\`by\`: ${by.map((one, at) => (at === 0 ? `${code(one)} (default)` : code(one))).join(', ')}.`
      : '',
    ...(clocks
      ? Object.entries(clocks).map(
          ([one, meaning]) => `- \`clock=${one}\`${one === clock ? ' (default)' : ''}: ${meaning}`,
        )
      : []),
  ];
  const rows = Object.entries(fields).map(([field, formula]) => [code(field), formula]);
  return `## ${name}\n\n${told.filter(Boolean).join('\n').replace('\n- ', '\n\n- ')}\n\n${table(['field', 'what it is'], rows)}`;
}
