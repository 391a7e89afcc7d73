-- After an incremental run, too, each event has the canonical ID that the mapping states now.
select events.idmerge_sender, events.distinct_id, mapping.canonical_id
from {{ ref('stitched_events') }} as events
left join {{ source('idmerge', 'mapping') }} as mapping on mapping.distinct_id = events.idmerge_sender
where events.idmerge_sender <> ''
    and events.distinct_id <> coalesce(mapping.canonical_id, events.idmerge_sender)
