//! Every short sequence of links: the core against the model.
//!
//! Four IDs, two of them anonymous, and three kinds of link make 48 links. Their sequences are
//! walked depth first; each is checked link by link and by the clusters at its end: up to three
//! links under every policy and strategy, four with all checks on and with all checks off. Four
//! reductions make that affordable:
//!
//! 1. *Renaming.* No rule reads more of a text than whether it is anonymous, so swapping the two
//!    anonymous IDs, or the two others, swaps them in the answer and changes nothing else. Of the
//!    up to four sequences that differ by swaps only that is walked which names the lower ID of a
//!    pair first. `Strategy::Smallest` does compare texts: there all sequences are walked, three
//!    deep under two policies.
//! 2. *A link of an ID to itself* is judged before its kind is asked, and makes it known. Three
//!    deep such a link is always a `$merge`; four deep there is none.
//! 3. *An alias without its check* is judged like a `$merge`, and its claim is never looked up:
//!    four deep with all checks off there is none.
//! 4. *A last link that changes nothing* in the model needs no resolver of its own: all of them
//!    go through one in turn, and should one have changed anything, the next ones show it.
//!
//! Of `t` links, `p` of them within one and the same pair and `p` within the other, the first
//! leaves `(tⁿ + 2pⁿ) / 4` sequences of length `n` (Burnside's lemma); every walk counts its own.

mod model;

use idmerge_core::{AnonFormat, AnonGuard, Api, Kind, Outcome, Resolver, Step, Strategy};
use model::{Model, Rules, View};

/// The anonymous IDs, then the others; of each pair one text packs into its key and one does not.
const IDS: [&str; 4] = [
    "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11",
    "5C3C0E5D-9A1F-4C39-8F8E-3E7A9D2D6A11",
    "user",
    "a user with a longer ID",
];
const KINDS: [Kind; 3] = [Kind::Identify, Kind::Alias, Kind::Merge];
const STRATEGIES: [Strategy; 4] =
    [Strategy::Stable, Strategy::Identified, Strategy::FirstSeen, Strategy::Smallest];

#[derive(Debug, Clone, Copy)]
struct Link {
    kind: Kind,
    first: usize,
    second: usize,
}

impl Link {
    fn step(self) -> Step<'static> {
        Step::Link(self.kind, IDS[self.first].into(), IDS[self.second].into())
    }
}

/// Returns the links of these kinds between two IDs and of those kinds from an ID to itself.
fn links(between: &[Kind], to_itself: &[Kind]) -> Vec<Link> {
    let mut links = Vec::new();
    for (first, second) in (0..16).map(|pair| (pair / 4, pair % 4)) {
        let kinds = if first == second { to_itself } else { between };
        links.extend(kinds.iter().map(|&kind| Link { kind, first, second }));
    }
    links
}

/// The number of IDs of each pair that a sequence has named, the lower one first.
#[derive(Clone, Copy, Default)]
struct Named([usize; 2]);

impl Named {
    /// Returns the same after naming `id` too, or None if the lower one of its pair should come
    /// first.
    fn with(mut self, id: usize) -> Option<Self> {
        let (pair, place) = (id / 2, id % 2);
        let named = &mut self.0[pair];
        if place > *named {
            return None;
        }
        *named = (*named).max(place + 1);
        Some(self)
    }
}

/// A depth-first walk over the sequences that `links` make.
struct Walk<'a> {
    rules: &'a Rules,
    strategy: Strategy,
    links: &'a [Link],
    up_to_renaming: bool,
    depth: usize,
    path: Vec<(Link, Outcome)>,
    /// The number of sequences of each length.
    checked: Vec<usize>,
    /// The number of sequences that ended in each outcome.
    outcomes: [usize; Outcome::COUNT],
}

impl<'a> Walk<'a> {
    fn new(rules: &'a Rules, strategy: Strategy, links: &'a [Link], depth: usize) -> Self {
        let (path, checked, outcomes) = (Vec::new(), vec![0; depth], [0; Outcome::COUNT]);
        let up_to_renaming = strategy != Strategy::Smallest;
        Self { rules, strategy, links, up_to_renaming, depth, path, checked, outcomes }
    }

    fn run(mut self) -> Self {
        self.below(&Model::new(self.rules, self.strategy), Named::default());
        self
    }

    fn below(&mut self, before: &Model<'a>, named: Named) {
        let is_last = self.path.len() + 1 == self.depth;
        let mut idle = None;
        for &link in self.links {
            let Some(named) = self.name(named, link) else {
                continue;
            };
            let mut after = before.clone();
            let outcome = after.take(link.step()).expect("a link has an outcome");
            self.checked[self.path.len()] += 1;
            self.outcomes[outcome as usize] += 1;
            if is_last && after == *before {
                let (core, view) = idle.get_or_insert_with(|| (self.replay(), before.view()));
                self.expect(core, link, outcome);
                assert_eq!(View::of(core), *view, "after {:?} and {link:?}", self.path);
                continue;
            }
            self.path.push((link, outcome));
            assert_eq!(View::of(&self.replay()), after.view(), "after {:?}", self.path);
            if !is_last {
                self.below(&after, named);
            }
            self.path.pop();
        }
    }

