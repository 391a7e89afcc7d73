"""The style sheet of what the inspector has beside other pages (`idmerge.pages.style`)."""

INSPECTOR_STYLE = """
.inspector .skip { position: absolute; left: -99rem }
.inspector .skip:focus { left: .5rem; top: .5rem; z-index: 2; background: var(--sheet); padding: .4rem .8rem;
  border-radius: .4rem }
.inspector .bar { background: var(--sheet); border-bottom: 1px solid var(--line) }
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
.inspector nav ul { display: flex; gap: .2rem; list-style: none; margin: 0; padding: 0 }
.inspector nav a { display: block; padding: .25rem .7rem; border-radius: .4rem; text-decoration: none;
  color: var(--ink) }
.inspector nav a:hover { background: var(--well) }
.inspector nav a[aria-current] { background: var(--note-tint); color: var(--note) }
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
.inspector .facts-list { display: flex; flex-wrap: wrap; gap: .6rem 2.2rem; margin: 0 0 1.2rem }
.inspector .facts-list dt { color: var(--soft); font-size: .85rem }
.inspector .facts-list dd { margin: 0; overflow-wrap: anywhere }
@media (max-width: 36rem) {
  .inspector .within { padding: .6rem .9rem }
  .inspector form.search { order: 9; flex-basis: 100% }
}
"""
