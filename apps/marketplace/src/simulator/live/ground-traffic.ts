import { leadsSoFar, userOf } from './demo-traffic.ts';
import type { Ground } from './ground.ts';
import { openTraffic, type Traffic } from './traffic.ts';

/** Traffic on a demo that runs in another process. Its mails fare as those of real people do from now on. */
export async function openGroundTraffic(
  ground: Ground,
  { seed, speed, say }: { seed: number; speed: number; say: (line: string) => void },
): Promise<Traffic> {
  await ground.control.set({ smtp: { mode: 'lifelike' } });
  const firstLead = await leadsSoFar(ground.db);
  return openTraffic(
    { seed, speed, firstLead },
    { ...ground, say, userOf: (providerId) => userOf(ground.db, providerId) },
  );
}
