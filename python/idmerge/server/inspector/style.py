"""The style sheet of what the inspector has beside other pages (`idmerge.pages.style`)."""

INSPECTOR_STYLE = """
.inspector .skip { position: absolute; left: -99rem }
.inspector .skip:focus { left: .5rem; top: .5rem; z-index: 2; background: var(--sheet); padding: .4rem .8rem;
  border-radius: .4rem }
.inspector .bar { max-width: none; padding: 0; background: var(--sheet);
  border-bottom: 1px solid var(--line) }
.inspector .within { max-width: 72rem; margin: 0 auto; padding: .6rem 1.5rem; display: flex; flex-wrap: wrap;
  gap: .5rem 1.2rem; align-items: center }
.inspector main { max-width: 72rem; padding-top: 1.6rem; outline: none }
.inspector .brand { font-weight: 600; color: var(--ink); text-decoration: none; white-space: nowrap;
  max-width: 100%; overflow: hidden; text-overflow: ellipsis }
.inspector p.brand { max-width: 26rem; margin: 3rem auto 0; padding: 0 1.5rem }
.inspector .brand b { font-weight: 400; color: var(--soft); margin-left: .3rem }
.inspector .mark { display: inline-block; width: .8rem; height: .8rem; border-radius: .25rem;
  background: var(--bar); margin-right: .45rem }
.inspector a { color: var(--note) }
.inspector .bar ul { display: flex; gap: .2rem; list-style: none; margin: 0; padding: 0 }
.inspector .bar nav a { display: block; padding: .25rem .7rem; border-radius: .4rem; text-decoration: none;
  color: var(--ink) }
.inspector .bar nav a:hover { background: var(--well) }
.inspector .bar nav a[aria-current] { background: var(--note-tint); color: var(--note) }
.inspector form.search { flex: 1 1 16rem; display: flex; gap: .4rem; min-width: 0 }
.inspector form.search input { flex: 1; min-width: 0 }
.inspector input, .inspector select, .inspector textarea { font: inherit; color: inherit;
  background: var(--paper); border: 1px solid var(--edge); border-radius: .4rem; padding: .3rem .6rem;
  max-width: 100% }
.inspector button { font: inherit; font-weight: 600; color: #fff; background: #2f5f9e;
  border: 1px solid transparent; border-radius: .4rem; padding: .3rem .9rem; cursor: pointer }
.inspector button:hover { background: #264d80 }
.inspector button.quiet { color: var(--ink); background: none; border-color: var(--edge);
  font-weight: 400 }
.inspector button.quiet:hover { background: var(--well) }
.inspector button.danger { background: #b3261e }
.inspector button.danger:hover { background: #8f1e18 }
.inspector :focus-visible { outline: 2px solid var(--note); outline-offset: 2px }
.inspector .unseen, .inspector caption { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap }
.inspector .soft { color: var(--soft) }
.inspector .id { font: .9em/1.5 var(--mono); overflow-wrap: anywhere }
.inspector .wrong { color: var(--error); background: var(--error-tint); border-radius: .6rem;
  padding: .8rem 1.2rem; overflow-wrap: anywhere }
.inspector .done { color: var(--fine); background: var(--fine-tint); border-radius: .6rem;
  padding: .8rem 1.2rem; overflow-wrap: anywhere }
.inspector .sign-in { max-width: 26rem; margin: 1.2rem 0 }
.inspector .sign-in label { display: block; margin-bottom: .3rem }
.inspector .sign-in input { width: 100%; margin-bottom: .8rem }
.inspector .narrow { max-width: 26rem; margin: 0 auto }
.inspector .scroll { overflow-x: auto; background: var(--sheet); border: 1px solid var(--line);
  border-radius: .6rem }
.inspector table.list { display: table; width: 100%; margin: 0; position: relative }
.inspector table.list th, .inspector table.list td { text-align: left; padding: .4rem 1rem }
.inspector table.list th { color: var(--soft); font-weight: 600; font-size: .85rem; white-space: nowrap }
.inspector table.list tr:last-child td { border-bottom: 0 }
.inspector table.list td { font-size: .93rem }
.inspector td .id { min-width: 9rem; display: inline-block }
.inspector .titles { list-style: none; margin: .6rem 0; padding: 0 }
.inspector .titles li { margin: .3rem 0 }
.inspector .facts-list { display: flex; flex-wrap: wrap; gap: .6rem 2.2rem; margin: 0 0 1.2rem }
.inspector .facts-list dt { color: var(--soft); font-size: .85rem }
.inspector .facts-list dd { margin: 0; overflow-wrap: anywhere }
.inspector .nowrap { white-space: nowrap }
.inspector .empty { color: var(--soft); margin: .4rem 0 }
.inspector h1 { font-size: 1.5rem }
.inspector .beside { display: grid; grid-template-columns: minmax(0, 1fr) 22rem; gap: 0 2rem;
  align-items: start }
.inspector .beside.even { grid-template-columns: repeat(2, minmax(0, 1fr)) }
.inspector .range { display: flex; flex-wrap: wrap; gap: .5rem .9rem; align-items: center;
  margin-bottom: .6rem }
.inspector .range label { color: var(--soft); font-size: .9rem }
.inspector .range input { color: var(--ink) }
.inspector .pager, .inspector .choices { display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin: .5rem 0;
  align-items: baseline; font-size: .93rem }
.inspector .pager span { color: var(--soft); font-variant-numeric: tabular-nums }
.inspector .day { font-size: .85rem; color: var(--soft); margin: 1rem 0 .3rem; font-weight: 600 }
.inspector ol.events { list-style: none; margin: 0; padding: 0; background: var(--sheet);
  border: 1px solid var(--line); border-radius: .6rem }
.inspector ol.events li { padding: .55rem 1rem; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere }
.inspector ol.events li:last-child { border-bottom: 0 }
.inspector ol.events p { margin: .1rem 0; font-size: .9rem }
.inspector .event { display: grid; grid-template-columns: 4.6rem minmax(0, 1fr) minmax(0, 22rem);
  align-items: baseline; gap: 0 .4rem }
.inspector .event .sender { text-align: right; font-size: .9rem }
.inspector .event time { color: var(--soft); font-variant-numeric: tabular-nums; font-size: .9rem }
.inspector ol.events .became, .inspector ol.events details { margin-left: 5rem }
.inspector ol.events .pill { margin-left: .3rem }
.inspector .sender { color: var(--soft) }
.inspector ol.events details { margin-top: 0; font-size: .85rem }
.inspector ol.events summary { padding: .1rem 0 }
.inspector .values { display: grid; grid-template-columns: minmax(6rem, auto) minmax(0, 1fr); gap: 0 1rem;
  margin: .2rem 0; font-size: .9rem }
.inspector .values dt { color: var(--soft); overflow-wrap: anywhere; max-width: 12rem }
.inspector .values dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap }
.inspector .aside .values { background: var(--sheet); border: 1px solid var(--line); border-radius: .6rem;
  padding: .7rem 1rem }
.inspector .near .share { width: 9rem; margin-top: .2rem }
.inspector .near.warning { color: var(--warning) }
.inspector .near.warning .share i { background: var(--warning) }
.inspector .drawing figure { max-height: 44rem; overflow: auto }
.inspector .aside .drawing figure { max-height: 26rem; padding: .3rem }
.inspector .parts { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; margin: 0 0 .4rem;
  list-style: none; font-size: .93rem }
.inspector .aside h2:first-of-type { margin-top: 2.2rem }
.inspector .drawing svg * { stroke-linejoin: round; stroke-linecap: butt }
.inspector dd .share { height: .3rem }
@media (max-width: 62rem) {
  .inspector .beside, .inspector .beside.even { grid-template-columns: minmax(0, 1fr) }
  .inspector .event { grid-template-columns: 4.6rem minmax(0, 1fr) }
  .inspector .event .sender { grid-column: 2; text-align: left }
}
@media (max-width: 36rem) {
  .inspector .within { padding: .6rem .9rem; gap: .5rem .4rem }
  .inspector .bar nav { margin-right: auto }
  .inspector .bar nav a { padding: .25rem .4rem }
  .inspector .bar button { padding: .3rem .6rem }
  .inspector .bar .brand b { display: none }
  .inspector form.search { order: 9; flex-basis: 100% }
}
"""
