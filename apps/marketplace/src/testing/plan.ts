import type { Queryable } from '@fmhl/ops';

/** One node of a plan, in the terms of Postgres. */
export interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  Plans?: PlanNode[];
}

/** The nodes of the plan which Postgres makes for a statement and its values, as one list. */
export async function planOf(
  db: Queryable,
  { text, values }: { text: string; values: unknown[] },
): Promise<PlanNode[]> {
  const { rows } = await db.query<{ 'QUERY PLAN': { Plan: PlanNode }[] }>({
    name: '',
    text: `explain (format json) ${text}`,
    values,
  });
  return (rows[0]?.['QUERY PLAN'] ?? []).flatMap(({ Plan }) => nodesOf(Plan));
}

function nodesOf(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}
