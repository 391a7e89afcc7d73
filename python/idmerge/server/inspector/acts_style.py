"""The style sheet of chains of links, and of the pages that change something."""

ACTS_STYLE = """
.inspector .why-chain { list-style: none; margin: 0; padding: 0; max-width: 46rem }
.inspector .why-chain .node { background: var(--sheet); border: 1px solid var(--line);
  border-left: .3rem solid var(--bar); border-radius: .6rem; padding: .5rem 1rem; overflow-wrap: anywhere }
.inspector .why-chain .node.end { border-left-color: var(--fine) }
.inspector .why-chain .link { border-left: 2px solid var(--bar); margin-left: 1.4rem;
  padding: .55rem 0 .55rem 1.1rem; display: flex; flex-wrap: wrap; gap: .15rem .9rem; align-items: baseline }
.inspector .why-chain .link b { font-weight: 600 }
.inspector .why-chain small { color: var(--soft) }
.inspector .take-back { white-space: nowrap }
.inspector .two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 16rem), 1fr));
  gap: .8rem; max-width: 46rem }
.inspector .two label, .inspector .confirm label { display: block; color: var(--soft); font-size: .85rem;
  margin-bottom: .2rem }
.inspector .two input, .inspector .confirm input { width: 100% }
.inspector .buttons { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: center;
  margin: 1.2rem 0 0 }
.inspector .buttons form { margin: 0 }
.inspector .confirm { max-width: 46rem; background: var(--sheet); border: 1px solid var(--line);
  border-radius: .6rem; padding: 1rem 1.2rem; margin-top: 1.2rem }
.inspector .confirm p:first-child { margin-top: 0 }
.inspector .confirm.final { border-left: .3rem solid var(--error) }
.inspector #changes td .id { min-width: 0 }
.inspector #changes th { white-space: normal }
.inspector .then { white-space: nowrap }
.inspector .then .id { white-space: normal }
.inspector .lead { max-width: 46rem; overflow-wrap: anywhere }
.inspector .acts { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; list-style: none; margin: 0;
  padding: 0 }
"""
