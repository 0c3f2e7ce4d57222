/** What the system acknowledged, noted before the next step. The checker holds the system to it. */
export type Intention =
  | { readonly kind: 'credited'; readonly providerId: string; readonly cents: number }
  | { readonly kind: 'submitted'; readonly leadId: string; readonly niche: string }
  | { readonly kind: 'approved'; readonly leadId: string; readonly niche: string }
  /** Many approvals of one lead at the same moment, and how many of them said that they changed it. */
  | { readonly kind: 'raced'; readonly leadId: string; readonly racers: number; readonly winners: number }
  /** Leads of this niche that its money can pay for. */
  | { readonly kind: 'scarce'; readonly niche: string; readonly places: number };
