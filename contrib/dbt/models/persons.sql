{#- A row a person: of the IDs in the mapping, and of those that only sent events. -#}
{%- set time = adapter.quote(var('idmerge_time', 'time')) %}

with ids as (
    select canonical_id, count(*) as ids
    from {{ source('idmerge', 'mapping') }}
    group by canonical_id
),

sent as (
    select
        distinct_id as canonical_id,
        count(*) as events,
        min({{ time }}) as first_event_at,
        max({{ time }}) as last_event_at
    from {{ ref('stitched_events') }}
    where distinct_id is not null
    group by distinct_id
)

select
    coalesce(sent.canonical_id, ids.canonical_id) as canonical_id,
    coalesce(ids.ids, 1) as ids,
    coalesce(sent.events, 0) as events,
    sent.first_event_at,
    sent.last_event_at
from sent
full outer join ids on ids.canonical_id = sent.canonical_id
