//! Which pages of the KV store are free, how many sequences read each of the others, and which are
//! kept although none does.

/// Counts for all pages of one KV store.
#[derive(Debug)]
pub(crate) struct Pages {
    /// How many sequences hold each page.
    holders: Vec<u32>,
    /// Whether the page is kept for those who come later.
    kept: Vec<bool>,
    /// Pages neither held nor kept; the last is given out next, so a small load touches little
    /// memory.
    free: Vec<u32>,
}

impl Pages {
    /// All of `total` pages free.
    pub(crate) fn new(total: u32) -> Self {
        Self { holders: vec![0; total as usize], kept: vec![false; total as usize], free: (0..total).rev().collect() }
    }

    /// Pages that exist.
    pub(crate) fn total(&self) -> usize {
        self.holders.len()
    }

    /// Pages that nobody holds and that are not kept.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// How many sequences hold each page.
    pub(crate) fn holders(&self) -> &[u32] {
        &self.holders
    }

    /// Whether nobody holds the page and it is not kept.
    pub(crate) fn is_free(&self, page: u32) -> bool {
        self.holders[page as usize] == 0 && !self.kept[page as usize]
    }

    /// Whether it is kept.
    pub(crate) fn is_kept(&self, page: u32) -> bool {
        self.kept[page as usize]
    }

    /// Takes one free page for one holder, or nothing when there is none.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let page = self.free.pop()?;
        self.holders[page as usize] = 1;
        Some(page)
    }

    /// Adds a holder to a page that is held or kept. True if it is the first.
    pub(crate) fn share(&mut self, page: u32) -> bool {
        assert!(!self.is_free(page), "page {page} is free and cannot be shared");
        let holders = &mut self.holders[page as usize];
        *holders += 1;
        *holders == 1
    }

    /// Drops one holder of a page. True if it was the last; then the page is free unless it is kept.
    pub(crate) fn release(&mut self, page: u32) -> bool {
        let holders = &mut self.holders[page as usize];
        assert!(*holders > 0, "page {page} is released twice");
        *holders -= 1;
        let last = *holders == 0;
        if last && !self.kept[page as usize] {
            self.free.push(page);
        }
        last
    }

    /// Keeps a page that is held, also when nobody holds it any more.
    pub(crate) fn keep(&mut self, page: u32) {
        assert!(self.holders[page as usize] > 0, "page {page} is kept without a holder");
        self.kept[page as usize] = true;
    }

    /// Keeps a page no longer that nobody holds: it is free.
    pub(crate) fn forget(&mut self, page: u32) {
        assert!(self.kept[page as usize] && self.holders[page as usize] == 0, "page {page} is still needed");
        self.kept[page as usize] = false;
        self.free.push(page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_given_out_once_and_comes_back() {
        let mut pages = Pages::new(3);
        let held: Vec<u32> = std::iter::from_fn(|| pages.take()).collect();
        assert_eq!(held, [0, 1, 2]);
        assert_eq!((pages.free(), pages.total()), (0, 3));
        // Last first, as sequences do.
        held.iter().rev().for_each(|&page| assert!(pages.release(page)));
        assert_eq!(pages.free(), 3);
        assert_eq!(pages.take(), Some(0), "the order of giving out starts over");
    }

    #[test]
    fn a_shared_page_is_free_only_after_its_last_holder() {
        let mut pages = Pages::new(1);
        let page = pages.take().unwrap();
        assert!(!pages.share(page));
        assert!(!pages.release(page));
        assert_eq!(pages.free(), 0);
        assert!(pages.release(page));
        assert_eq!(pages.free(), 1);
    }

    #[test]
    fn a_kept_page_is_free_only_when_it_is_forgotten() {
        let mut pages = Pages::new(1);
        let page = pages.take().unwrap();
        pages.keep(page);
        assert!(pages.release(page));
        assert_eq!((pages.free(), pages.is_kept(page)), (0, true));
        assert!(pages.share(page), "it is found again");
        pages.release(page);
        pages.forget(page);
        assert_eq!((pages.free(), pages.is_free(page)), (1, true));
    }

    #[test]
    #[should_panic(expected = "page 0 is released twice")]
    fn a_page_cannot_be_released_twice() {
        let mut pages = Pages::new(1);
        let page = pages.take().unwrap();
        pages.release(page);
        pages.release(page);
    }
}
