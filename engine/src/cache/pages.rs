//! Which pages of the KV store are free, and how many sequences read each of the others.
//!
//! A page has a count so that two sequences with the same beginning can share it later; today
//! every count is one.

/// Counts for all pages of one KV store.
#[derive(Debug)]
pub(crate) struct Pages {
    /// How many hold each page.
    counts: Vec<u32>,
    /// Free pages; the last is given out next, so a small load touches little memory.
    free: Vec<u32>,
}

impl Pages {
    /// All of `total` pages free.
    pub(crate) fn new(total: u32) -> Self {
        Self { counts: vec![0; total as usize], free: (0..total).rev().collect() }
    }

    /// Pages that exist.
    pub(crate) fn total(&self) -> usize {
        self.counts.len()
    }

    /// Pages that nobody holds.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// Takes one page for one holder, or nothing when all are held.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let page = self.free.pop()?;
        self.counts[page as usize] = 1;
        Some(page)
    }

    /// Adds a holder to a held page.
    #[cfg_attr(not(test), expect(dead_code, reason = "sequences with a common prefix will share pages"))]
    pub(crate) fn share(&mut self, page: u32) {
        let count = &mut self.counts[page as usize];
        assert!(*count > 0, "page {page} is free and cannot be shared");
        *count += 1;
    }

    /// Drops one holder of each page; pages without holders become free.
    pub(crate) fn release(&mut self, pages: &mut Vec<u32>) {
        // Last first, so that the next sequence gets them in the order this one had them.
        while let Some(page) = pages.pop() {
            let count = &mut self.counts[page as usize];
            assert!(*count > 0, "page {page} is released twice");
            *count -= 1;
            if *count == 0 {
                self.free.push(page);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_given_out_once_and_comes_back() {
        let mut pages = Pages::new(3);
        let mut held: Vec<u32> = std::iter::from_fn(|| pages.take()).collect();
        assert_eq!(held, [0, 1, 2]);
        assert_eq!((pages.free(), pages.total()), (0, 3));
        pages.release(&mut held);
        assert!(held.is_empty());
        assert_eq!(pages.free(), 3);
        assert_eq!(pages.take(), Some(0), "the order of giving out starts over");
    }

    #[test]
    fn a_shared_page_is_free_only_after_its_last_holder() {
        let mut pages = Pages::new(1);
        let page = pages.take().unwrap();
        pages.share(page);
        pages.release(&mut vec![page]);
        assert_eq!(pages.free(), 0);
        pages.release(&mut vec![page]);
        assert_eq!(pages.free(), 1);
    }

    #[test]
    #[should_panic(expected = "page 0 is released twice")]
    fn a_page_cannot_be_released_twice() {
        let mut pages = Pages::new(1);
        let page = pages.take().unwrap();
        pages.release(&mut vec![page, page]);
    }
}
