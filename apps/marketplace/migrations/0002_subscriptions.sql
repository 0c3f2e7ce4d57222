-- migrate:up

create table niche (
  id                 uuid primary key default gen_random_uuid(),
  slug               text not null unique check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 64),
  name               text not null,
  status             text not null default 'active' check (status in ('active', 'paused')),
  form_schema        jsonb not null default '{"fields": []}' check (jsonb_typeof(form_schema -> 'fields') = 'array'),
  consent_text       text not null default 'I agree that my request and my contact details are passed on to companies of this kind, which may contact me about it.',
  consent_version    int not null default 1,
  dedup_days         int not null default 30 check (dedup_days between 0 and 365),
  report_window_days int not null default 7 check (report_window_days between 0 and 90),
  created_at         timestamptz not null default clock_timestamp(),
  updated_at         timestamptz not null default clock_timestamp(),
  version            int not null default 1
);

create table level (
  id             uuid primary key default gen_random_uuid(),
  niche_id       uuid not null references niche,
  name           text not null,
  ord            int not null check (ord between 1 and 100),
  price_cents    bigint not null check (price_cents between 50 and 1000000),
  max_recipients int not null check (max_recipients between 1 and 20),
  status         text not null default 'active' check (status in ('active', 'retired')),
  vclock         bigint not null default 0,
  created_at     timestamptz not null default clock_timestamp(),
  updated_at     timestamptz not null default clock_timestamp(),
  version        int not null default 1,
  constraint level_ord_taken unique (niche_id, ord),
  constraint level_name_taken unique (niche_id, name)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

create table provider (
  id          uuid primary key default gen_random_uuid(),
  user_id     uuid not null unique references identity.users,
  company     text not null,
  -- Days of caps are counted in this zone: a name Postgres does not know would stop every sale to the provider.
  tz          text not null default 'UTC' check (timestamptz 'epoch' at time zone tz is not null),
  status      text not null default 'pending' check (status in ('pending', 'active', 'suspended', 'closed')),
  status_memo text,
  created_at  timestamptz not null default clock_timestamp(),
  updated_at  timestamptz not null default clock_timestamp(),
  version     int not null default 1
);
create index provider_created on provider (created_at desc, id desc);

create table subscription (
  id             uuid primary key default gen_random_uuid(),
  provider_id    uuid not null references provider,
  level_id       uuid not null references level,
  status         text not null check (status in ('active', 'paused_user', 'paused_funds', 'paused_admin', 'cancelled')),
  -- What last changed the status: a run, a payment, a person.
  status_ref     text,
  -- Null takes every lead of the level.
  filter_rules   jsonb check (jsonb_typeof(filter_rules) = 'array'),
  weight         int not null default 1 check (weight between 1 and 10),
  daily_cap      int check (daily_cap between 1 and 100000),
  day_key        date,
  day_n          int not null default 0,
  -- Those of `subscription_area`, which triggers copy: the index of the order carries them.
  areas          text[] not null default '{}',
  -- Virtual time of the fair order: the smallest is served next.
  vt             bigint not null default 0,
  last_served_at timestamptz,
  created_at     timestamptz not null default clock_timestamp(),
  updated_at     timestamptz not null default clock_timestamp(),
  version        int not null default 1
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500,
        autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
create unique index subscription_once on subscription (provider_id, level_id) where status <> 'cancelled';
-- Covering, so that a sale passes by whoever does not serve the lead's place without leaving the index: measured with 348,000 subscriptions,
-- a tenth of the time of looking each up.
create index subscription_walk on subscription (level_id, vt, id) include (provider_id, areas) where status = 'active';
create index subscription_unfunded on subscription (provider_id) where status = 'paused_funds';

create table subscription_area (
  level_id        uuid not null,
  area            text not null check (area ~ '^(\*|US|US-[A-Z]{2}|US-[0-9]{3})$'),
  subscription_id uuid not null references subscription on delete cascade,
  created_at      timestamptz not null default clock_timestamp(),
  primary key (level_id, area, subscription_id)
);
create index subscription_area_of on subscription_area (subscription_id);

create function public.copy_subscription_areas() returns trigger language plpgsql as $$
begin
  update subscription s
  set areas = array(select a.area from subscription_area a where a.subscription_id = s.id order by a.area)
  where s.id in (select subscription_id from changed);
  return null;
end $$;
create trigger subscription_area_added after insert on subscription_area
  referencing new table as changed for each statement execute function public.copy_subscription_areas();
create trigger subscription_area_removed after delete on subscription_area
  referencing old table as changed for each statement execute function public.copy_subscription_areas();
create trigger subscription_area_fixed before update on subscription_area
  for each statement execute function ops.refuse_change();

-- Whether a lead's form satisfies every rule of a subscription. The one definition, for sales, previews and explanations.
-- Total: a missing field, a wrong type or an unknown operator is no match, never an error. `contains` ignores the case of
-- ASCII letters; all else compares exactly. A loop rather than a query: 20 rules cost no plan and no sort.
create function public.subscription_matches(rules jsonb, form jsonb) returns boolean
  language plpgsql immutable parallel safe as $$
declare
  rule jsonb;
  has jsonb;
  wants jsonb;
  kind text;
  holds boolean;
begin
  if rules is null then return true; end if;
  if jsonb_typeof(rules) <> 'array' then return jsonb_typeof(rules) = 'null'; end if;
  for at in 0 .. jsonb_array_length(rules) - 1 loop
    rule := rules -> at;
    wants := rule -> 'value';
    has := form -> (rule ->> 'field');
    kind := jsonb_typeof(has);
    if rule ->> 'op' = 'exists' then
      holds := jsonb_typeof(wants) = 'boolean' and (coalesce(kind, 'null') <> 'null') = (wants = 'true');
    elsif kind is null or kind not in ('string', 'number', 'boolean') then
      return false;
    else
      holds := case rule ->> 'op'
        when 'eq' then has = wants
        when 'neq' then has <> wants and kind = jsonb_typeof(wants)
        when 'in' then jsonb_typeof(wants) = 'array' and wants @> has
        when 'not_in' then jsonb_typeof(wants) = 'array' and kind = jsonb_typeof(wants -> 0) and not wants @> has
        when 'contains' then kind = 'string' and jsonb_typeof(wants) = 'string'
          and strpos(lower((has #>> '{}') collate "C"), lower((wants #>> '{}') collate "C")) > 0
        when 'gte' then kind = 'number' and jsonb_typeof(wants) = 'number' and has >= wants
        when 'lte' then kind = 'number' and jsonb_typeof(wants) = 'number' and has <= wants
        when 'between' then kind = 'number' and jsonb_typeof(wants) = 'array'
          and jsonb_typeof(wants -> 0) = 'number' and jsonb_typeof(wants -> 1) = 'number'
          and has >= (wants -> 0) and has <= (wants -> 1)
        else false
      end;
    end if;
    if holds is not true then return false; end if;
  end loop;
  return true;
end $$;

-- What other features read, and lock, of these tables. Plain selects of one table, so that their plans are the table's own.
create view v_niche as
  select id, slug, name, status, form_schema, consent_text, consent_version, dedup_days, report_window_days from niche;
create view v_level as
  select id, niche_id, name, ord, price_cents, max_recipients, status, vclock from level;
create view v_provider as
  select id, user_id, company, tz, status from provider;
create view v_subscription as
  select id, provider_id, level_id, status, status_ref, filter_rules, weight, daily_cap, day_key, day_n, vt, last_served_at,
         version, areas
  from subscription;
create view v_subscription_area as
  select level_id, area, subscription_id from subscription_area;
-- Where a provider's mails go.
create view v_provider_contact as
  select p.id as provider_id, p.company, u.email, u.email_verified_at from provider p join public.v_user u on u.id = p.user_id;

-- migrate:down

drop view v_provider_contact, v_subscription_area, v_subscription, v_provider, v_level, v_niche;
drop function public.subscription_matches(jsonb, jsonb);
drop table subscription_area;
drop function public.copy_subscription_areas();
drop table subscription;
drop table provider;
drop table level;
drop table niche;
