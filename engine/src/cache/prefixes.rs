//! Which page stores the keys and values of which beginning of a text.
//!
//! A tree: a page's parent is the page before it in the text, or a scope. It is found by its
//! parent and its exact tokens, so what is found is what would be computed, bit for bit. Whoever
//! holds a page holds all before it; so a page that nobody holds has none behind it that somebody
//! does, and all such pages can be given up, leaves first.

use std::collections::{BTreeSet, HashMap};

/// What stands before a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Parent {
    /// Nothing: it is the first of a text of this scope.
    Scope(u64),
    /// This page.
    Page(u32),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    parent: Parent,
    tokens: Box<[u32]>,
}

#[derive(Debug)]
struct Node {
    key: Key,
    children: u32,
    /// Since when nobody holds it; nothing while somebody does.
    idle_since: Option<u64>,
}

/// The tree of all pages that are kept.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    pages: HashMap<Key, u32>,
    nodes: HashMap<u32, Node>,
    /// Pages that nobody holds and that have no children, the longest idle first.
    leaves: BTreeSet<(u64, u32)>,
    /// Pages that nobody holds.
    idle: usize,
    now: u64,
}

impl Prefixes {
    /// Pages that nobody holds: all of them can be given up.
    pub(crate) fn idle(&self) -> usize {
        self.idle
    }

    /// The page behind `parent` that stores these tokens.
    pub(crate) fn find(&self, parent: Parent, tokens: &[u32]) -> Option<u32> {
        self.pages.get(&Key { parent, tokens: tokens.into() }).copied()
    }

    /// Adds a page that somebody holds, as all before it.
    pub(crate) fn insert(&mut self, parent: Parent, tokens: &[u32], page: u32) {
        let key = Key { parent, tokens: tokens.into() };
        if let Parent::Page(parent) = parent {
            self.nodes.get_mut(&parent).expect("a page is kept before its children").children += 1;
        }
        self.nodes.insert(page, Node { key: key.clone(), children: 0, idle_since: None });
        let before = self.pages.insert(key, page);
        assert!(before.is_none(), "page {page} stores what another does");
    }

    /// Somebody holds the page again.
    pub(crate) fn hold(&mut self, page: u32) {
        let node = self.nodes.get_mut(&page).expect("only pages of the tree are held again");
        let since = node.idle_since.take().expect("it was idle");
        self.idle -= 1;
        self.leaves.remove(&(since, page));
    }

    /// Time passes: what becomes idle from now on has been for less long.
    pub(crate) fn tick(&mut self) {
        self.now += 1;
    }

    /// Nobody holds the page any more.
    pub(crate) fn idle_now(&mut self, page: u32) {
        let node = self.nodes.get_mut(&page).expect("only pages of the tree become idle");
        node.idle_since = Some(self.now);
        self.idle += 1;
        if node.children == 0 {
            self.leaves.insert((self.now, page));
        }
    }

    /// Gives up the page that has been idle for longest.
    pub(crate) fn evict(&mut self) -> Option<u32> {
        let (_, page) = self.leaves.pop_first()?;
        let node = self.nodes.remove(&page).expect("leaves are in the tree");
        self.pages.remove(&node.key);
        self.idle -= 1;
        if let Parent::Page(parent) = node.key.parent {
            let above = self.nodes.get_mut(&parent).expect("a page goes after its children");
            above.children -= 1;
            if let (0, Some(since)) = (above.children, above.idle_since) {
                self.leaves.insert((since, parent));
            }
        }
        Some(page)
    }
}
