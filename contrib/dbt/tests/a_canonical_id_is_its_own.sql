-- The canonical ID of a canonical ID is the same: a mapping is never a chain.
select mapping.distinct_id, mapping.canonical_id, own.canonical_id as own_canonical_id
from {{ source('idmerge', 'mapping') }} as mapping
join {{ source('idmerge', 'mapping') }} as own on own.distinct_id = mapping.canonical_id
where own.canonical_id <> mapping.canonical_id
