import { duration } from './ages.ts';

export interface Progress {
  readonly total: number;
  /** Decided one way or the other. */
  readonly ended: number;
  readonly failed: number;
  readonly state: string;
  /** Items a second. */
  readonly rate: number | null;
  readonly etaS: number | null;
}

/** One line of at most `width` columns: a bar, how far, how many failed, how fast, how long still. */
export function progressLine({ total, ended, failed, state, rate, etaS }: Progress, width: number): string {
  const share = total === 0 ? 1 : Math.min(1, ended / total);
  const after = [
    `${Math.floor(share * 100)} %`.padStart(5),
    `${ended}/${total}`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(rate === null ? [] : [`${Math.round(rate)}/s`]),
    ...(etaS === null ? [] : [`${duration(etaS)} left`]),
    state,
  ].join('  ');
  const room = Math.min(30, width - after.length - 3);
  if (room < 8) return after;
  const filled = Math.floor(share * room);
  return `[${'#'.repeat(filled)}${'.'.repeat(room - filled)}] ${after}`;
}
