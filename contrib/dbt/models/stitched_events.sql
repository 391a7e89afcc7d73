{{-
    config(
        materialized=var('idmerge_stitched', 'view'),
        incremental_strategy='delete+insert',
        unique_key='idmerge_sender',
        on_schema_change='append_new_columns',
    )
-}}
{#- An incremental run writes the events of a sender anew if there are more of them, or if their person is
    another one now: links that come later, and links that are taken back, change canonical IDs. -#}
{%- set events, mapping = source('idmerge', 'events'), source('idmerge', 'mapping') %}
{%- set sent = 'events.' ~ adapter.quote(var('idmerge_sent', 'distinct_id')) %}
{%- set before = adapter.quote('$distinct_id_before_identity') %}
{%- set names = idmerge_columns(events) %}

with stitched as (
    select
        {%- for name in names if name not in (var('idmerge_sent', 'distinct_id'), '$distinct_id_before_identity') %}
        events.{{ adapter.quote(name) }},
        {%- endfor %}
        coalesce(mapping.canonical_id, {{ sent }}) as distinct_id,
        {%- if '$distinct_id_before_identity' in names %}
        coalesce(events.{{ before }}, {{ sent }}) as {{ before }},
        {%- else %}
        {{ sent }} as {{ before }},
        {%- endif %}
        coalesce({{ sent }}, '') as idmerge_sender
    from {{ events }} as events
    left join {{ mapping }} as mapping on mapping.distinct_id = {{ sent }}
)

select * from stitched
{%- if is_incremental() %}
where idmerge_sender in (
    select now.idmerge_sender
    from (
        select idmerge_sender, max(distinct_id) as person, count(*) as events
        from stitched
        group by idmerge_sender
    ) as now
    left join (
        select idmerge_sender, max(distinct_id) as person, count(*) as events
        from {{ this }}
        group by idmerge_sender
    ) as known on known.idmerge_sender = now.idmerge_sender
    where known.events is null or known.events <> now.events or known.person <> now.person
)
{%- endif %}
