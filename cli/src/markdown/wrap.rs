//! Words into rows of a terminal. A Chinese character is a word of its own, two columns wide, and takes the
//! punctuation behind it along.

use unicode_width::UnicodeWidthChar;

use super::style::{Brush, Style};

/// Punctuation that begins no row.
const NEVER_FIRST: &str = "，。、；：？！）】》」』〉〕”’…—％℃～·,.;:?!)]}%";
/// Punctuation that ends no row.
const NEVER_LAST: &str = "（【《「『〈〔“‘([{";

/// Rows of a terminal as they fill.
pub struct Wrap {
    width: usize,
    /// What stands before the first row, and before the others.
    first: Option<String>,
    next: String,
    brush: Brush,
    column: usize,
    /// Columns that the head of the present row takes.
    head: usize,
    spaces: usize,
    word: Vec<(Style, String)>,
    word_width: usize,
    last: Option<char>,
    /// Columns of the rows that are over.
    rows: Vec<usize>,
}

/// How many columns a text takes.
pub fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

fn wide(c: char) -> bool {
    c.width() == Some(2)
}

fn may_break(a: char, b: char) -> bool {
    (wide(a) || wide(b)) && !NEVER_LAST.contains(a) && !NEVER_FIRST.contains(b) && b.width() != Some(0)
}

impl Wrap {
    pub fn new(width: usize, color: bool, first: String, next: String) -> Self {
        // Where the head leaves no room for text, it goes.
        let (first, next) = if columns(&next) + 4 > width { (String::new(), String::new()) } else { (first, next) };
        Self {
            width,
            first: Some(first),
            next,
            brush: Brush::new(color),
            column: 0,
            head: 0,
            spaces: 0,
            word: Vec::new(),
            word_width: 0,
            last: None,
            rows: Vec::new(),
        }
    }

    /// Adds text in this style.
    pub fn put(&mut self, style: Style, text: &str) {
        for c in text.chars() {
            if c == ' ' || c == '\t' {
                self.flush();
                self.spaces += if c == '\t' { 4 } else { 1 };
                self.last = None;
                continue;
            }
            if self.last.is_some_and(|last| may_break(last, c)) {
                self.flush();
            }
            self.last = Some(c);
            match self.word.last_mut() {
                Some((same, word)) if *same == style => word.push(c),
                _ => self.word.push((style, c.to_string())),
            }
            self.word_width += c.width().unwrap_or(0);
        }
    }

    /// Ends the row.
    pub fn end(&mut self) {
        self.flush();
        self.begin_row();
        self.row_ends();
        self.spaces = 0;
    }

    /// What is to be shown since this was called last.
    pub fn take(&mut self) -> String {
        self.brush.take()
    }

    /// Columns of each row that is over.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    fn begin_row(&mut self) {
        let head = match self.first.take() {
            Some(first) => first,
            None if self.column == 0 && !self.rows.is_empty() => self.next.clone(),
            None => return,
        };
        self.head = columns(&head);
        self.column = self.head;
        // Bars and bullets are marks, not text.
        let style = if head.trim().is_empty() { Style::PLAIN } else { Style::DIM };
        self.brush.paint(style, &head);
    }

    fn row_ends(&mut self) {
        self.rows.push(self.column);
        self.brush.end_row();
        self.column = 0;
    }

    /// Puts the present word onto the row, or onto the next.
    fn flush(&mut self) {
        if self.word.is_empty() {
            return;
        }
        self.begin_row();
        if self.column > self.head && self.column + self.spaces + self.word_width > self.width {
            self.row_ends();
            self.begin_row();
            self.spaces = 0;
        }
        // Spaces that begin a line are its indentation, and were taken by its head.
        if self.column > self.head {
            self.brush.paint(Style::PLAIN, &" ".repeat(self.spaces));
            self.column += self.spaces;
        }
        self.spaces = 0;
        let fits = self.column + self.word_width <= self.width;
        for (style, text) in std::mem::take(&mut self.word) {
            if fits {
                self.brush.paint(style, &text);
                self.column += columns(&text);
            } else {
                self.cut(style, &text);
            }
        }
        self.word_width = 0;
    }

    /// A word wider than a row, such as an address: broken where the row ends.
    fn cut(&mut self, style: Style, text: &str) {
        let mut row = String::new();
        for c in text.chars() {
            let width = c.width().unwrap_or(0);
            if self.column + width > self.width && self.column > self.head {
                self.brush.paint(style, &std::mem::take(&mut row));
                self.row_ends();
                self.begin_row();
            }
            row.push(c);
            self.column += width;
        }
        self.brush.paint(style, &row);
    }
}
