import { type FilterOperator, filterOperators, type FilterRule, type FormField, type FormSchema } from './contract.ts';
import { type Fault, isAnswer } from './form-schema.ts';

const operatorsOf: Readonly<Record<FormField['type'], readonly FilterOperator[]>> = {
  text: ['eq', 'neq', 'in', 'not_in', 'contains', 'exists'],
  number: ['eq', 'neq', 'in', 'not_in', 'gte', 'lte', 'between', 'exists'],
  choice: ['eq', 'neq', 'in', 'not_in', 'exists'],
  boolean: ['eq', 'neq', 'exists'],
};

const mostValues = 50;

/** The rules as they are stored, or the first fault with its path. No rules at all take every lead. */
export function readFilter(
  input: readonly unknown[] | null,
  form: FormSchema,
): { rules: FilterRule[] | null } | { fault: Fault } {
  const rules: FilterRule[] = [];
  for (const [index, rule] of (input ?? []).entries()) {
    const fault = ruleFault(rule, form);
    if (fault) return { fault: { at: `body.filter_rules.${index}${fault.at}`, message: fault.message } };
    const { field, op, value } = rule as FilterRule;
    rules.push({ field, op, value });
  }
  return { rules: rules.length > 0 ? rules : null };
}

function ruleFault(rule: unknown, form: FormSchema): Fault | undefined {
  if (!isRecord(rule)) return { at: '', message: 'must be an object of field, op and value' };
  const extra = Object.keys(rule).find((key) => !['field', 'op', 'value'].includes(key));
  if (extra !== undefined) return { at: '', message: 'must have field, op and value only' };
  const field = form.fields.find(({ name }) => name === rule.field);
  if (!field)
    return {
      at: '.field',
      message: `must be one of ${form.fields.map(({ name }) => name).join(', ') || '(the form has no fields)'}`,
    };
  const operators = operatorsOf[field.type];
  const op = filterOperators.find((name) => name === rule.op);
  if (!op || !operators.includes(op)) return { at: '.op', message: `must be one of ${operators.join(', ')}` };
  const message = valueFault(field, op, rule.value);
  return message === undefined ? undefined : { at: '.value', message };
}

function valueFault(field: FormField, op: FilterOperator, value: unknown): string | undefined {
  switch (op) {
    case 'eq':
    case 'neq':
      return isAnswer(field, value) ? undefined : `must be a possible answer to ${field.name}`;
    case 'in':
    case 'not_in':
      return isListOf(field, value)
        ? undefined
        : `must be a list of 1 to ${mostValues} possible answers to ${field.name}`;
    case 'contains':
      return value !== '' && isAnswer(field, value) ? undefined : 'must be text';
    case 'gte':
    case 'lte':
      return Number.isFinite(value) ? undefined : 'must be a number';
    case 'between':
      return isRange(value) ? undefined : 'must be two numbers, the lower first';
    case 'exists':
      return typeof value === 'boolean' ? undefined : 'must be true or false';
  }
}

function isListOf(field: FormField, value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length >= 1 &&
    value.length <= mostValues &&
    value.every((each) => isAnswer(field, each))
  );
}

function isRange(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every(Number.isFinite) && value[0] <= value[1];
}

/**
 * What the SQL function `subscription_matches` means, for reading and for holding it to. Total: a missing field, a wrong type
 * or an unknown operator is no match.
 */
export function filterMatches(rules: unknown, form: unknown): boolean {
  if (rules === null) return true;
  return Array.isArray(rules) && rules.every((rule) => isRecord(rule) && ruleHolds(rule, form));
}

function ruleHolds({ field, op, value: wants }: Record<string, unknown>, form: unknown): boolean {
  const has = isRecord(form) && typeof field === 'string' && Object.hasOwn(form, field) ? form[field] : undefined;
  if (op === 'exists') return wants === ((has ?? null) !== null);
  if (!isScalar(has)) return false;
  switch (op) {
    case 'eq':
      return has === wants;
    case 'neq':
      return typeof has === typeof wants && has !== wants;
    case 'in':
      return Array.isArray(wants) && wants.includes(has);
    case 'not_in':
      return Array.isArray(wants) && typeof wants[0] === typeof has && !wants.includes(has);
    case 'contains':
      return typeof has === 'string' && typeof wants === 'string' && asciiLower(has).includes(asciiLower(wants));
    case 'gte':
      return typeof has === 'number' && typeof wants === 'number' && has >= wants;
    case 'lte':
      return typeof has === 'number' && typeof wants === 'number' && has <= wants;
    case 'between':
      return typeof has === 'number' && isNumbers(wants) && has >= (wants[0] ?? NaN) && has <= (wants[1] ?? NaN);
    default:
      return false;
  }
}

const isScalar = (value: unknown) => ['string', 'number', 'boolean'].includes(typeof value);

const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && typeof value[0] === 'number' && typeof value[1] === 'number';

const asciiLower = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
