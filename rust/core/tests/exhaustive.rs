//! Every short sequence of links, core against model.
mod model;

use idmerge_core::{AnonFormat, AnonGuard, Kind, Outcome, Policy, Resolver, Step, Strategy};
use model::{Model, Rules, view_of};

const IDS: [&str; 4] = [
    "5c3c0e5d-9a1f-4c39-8f8e-3e7a9d2d6a11",
    "5C3C0E5D-9A1F-4C39-8F8E-3E7A9D2D6A11",
    "user",
    "a user with a long ID",
];
const KINDS: [Kind; 3] = [Kind::Identify, Kind::Alias, Kind::Merge];

fn rules() -> Rules {
    Rules { max_cluster_size: Some(3), anon_format: AnonFormat::Uuid4, anon_guard: AnonGuard::Anon, alias_once: true, max_id_length: Some(255), blocked: vec![] }
}

struct Walk<'a> { policy: Policy, strategy: Strategy, depth: usize, sequences: usize, all: bool, path: Vec<(Kind, usize, usize)>, expected: Vec<Outcome>, p: std::marker::PhantomData<&'a ()> }

fn meets(seen: [usize; 2], id: usize) -> Option<[usize; 2]> {
    let (class, number) = (id / 2, id % 2);
    let mut seen = seen;
    if number > seen[class] { return None }
    if number == seen[class] { seen[class] += 1 }
    Some(seen)
}

impl<'a> Walk<'a> {
    fn below(&mut self, model: &Model<'a>, seen: [usize; 2]) {
        for first in 0..4 { for second in 0..4 { for kind in KINDS {
            let seen = if self.all { seen } else {
                if first == second && kind != Kind::Merge { continue }
                let Some(seen) = meets(seen, first).and_then(|seen| meets(seen, second)) else { continue };
                seen
            };
            let mut model = model.clone();
            self.path.push((kind, first, second));
            let link = Step::Link(kind, IDS[first].into(), IDS[second].into());
            self.expected.push(model.take(link).unwrap());
            self.check(&model);
            if self.path.len() < self.depth { self.below(&model, seen); }
            self.path.pop(); self.expected.pop();
        }}}
    }
    fn check(&mut self, model: &Model) {
        self.sequences += 1;
        let mut core = Resolver::new(self.policy.clone(), self.strategy);
        for (&(kind, first, second), &expected) in self.path.iter().zip(&self.expected) {
            let outcome = core.link(kind, IDS[first].into(), IDS[second].into());
            assert_eq!(outcome, Ok(expected));
        }
        assert_eq!(view_of(&core), model.view());
    }
}

#[test]
fn m() {
    for (depth, all) in [(3, true), (3, false), (4, false)] {
        let t = std::time::Instant::now();
        let rules = rules();
        let mut walk = Walk { policy: rules.policy(), strategy: Strategy::Stable, depth, all, sequences: 0, path: vec![], expected: vec![], p: std::marker::PhantomData };
        walk.below(&Model::new(&rules, Strategy::Stable), [0, 0]);
        println!("{depth} {all} {} {:?}", walk.sequences, t.elapsed());
    }
}
