//! Acts: changes of a resolver that are no links and no observations (SPEC 8).
//!
//! An act takes a position, as a link does. A retraction is an act too, but needs the journal's
//! steps; see [`journal::retract`](crate::journal::retract).

use crate::clusters::judge::keep_apart;
use crate::error::Error;
use crate::ids::id::Id;
use crate::link::Operand;
use crate::resolver::Resolver;
use crate::resolver::recorder::{Recorder, Unrecorded};

/// The reason why two IDs were not kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotApart {
    /// They are one and the same.
    Same,
    /// They are in one cluster.
    Together,
    /// One of them, the first (0) or the second (1), can be no ID.
    Invalid(usize),
    /// A limit of the resolver is reached.
    Full(Error),
}

impl Resolver {
    /// Keeps two IDs apart from now on, and makes both known (SPEC 8).
    ///
    /// A link that would bring them into one cluster is `KEPT_APART` from now on.
    ///
    /// # Errors
    ///
    /// If they are together, the same, or can be no IDs, or a limit is reached; nothing is changed
    /// then.
    pub fn keep_apart(&mut self, ids: [&str; 2]) -> Result<(), NotApart> {
        self.keep_apart_recorded(ids, &mut Unrecorded)
    }

    /// Forgets a known ID: its text is wiped, its cluster stays joined (SPEC 8).
    ///
    /// The ID is not known any more, and its number is never used again. The same text makes
    /// another ID when it comes again. If it was canonical, the best of the other members takes its
    /// place.
    ///
    /// # Errors
    ///
    /// If there is no memory to note it; nothing is changed then.
    pub fn forget(&mut self, id: Id) -> Result<(), Error> {
        self.forget_recorded(id, &mut Unrecorded)
    }

    /// Keeps two IDs apart and records that; see [`Self::keep_apart`].
    pub(crate) fn keep_apart_recorded(
        &mut self,
        ids: [&str; 2],
        recorder: &mut impl Recorder,
    ) -> Result<(), NotApart> {
        let operands = ids.map(|text| self.prepare(Operand::Text(text)));
        if let Some(which) = operands.iter().position(|prepared| !prepared.is_valid()) {
            return Err(NotApart::Invalid(which));
        }
        if ids[0] == ids[1] {
            return Err(NotApart::Same);
        }
        let room = self.make_room(1, recorder).and_then(|()| self.check_room(operands.each_ref(), ids));
        room.map_err(NotApart::Full)?;
        let known = ids.map(|text| self.get(text));
        if let [Some(a), Some(b)] = known
            && self.same(a, b)
        {
            return Err(NotApart::Together);
        }
        let mut numbers = [Id::FIRST; 2];
        for ((number, prepared), text) in numbers.iter_mut().zip(&operands).zip(ids) {
            let before = self.ids.len() as u32;
            *number = self.intern(prepared, text);
            self.state.overrides.make_known(*number, before);
        }
        keep_apart(&mut self.ids, &mut self.state, numbers);
        self.state.without_outcome += 1;
        recorder.keep_apart(numbers[0], numbers[1]);
        Ok(())
    }

    /// Forgets a known ID and records that; see [`Self::forget`].
    pub(crate) fn forget_recorded(&mut self, id: Id, recorder: &mut impl Recorder) -> Result<(), Error> {
        self.state.overrides.reserve_forgotten()?;
        recorder.reserve(1)?;
        let (clusters, state, rules) = self.parts_mut();
        rules.forget(clusters, state, id);
        clusters.forget(id);
        state.without_outcome += 1;
        recorder.forget(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clusters::canonical::Strategy;
    use crate::clusters::policy::Policy;
    use crate::link::{Kind, Outcome};

    /// A recorder for which there is no memory.
    struct Full;

    impl Recorder for Full {
        const RECORDS: bool = true;

        fn reserve(&mut self, _: usize) -> Result<(), Error> {
            Err(Error::NoMemory)
        }

        fn link(&mut self, _: Kind, _: Outcome, _: Option<[Id; 2]>) {
            unreachable!("a step begins only once there is room for it")
        }

        fn observation(&mut self, _: Id) {
            unreachable!("a step begins only once there is room for it")
        }

        fn keep_apart(&mut self, _: Id, _: Id) {
            unreachable!("a step begins only once there is room for it")
        }

        fn forget(&mut self, _: Id) {
            unreachable!("a step begins only once there is room for it")
        }
    }

    #[test]
    fn an_act_without_room_in_the_record_changes_nothing() {
        let mut core = Resolver::new(Policy::default(), Strategy::Stable);
        core.link(Kind::Merge, "a".into(), "b".into()).expect("there is room");
        let known = core.get("a").expect("it is known");
        assert_eq!(core.forget_recorded(known, &mut Full), Err(Error::NoMemory));
        assert_eq!(core.keep_apart_recorded(["a", "c"], &mut Full), Err(NotApart::Full(Error::NoMemory)));
        assert_eq!((core.position(), core.get("a"), core.get("c")), (1, Some(known), None));
        assert_eq!(core.text(known).as_str(), "a");
    }
}
