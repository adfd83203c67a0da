//! The menu of what can be completed, under the line that is being typed.
//!
//! Tab opens it and walks through it, and so do the arrows; what is chosen stands in the line at once. Enter takes it,
//! Esc and Ctrl-C put back what was typed, any other key goes on from what stands there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustyline::{
    Cmd, ConditionalEventHandler, Event, EventContext, EventHandler, Helper, KeyCode, KeyEvent, Modifiers, RepeatCount,
    hint::Hint, history::History,
};

use super::offers::Offer;
use crate::table::{columns, cut, pad, plain};

/// Most rows of it.
const ROWS_MAX: usize = 10;
/// Columns that a name may take.
const NAME_COLUMNS_MAX: usize = 36;

/// What the line editor, its completer and its keys share.
#[derive(Clone, Default)]
pub struct Menu(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    open: Option<Open>,
    step: Step,
}

/// What the key does that was pressed last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Next,
    Previous,
    /// Close it, and put back what was typed.
    Back,
    /// Close it, and keep what is chosen.
    Take,
}

struct Open {
    /// From where on the line is completed.
    start: usize,
    typed: String,
    offers: Vec<Offer>,
    chosen: Option<usize>,
    /// The line and the cursor as they are while nothing else is typed.
    line: String,
    pos: usize,
}

impl Menu {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn close(&self) {
        *self.state() = State::default();
    }

    fn is_open(&self) -> bool {
        self.state().open.is_some()
    }

    /// What takes the place of the line from a place on to the cursor; nothing, where there is nothing to offer.
    pub fn complete(
        &self,
        line: &str,
        pos: usize,
        offers: impl FnOnce() -> (usize, Vec<Offer>),
    ) -> Option<(usize, String)> {
        let mut state = self.state();
        let step = std::mem::take(&mut state.step);
        if let Some(open) = state.open.as_mut().filter(|open| open.line == line && open.pos == pos) {
            let text = match step {
                Step::Next => open.choose(open.chosen.map_or(0, |chosen| chosen + 1)),
                Step::Previous => open.choose(open.chosen.unwrap_or(0) + open.offers.len() - 1),
                Step::Back | Step::Take => open.typed.clone(),
            };
            let start = open.start;
            if step == Step::Back {
                state.open = None;
            }
            return Some((start, text));
        }
        state.open = None;
        let (start, offers) = offers();
        let typed = line[start..pos].to_owned();
        match offers.as_slice() {
            [] => None,
            [only] => Some((start, only.text.clone())),
            _ => {
                let common = common(&offers).to_owned();
                let mut open = Open { start, typed: typed.clone(), offers, chosen: None, line: line.to_owned(), pos };
                let text = match common.len() > typed.len() && common.starts_with(&typed) {
                    true => {
                        open.typed.clone_from(&common);
                        open.stand(&common);
                        common
                    }
                    false => open.choose(0),
                };
                state.open = Some(open);
                Some((start, text))
            }
        }
    }

    /// The menu as it is to be shown under this line: narrowed down, where more was typed.
    pub fn show(
        &self,
        line: &str,
        pos: usize,
        look: Look,
        offers: impl FnOnce() -> (usize, Vec<Offer>),
    ) -> Option<Shown> {
        let mut state = self.state();
        let open = state.open.as_mut()?;
        if open.line != line || open.pos != pos {
            let (start, offers) = offers();
            let typed = line[start..pos].to_owned();
            if offers.is_empty() || offers.len() == 1 && offers[0].text == typed {
                state.open = None;
                return None;
            }
            *open = Open { start, typed, offers, chosen: None, line: line.to_owned(), pos };
        }
        Some(Shown(open.draw(look)))
    }

    /// Has the keys walk through it.
    pub fn bind<H: Helper, I: History>(&self, line: &mut rustyline::Editor<H, I>) {
        let none = |code| KeyEvent(code, Modifiers::NONE);
        for (key, step) in [
            (none(KeyCode::Tab), Step::Next),
            (none(KeyCode::Down), Step::Next),
            (none(KeyCode::BackTab), Step::Previous),
            (none(KeyCode::Up), Step::Previous),
            (none(KeyCode::Esc), Step::Back),
            (KeyEvent::ctrl('C'), Step::Back),
            (none(KeyCode::Enter), Step::Take),
            (KeyEvent::ctrl('R'), Step::Take),
        ] {
            line.bind_sequence(key, EventHandler::Conditional(Box::new(Key { menu: self.clone(), step })));
        }
    }
}

struct Key {
    menu: Menu,
    step: Step,
}

impl ConditionalEventHandler for Key {
    fn handle(&self, event: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        if !self.menu.is_open() {
            return None;
        }
        if self.step != Step::Take {
            self.menu.state().step = self.step;
            return Some(Cmd::Complete);
        }
        let chosen = self.menu.state().open.as_ref().is_some_and(|open| open.chosen.is_some());
        self.menu.close();
        let enter = event.get(0).is_some_and(|key| key.0 == KeyCode::Enter);
        (chosen && enter).then_some(Cmd::Repaint)
    }
}

impl Open {
    /// The offer of this number, counted round.
    fn choose(&mut self, number: usize) -> String {
        let number = number % self.offers.len();
        self.chosen = Some(number);
        let text = self.offers[number].text.clone();
        self.stand(&text);
        text
    }

    /// The line with this text in its place.
    fn stand(&mut self, text: &str) {
        self.line.replace_range(self.start..self.pos, text);
        self.pos = self.start + text.len();
    }

