//! Which calls of a turn are still to be answered.

use std::{borrow::Borrow, collections::HashMap, hash::Hash};

/// The open calls of one turn, in order. Each question takes the same time however many there are:
/// a body may hold a hundred thousand.
#[derive(Debug)]
pub(crate) struct OpenCalls<S> {
    ids: Vec<S>,
    answered: Vec<bool>,
    // Places of each id, the first one last.
    places: HashMap<S, Vec<usize>>,
    // No call before this one is open.
    first: usize,
}

impl<S: Borrow<str> + Hash + Eq + Clone> OpenCalls<S> {
    pub(crate) fn new(ids: impl IntoIterator<Item = S>) -> Self {
        let ids: Vec<S> = ids.into_iter().collect();
        let mut places: HashMap<S, Vec<usize>> = HashMap::new();
        for (place, id) in ids.iter().enumerate().rev() {
            places.entry(id.clone()).or_default().push(place);
        }
        Self { answered: vec![false; ids.len()], ids, places, first: 0 }
    }

    /// The first call still open.
    pub(crate) fn first(&mut self) -> Option<&S> {
        while *self.answered.get(self.first)? {
            self.first += 1;
        }
        self.ids.get(self.first)
    }

    /// Answers the first open call of this id, or of any; says which it was.
    pub(crate) fn answer(&mut self, id: Option<&str>) -> Option<&S> {
        let place = match id {
            None => {
                self.first()?;
                self.first
            }
            Some(id) => {
                let places = self.places.get_mut(id)?;
                loop {
                    let place = places.pop()?;
                    if !self.answered[place] {
                        break place;
                    }
                }
            }
        };
        self.answered[place] = true;
        self.ids.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_answered_in_any_order_and_once() {
        let mut open = OpenCalls::new(["a", "b", "a", "c"]);
        assert_eq!(open.answer(Some("b")), Some(&"b"));
        assert_eq!(open.answer(Some("b")), None);
        assert_eq!(open.answer(None), Some(&"a"));
        assert_eq!(open.first(), Some(&"a"));
        assert_eq!(open.answer(Some("a")), Some(&"a"));
        assert_eq!(open.answer(Some("a")), None);
        assert_eq!(open.first(), Some(&"c"));
        assert_eq!(open.answer(None), Some(&"c"));
        assert_eq!(open.first(), None);
        assert_eq!(open.answer(None), None);
        assert_eq!(open.answer(Some("x")), None);
    }
}
