export interface DemoLead {
  readonly niche: string;
  readonly name: string;
  readonly postcode: string;
  readonly form: Readonly<Record<string, unknown>>;
  /** How far it has come: sold follows from approved, once the worker runs. */
  readonly until: 'submitted' | 'confirmed' | 'approved' | 'rejected';
}

/** Ten people in need, of whom one asks twice. */
export const demoLeads: readonly DemoLead[] = [
  lead('roofing', 'Ada Moreno', '94107', { roof: 'tile', area_sqft: 1_900, urgent: true }, 'approved'),
  lead('roofing', 'Ben Okafor', '78701', { roof: 'shingle', area_sqft: 2_400, urgent: true }, 'approved'),
  lead('roofing', 'Carla Jensen', '60614', { roof: 'flat', area_sqft: 3_600 }, 'approved'),
  lead('hosting', 'Dev Patel', '10001', { platform: 'wordpress', monthly_visits: 40_000 }, 'approved'),
  lead('moving', 'Edie Laurent', '10011', { rooms: 3, distance_miles: 210, storage: true }, 'approved'),
  lead('roofing', 'Frank Silva', '33130', { roof: 'metal', area_sqft: 1_200, details: 'Hail last week.' }, 'confirmed'),
  lead('hosting', 'Grace Lin', '94110', { platform: 'node', monthly_visits: 900_000, migration: true }, 'confirmed'),
  lead('roofing', 'Ada Moreno', '94107', { roof: 'tile', area_sqft: 1_900, urgent: true }, 'confirmed'),
  lead('hosting', 'Hugo Test', '60601', { platform: 'static', monthly_visits: 0 }, 'rejected'),
  lead('moving', 'Ines Kim', '98101', { rooms: 5, distance_miles: 12 }, 'submitted'),
];

function lead(
  niche: string,
  name: string,
  postcode: string,
  form: DemoLead['form'],
  until: DemoLead['until'],
): DemoLead {
  return { niche, name, postcode, form, until };
}
