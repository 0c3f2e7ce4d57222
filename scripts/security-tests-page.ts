import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { code, page, table } from './markdown.ts';
import { type SecurityTest, securityTests } from './security-tests.ts';

const intro = `Threats, the requirement of [OWASP ASVS 4.0.3](https://owasp.org/www-project-application-security-verification-standard/) that each breaks,
and the tests that show it does not. \`npm test\` runs them all. This is a list of tests, and no claim that the whole standard is met.`;

/** The tests of security by requirement. Throws when a file has no test of a title that runs: a renamed or skipped one would be lost otherwise. */
export function securityTestsPage(): string {
  const lost = Object.values(securityTests)
    .flat()
    .flatMap(({ tests }) => tests.filter(([file, title]) => !isIn(file, title)));
  if (lost.length > 0) throw new Error(`no such test: ${lost.map((one) => one.join(': ')).join('; ')}`);
  const sections = Object.entries(securityTests).map(
    ([chapter, rows]) => `## ${chapter}\n\n${table(['ASVS', 'threat', 'tests'], rows.map(rowOf))}`,
  );
  return page('Security tests', [intro, ...sections]);
}

function isIn(file: string, title: string): boolean {
  const text = readFileSync(join(dirname(import.meta.dirname), file), 'utf8');
  return holdsTest(text.replaceAll(/\$\{\w+\}/g, '…'), title);
}

/** Whether a test, or a group of them, has exactly this title, and nothing of the file is skipped, left to do or picked out. */
export function holdsTest(text: string, title: string): boolean {
  const isTitled = [`'`, `"`, '`'].some(
    (quote) => text.includes(`(${quote}${title}${quote}`) || text.includes(`  ${quote}${title}${quote},`),
  );
  return isTitled && !/\b(it|test|describe)(\.\w+)*\.(skip|todo|only|fails|skipIf|runIf)\b/.test(text);
}

function rowOf({ requirement, threat, tests }: SecurityTest): string[] {
  return [requirement, threat, tests.map(([file, title]) => `“${title}”, ${code(file)}`).join('<br>')];
}