    fn name(&self, named: Named, link: Link) -> Option<Named> {
        if self.up_to_renaming { named.with(link.first)?.with(link.second) } else { Some(named) }
    }

    fn replay(&self) -> Resolver {
        let mut core = Resolver::new(self.rules.policy(), self.strategy);
        for &(link, outcome) in &self.path {
            self.expect(&mut core, link, outcome);
        }
        core
    }

    fn expect(&self, core: &mut Resolver, link: Link, expected: Outcome) {
        let outcome = core.link(link.kind, IDS[link.first].into(), IDS[link.second].into());
        assert_eq!(outcome, Ok(expected), "of {link:?} in or after {:?}", self.path);
    }
}

/// All checks on, and clusters so small that four IDs do not fit in one.
fn strict() -> Rules {
    Rules {
        api: Api::Original,
        max_cluster_size: Some(3),
        anon_format: AnonFormat::Uuid4,
        anon_guard: AnonGuard::Anon,
        alias_once: true,
        max_id_length: Some(255),
        blocked: Vec::new(),
        respects_verdicts: true,
        takes_evidence: true,
    }
}

/// All checks off but the format's; two clusters of two can meet.
fn lenient() -> Rules {
    Rules { max_cluster_size: None, anon_guard: AnonGuard::Off, alias_once: false, ..strict() }
}

fn policies() -> [Rules; 5] {
    let guarding_clusters = Rules { anon_guard: AnonGuard::Cluster, ..strict() };
    let guarding_nothing = Rules { anon_guard: AnonGuard::Off, ..strict() };
    let reusing_aliases = Rules { alias_once: false, ..strict() };
    [strict(), guarding_clusters, guarding_nothing, reusing_aliases, lenient()]
}

/// Returns how many sequences of these lengths remain of `links` links, `in_pair` in each pair.
fn up_to_renaming<const N: usize>(lengths: [u32; N], links: usize, in_pair: usize) -> [usize; N] {
    lengths.map(|length| (links.pow(length) + 2 * in_pair.pow(length)) / 4)
}

#[test]
fn sequences_of_up_to_two_links_are_judged_as_the_model_says() {
    let links = links(&KINDS, &KINDS);
    for rules in policies() {
        for strategy in STRATEGIES {
            let checked = Walk::new(&rules, strategy, &links, 2).run().checked;
            let all = strategy == Strategy::Smallest;
            assert_eq!(checked, if all { [48, 48 * 48] } else { up_to_renaming([1, 2], 48, 12) });
        }
    }
}

#[test]
fn sequences_of_three_links_are_judged_as_the_model_says() {
    let links = links(&KINDS, &[Kind::Merge]);
    for rules in policies() {
        for strategy in [Strategy::Stable, Strategy::Identified, Strategy::FirstSeen] {
            let checked = Walk::new(&rules, strategy, &links, 3).run().checked;
            assert_eq!(checked[2..], up_to_renaming([3], 40, 8));
        }
    }
    for rules in [strict(), lenient()] {
        let checked = Walk::new(&rules, Strategy::Smallest, &links, 3).run().checked;
        assert_eq!(checked[2..], [40 * 40 * 40]);
    }
}

#[test]
fn sequences_of_three_links_of_the_other_apis_are_judged_as_the_model_says() {
    for (api, kind) in [(Api::Simplified, Kind::Association), (Api::Legacy, Kind::Alias)] {
        for rules in policies().map(|rules| Rules { api, ..rules }) {
            for strategy in [Strategy::Stable, Strategy::Identified, Strategy::FirstSeen] {
                let links = links(&[kind, Kind::Merge], &[kind]);
                let walk = Walk::new(&rules, strategy, &links, 3).run();
                assert_eq!(walk.checked[2..], up_to_renaming([3], 28, 6));
                assert!(walk.outcomes[Outcome::Merged as usize] > 100);
                assert!(walk.outcomes[Outcome::VerbNotAllowed as usize] > 100);
            }
        }
    }
}

#[test]
fn sequences_of_four_links_are_judged_as_the_model_says_with_all_checks_on() {
    let (rules, links) = (strict(), links(&KINDS, &[]));
    let walk = Walk::new(&rules, Strategy::Identified, &links, 4).run();
    assert_eq!(walk.checked[3..], up_to_renaming([4], 36, 6));
    for outcome in [Outcome::Merged, Outcome::AnonClaimed, Outcome::AliasTaken, Outcome::TooManyIds] {
        assert!(walk.outcomes[outcome as usize] > 1000, "{outcome:?}");
    }
}

#[test]
fn sequences_of_four_links_are_judged_as_the_model_says_with_all_checks_off() {
    let (rules, links) = (lenient(), links(&[Kind::Identify, Kind::Merge], &[]));
    let walk = Walk::new(&rules, Strategy::Stable, &links, 4).run();
    assert_eq!(walk.checked[3..], up_to_renaming([4], 24, 4));
    let possible = [Outcome::Merged, Outcome::Unchanged, Outcome::AnonFormat];
    let ended = possible.map(|outcome| walk.outcomes[outcome as usize]);
    assert_eq!(ended.iter().sum::<usize>(), walk.checked.iter().sum());
}
