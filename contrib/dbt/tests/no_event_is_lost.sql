-- Each event of the source is there once.
select sent.events, stitched.events
from (select count(*) as events from {{ source('idmerge', 'events') }}) as sent
cross join (select count(*) as events from {{ ref('stitched_events') }}) as stitched
where sent.events <> stitched.events
