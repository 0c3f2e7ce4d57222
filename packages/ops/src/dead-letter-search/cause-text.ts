import { causeNames, causesOfDeath } from '../causes/index.ts';

/** Why a letter died, in one plain sentence. A letter of a later version may have a cause that this one does not know. */
export function causeText(cause: string): string {
  const known = causeNames.find((name) => name === cause);
  return known ? causesOfDeath[known] : `It died of "${cause}".`;
}