    fn draw(&self, look: Look) -> String {
        let rows = look.rows.clamp(1, ROWS_MAX);
        let all = self.offers.len();
        let first = self.chosen.unwrap_or(0).saturating_sub(rows - 1).min(all.saturating_sub(rows));
        let shown = &self.offers[first..all.min(first + rows)];
        let most = look.columns.saturating_sub(3).min(NAME_COLUMNS_MAX);
        let width = shown.iter().map(|offer| columns(&offer.name)).max().unwrap_or(0).min(most);
        let mut text = String::new();
        for (number, offer) in (first..).zip(shown) {
            let chosen = self.chosen == Some(number);
            let name = pad(&cut(&plain(&offer.name), most), width);
            let left = look.columns.saturating_sub(5 + columns(&name));
            let about = cut(&plain(&offer.about), left);
            let mark = if chosen { "> " } else { "  " };
            text += &match (look.color, chosen) {
                (true, true) => format!("\n\x1b[7m{mark}{name}\x1b[0m  \x1b[2m{about}\x1b[0m"),
                (true, false) => format!("\n{mark}{name}  \x1b[2m{about}\x1b[0m"),
                (false, _) => format!("\n{}", format!("{mark}{name}  {about}").trim_end()),
            };
        }
        if all > rows {
            let place = self.chosen.map_or_else(|| all.to_string(), |chosen| format!("{}/{all}", chosen + 1));
            text += &if look.color { format!("\n\x1b[2m  {place}\x1b[0m") } else { format!("\n  {place}") };
        }
        text
    }
}

/// How large it may be, and whether in colour.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub columns: usize,
    pub rows: usize,
    pub color: bool,
}

/// The menu, as the line editor shows it.
pub struct Shown(String);

impl Hint for Shown {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

/// What all of them begin with.
fn common(offers: &[Offer]) -> &str {
    let Some((first, others)) = offers.split_first() else { return "" };
    let same =
        |text: &str| first.text.char_indices().zip(text.chars()).find(|((_, a), b)| a != b).map(|((at, _), _)| at);
    let end = others.iter().map(|offer| same(&offer.text).unwrap_or(offer.text.len().min(first.text.len()))).min();
    &first.text[..end.unwrap_or(first.text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers(names: &[&str]) -> Vec<Offer> {
        let offer =
            |name: &&str| Offer { text: (*name).to_owned(), name: (*name).to_owned(), about: "做某事".to_owned() };
        names.iter().map(offer).collect()
    }

    const PLAIN: Look = Look { columns: 20, rows: 2, color: false };

    fn step(menu: &Menu, step: Step, line: &str) -> Option<(usize, String)> {
        menu.state().step = step;
        menu.complete(line, line.len(), || (0, Vec::new()))
    }

    #[test]
    fn tab_walks_round_and_back_puts_back_what_was_typed() {
        let menu = Menu::default();
        let some = |text: &str| Some((0, text.to_owned()));
        assert_eq!(menu.complete("/s", 2, || (0, offers(&["/save", "/session", "/system"]))), some("/save"));
        assert_eq!(step(&menu, Step::Next, "/save"), some("/session"));
        assert_eq!(step(&menu, Step::Previous, "/session"), some("/save"));
        assert_eq!(step(&menu, Step::Previous, "/save"), some("/system"));
        assert_eq!(step(&menu, Step::Next, "/system"), some("/save"));
        assert_eq!(step(&menu, Step::Back, "/save"), some("/s"));
        assert!(!menu.is_open());
    }

    #[test]
    fn what_all_begin_with_is_put_in_first_and_one_alone_has_no_menu() {
        let menu = Menu::default();
        assert_eq!(menu.complete("x q", 3, || (2, offers(&["qwen-a", "qwen-b"]))), Some((2, "qwen-".to_owned())));
        assert_eq!(step(&menu, Step::Next, "x qwen-"), Some((2, "qwen-a".to_owned())));
        assert_eq!(menu.complete("/sy", 3, || (0, offers(&["/system"]))), Some((0, "/system".to_owned())));
        assert!(!menu.is_open());
        assert_eq!(menu.complete("hm", 2, || (2, Vec::new())), None);
    }

    #[test]
    fn more_that_is_typed_narrows_it_down_and_closes_it() {
        let menu = Menu::default();
        menu.complete("/", 1, || (0, offers(&["/save", "/model"])));
        assert_eq!(menu.show("/save", 5, PLAIN, || (0, Vec::new())).unwrap().0, "\n> /save   做某事\n  /model  做某事");
        let narrow = || (0, offers(&["/model", "/more"]));
        assert_eq!(menu.show("/mo", 3, PLAIN, narrow).unwrap().0, "\n  /model  做某事\n  /more   做某事");
        assert!(menu.show("/model", 6, PLAIN, || (0, offers(&["/model"]))).is_none());
        assert!(!menu.is_open());
    }

    #[test]
    fn a_long_menu_moves_with_what_is_chosen_and_no_row_is_too_wide() {
        let menu = Menu::default();
        menu.complete("", 0, || (0, offers(&["a", "名字很长很长很长的文件", "c"])));
        step(&menu, Step::Previous, "a");
        let shown = menu.show("c", 1, PLAIN, || (0, Vec::new())).unwrap().0;
        assert_eq!(shown, "\n  名字很长很长很长…\n> c\n  3/3");
        assert!(shown.lines().all(|row| columns(row) < PLAIN.columns), "{shown}");
    }

    #[test]
    fn what_all_begin_with_ends_at_a_whole_character() {
        assert_eq!(common(&offers(&["你好", "你们"])), "你");
        assert_eq!(common(&offers(&["ab", "a"])), "a");
    }
}
