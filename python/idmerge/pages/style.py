"""The style sheet of every page: for wide and narrow windows, in light and dark colours."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #f5f6f8; --sheet: #fff; --ink: #1d2430; --soft: #5d6878; --line: #e0e4ea;
  --error: #b3261e; --warning: #9a5b00; --note: #2f5f9e; --fine: #1b7a47; --bar: #4a76b8;
  --error-tint: #fce8e6; --warning-tint: #fff1d6; --note-tint: #e5eefb; --fine-tint: #ddf3e6; --well: #edf0f4;
  --mark: #fff4cc; --series-0: #0072b2; --series-1: #e69f00; --edge: #7d8898;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, monospace;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #14171c; --sheet: #1d2128; --ink: #e6e9ee; --soft: #9aa5b5; --line: #323943;
    --error: #ff9d94; --warning: #f3bd66; --note: #93bdf5; --fine: #7ed6a5; --bar: #6f9bdc;
    --error-tint: #47201d; --warning-tint: #423013; --note-tint: #1d3150; --fine-tint: #16392a;
    --well: #2a3039; --mark: #4a4013; --series-0: #5aa9dc; --series-1: #f0b64a; --edge: #6b7686;
  }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, sans-serif }
header, main { max-width: 64rem; margin: 0 auto; padding: 0 1.5rem }
header { padding-top: 2.2rem }
main { padding-bottom: 2.5rem }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .8rem; overflow-wrap: anywhere }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .8rem }
h2 small { color: var(--soft); font-weight: normal; font-size: .85rem; margin-left: .4rem }
h3 { font-size: 1.05rem; line-height: 1.4; margin: .5rem 0 .3rem; overflow-wrap: anywhere }
code { font: .86em/1.5 var(--mono); overflow-wrap: anywhere }
.sources { color: var(--soft); margin: -.5rem 0 .8rem; overflow-wrap: anywhere }
.verdict { margin: 0 0 1.6rem }
figure { margin: 0; padding: .8rem; overflow-x: auto; background: #fff; border: 1px solid var(--line);
  border-radius: .6rem }
table { display: block; overflow-x: auto; border-collapse: collapse; margin-top: 1.5rem;
  font-variant-numeric: tabular-nums }
th, td { text-align: right; vertical-align: top; padding: .2rem 0 .2rem 1.5rem;
  border-bottom: 1px solid var(--line) }
th[colspan] { text-align: center }
th.name, td.name { text-align: left; padding-left: 0; min-width: 8rem; overflow-wrap: anywhere }
.links th, .links td { text-align: left; padding: .2rem .8rem .2rem 0 }
.links th:first-child, .links td:first-child { text-align: right }
.links td:nth-child(2) { white-space: nowrap }
.links td:nth-child(4), .links td:nth-child(5) { font: .86em/1.75 var(--mono); min-width: 9rem;
  overflow-wrap: anywhere }
.links .chain { background: var(--mark) }
.links .rejected { color: var(--error) }
.sheet { background: var(--sheet); border: 1px solid var(--line); border-radius: .6rem;
  padding: .6rem 1.2rem 1rem; margin-top: .8rem; overflow-x: auto }
.sheet table { margin-top: .4rem }
.sheet > p { margin: .4rem 0; color: var(--soft) }
details { margin-top: .8rem }
summary { cursor: pointer; color: var(--note); padding: .3rem 0 }
figure svg { display: block; margin: 0 auto; max-width: 100%; height: auto }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; margin: 0 0 .8rem; font-size: .85rem;
  color: var(--soft) }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; margin-right: .4rem;
  vertical-align: -.1rem }
i.series-0 { background: var(--series-0) }
i.series-1 { background: var(--series-1) }
.pairs { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .55rem .9rem; align-items: center }
.pairs .name { font-size: .85rem; max-width: 16rem; overflow-wrap: anywhere }
.pair { border-left: 1px solid var(--line); padding-right: 9.5rem }
.line { display: flex; align-items: center; height: 1.05rem }
.line i { display: block; height: .85rem; border-radius: 0 .2rem .2rem 0; flex: none }
.line i.below { background: none; border: 2px dashed currentColor; border-left: 0 }
.line .number { padding-left: .4rem; white-space: nowrap; flex: none }
.line small { color: var(--soft) }
pre { background: var(--well); border-radius: .6rem; padding: 1rem; overflow-x: auto; font-size: 13px }
.pill { display: inline-block; border-radius: 1rem; padding: .05rem .7rem; font-size: .82rem;
  font-weight: 600 }
.pill.error { color: var(--error); background: var(--error-tint) }
.pill.warning { color: var(--warning); background: var(--warning-tint) }
.pill.note { color: var(--note); background: var(--note-tint) }
.pill.fine { color: var(--fine); background: var(--fine-tint) }
.cards { display: grid; grid-template-columns: repeat(6, 1fr); gap: .8rem }
.card, .chart, article { background: var(--sheet); border: 1px solid var(--line); border-radius: .6rem }
.card { padding: .8rem 1rem; display: flex; flex-direction: column }
.card b { font-size: 1.25rem; line-height: 1.3; font-variant-numeric: tabular-nums }
.card b.long { font-size: 1rem }
.card span, .card small { color: var(--soft) }
.headlines { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .8rem }
.headline { background: var(--sheet); border: 1px solid var(--line); border-top: .3rem solid var(--series-0);
  border-radius: .6rem; padding: .9rem 1.1rem; display: flex; flex-direction: column; min-width: 0 }
.headline b { font-size: 2.1rem; line-height: 1.25; font-variant-numeric: tabular-nums }
.headline span, .headline small { color: var(--soft) }
.headline p { margin: .6rem 0 0; overflow-wrap: anywhere }
.question > p { margin: .3rem 0; overflow-wrap: anywhere; break-after: avoid }
.question code { white-space: nowrap }
.method dt { white-space: nowrap }
.method dd { overflow-wrap: anywhere; min-width: 0 }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: .8rem;
  margin-top: .8rem }
.chart { padding: 1rem 1.2rem 1.2rem; display: flex; flex-direction: column; min-width: 0 }
.chart h2 { margin: 0 0 .8rem }
.chart .none { color: var(--soft); margin: 0 }
.rows { display: grid; grid-template-columns: auto minmax(3rem, 1fr) auto; gap: .45rem .8rem;
  align-items: center }
.rows .name { font-size: .82rem }
.number { font-size: .82rem; text-align: right; font-variant-numeric: tabular-nums }
.track { background: var(--well); border-radius: .2rem; height: .9rem }
.track i { display: block; height: 100%; min-width: 2px; border-radius: .2rem; background: var(--bar) }
.track i.bad { background: var(--error) }
.columns { display: flex; gap: .35rem; flex: 1; min-height: 11rem; align-items: stretch }
.columns div { flex: 1; min-width: 0; display: flex; flex-direction: column; text-align: center }
.columns .number { text-align: center; font-size: .75rem }
.columns .well { flex: 1; display: flex; align-items: flex-end; border-bottom: 1px solid var(--soft) }
.columns .well i { display: block; width: 100%; background: var(--bar); border-radius: .2rem .2rem 0 0 }
.columns .name { font-size: .72rem; color: var(--soft); padding-top: .25rem; white-space: nowrap }
.columns.many .name { writing-mode: vertical-rl; align-self: center; height: 4rem; padding: .25rem 0 0 }
.columns.timed { gap: 0 }
.columns.timed .well { gap: 1px; min-height: 10rem; padding: 2.4rem 10% 0; justify-content: center }
.columns.timed .column { flex: 1; max-width: 4.5rem; height: 100%; display: flex; flex-direction: column;
  justify-content: flex-end; text-align: center }
.columns.timed .column i { border-radius: .15rem .15rem 0 0; flex: none }
.columns.timed .column i.series-0 { background: var(--series-0) }
.columns.timed .column i.series-1 { background: var(--series-1) }
.columns.timed small { font-size: .7rem; line-height: 1.2; color: var(--soft); white-space: nowrap;
  align-self: center }
.columns.timed .name { height: 1.6rem; display: flex; justify-content: center }
.columns.timed div:first-child .name { justify-content: flex-start }
.columns.timed.dense .well { padding-left: 0; padding-right: 0 }
article { padding: 1rem 1.2rem; margin-bottom: .8rem; border-left: .3rem solid var(--note) }
article.error { border-left-color: var(--error) }
article.warning { border-left-color: var(--warning) }
article p { margin: .3rem 0 }
.head code { color: var(--soft) }
.facts { color: var(--soft); font-size: .9rem }
.share { background: var(--well); height: .35rem; border-radius: .2rem; max-width: 24rem; overflow: hidden }
.share i { display: block; height: 100%; min-width: 2px; background: var(--note) }
.error .share i { background: var(--error) }
.warning .share i { background: var(--warning) }
.examples { list-style: none; margin: .8rem 0; padding: 0; border-top: 1px solid var(--line) }
.examples li { padding: .35rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
.examples li code { background: var(--well); border-radius: .25rem; padding: .1rem .35rem;
  margin-right: .2rem; display: inline-block; max-width: 100% }
.place { color: var(--soft); font-size: .85rem; margin-right: .3rem }
.note:not(.pill, article) { color: var(--soft); font-size: .9rem }
.change b { font-weight: 600; margin-right: .3rem }
.healthy { background: var(--fine-tint); color: var(--fine); border-radius: .6rem; padding: 1rem 1.2rem;
  margin: 0 }
.missing { color: var(--soft) }
.missing dl { display: grid; grid-template-columns: auto 1fr; gap: .2rem 1rem; margin: 0; font-size: .9rem }
.missing dd { margin: 0 }
@page { margin: 1.6cm }
@media print {
  :root { color-scheme: light; font-size: 12.5px }
  body { background: none; font-size: 1rem; print-color-adjust: exact; -webkit-print-color-adjust: exact }
  header, main { max-width: none; padding-left: 0; padding-right: 0 }
  article, .chart, figure, .card, .headline, tr, .examples li { break-inside: avoid }
  h2, h3, .head { break-after: avoid }
  table { display: table; font-size: .9rem }
  details { display: none }
}
@media (max-width: 62rem) { .cards { grid-template-columns: repeat(3, 1fr) } }
@media screen and (max-width: 52rem) { .headlines { grid-template-columns: minmax(0, 1fr) } }
@media (max-width: 36rem) {
  header, main { padding-left: .9rem; padding-right: .9rem }
  .missing dl { grid-template-columns: 1fr }
  .missing dd { margin-bottom: .4rem }
  .cards { grid-template-columns: repeat(2, 1fr) }
  .columns .name { writing-mode: vertical-rl; align-self: center; height: 4rem; padding: .25rem 0 0 }
  .columns { gap: .2rem }
  .columns.timed .name { writing-mode: vertical-rl; height: 5.2rem; width: auto }
  .pairs { grid-template-columns: minmax(0, 1fr) }
  .pairs .name { max-width: none; margin-bottom: -.4rem }
  .pair { padding-right: 8rem }
}
"""
