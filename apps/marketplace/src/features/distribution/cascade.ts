/** A level of a niche, on the terms of this moment. */
export interface Level {
  readonly id: string;
  readonly name: string;
  readonly ord: number;
  readonly price_cents: number;
  /** Most recipients a lead sold at this level may have. */
  readonly max_recipients: number;
  readonly vclock: number;
}

/** What a lead's buyers were promised so far: how many they are, and the smallest maximum any of them was sold under. */
export interface Promised {
  readonly assigned: number;
  /** Null before the first sale. */
  readonly cap: number | null;
}

/** The levels in the order a lead is offered: from the first at or after `startOrd`, once around. `levels` come by `ord`. */
export function cascadeFrom(levels: readonly Level[], startOrd: number): Level[] {
  const start = Math.max(
    0,
    levels.findIndex((level) => level.ord >= startOrd),
  );
  return [...levels.slice(start), ...levels.slice(0, start)];
}

/** Places a level may still sell without breaking a promise; 0 and less end its turn. */
export function slotsAt(level: Level, { assigned, cap }: Promised): number {
  return capAt(level, cap) - assigned;
}

/** The promise that a sale at `level` makes. */
export function capAt(level: Level, cap: number | null): number {
  return Math.min(level.max_recipients, cap ?? level.max_recipients);
}
