-- Each event with an ID is of a person in persons.
select events.distinct_id
from {{ ref('stitched_events') }} as events
left join {{ ref('persons') }} as persons on persons.canonical_id = events.distinct_id
where events.distinct_id is not null and persons.canonical_id is null
