import { CronExpressionParser } from 'cron-parser';
import { instantOf, wallTimeAt } from './wall-time.ts';

/** When something fires: the fields of `cron` are wall time in `timeZone`. */
export interface Rule {
  /** Five fields, or six with seconds first. */
  readonly cron: string;
  /** IANA name. */
  readonly timeZone: string;
}

/** From after `after` up to and with `until`. */
export interface Span {
  readonly after: Date;
  readonly until: Date;
  /** Most fire times to answer, the earliest. Default all. */
  readonly most?: number;
}

/**
 * Every fire time of a rule in a span, in order. Wall times of the rule that the clocks skip all fire at the first instant after the gap,
 * and so once; those that the clocks show twice fire the first time.
 */
export function fireTimes(rule: Rule, { after, until, most = Infinity }: Span): Date[] {
  const times: Date[] = [];
  for (const time of firesAfter(rule, after)) {
    if (time > until || times.length >= most) break;
    times.push(time);
  }
  return times;
}

/** The first fire time after a moment. Throws an Error where the rule never fires again. */
export function nextFireTime(rule: Rule, after: Date): Date {
  for (const time of firesAfter(rule, after)) return time;
  throw new Error(`"${rule.cron}" never fires after ${after.toISOString()}`);
}

/** Between the next two fire times after a moment, in ms. */
export function intervalAfter(rule: Rule, after: Date): number {
  const next = nextFireTime(rule, after);
  return nextFireTime(rule, next).getTime() - next.getTime();
}

/**
 * The library walks a clock that is never changed; which instants those wall times are is decided here. So its own idea of daylight
 * saving, which lets some rules fire twice, has no say.
 */
function* firesAfter({ cron, timeZone }: Rule, after: Date): Generator<Date> {
  const from = wallTimeAt(after.getTime(), timeZone);
  const walls = CronExpressionParser.parse(cron, { currentDate: new Date(from), tz: 'UTC' });
  for (let last = after.getTime(); ; ) {
    const instant = instantOf(walls.next().getTime(), timeZone);
    if (instant <= last) continue;
    last = instant;
    yield new Date(instant);
  }
}

/** Throws a TypeError that says what is wrong with a rule. */
export function checkRule({ cron, timeZone }: Rule): void {
  const fields = cron.trim().split(/\s+/).length;
  if (fields !== 5 && fields !== 6) throw new TypeError(`"${cron}" must have five fields, or six with seconds first`);
  try {
    CronExpressionParser.parse(cron, { tz: 'UTC' }).next();
  } catch (error) {
    throw new TypeError(`"${cron}" is no cron rule: ${(error as Error).message}`, { cause: error });
  }
  try {
    wallTimeAt(0, timeZone);
  } catch {
    throw new TypeError(`"${timeZone}" is no time zone: write an IANA name such as Europe/Berlin`);
  }
}
