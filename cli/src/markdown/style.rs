//! How a piece of text looks.

/// A set of looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    pub bold: bool,
    pub dim: bool,
    pub italic: bool,
    pub underline: bool,
    pub strike: bool,
    /// One of the terminal's own colours, so that it can be read on any background.
    pub color: Option<u8>,
}

pub const RED: u8 = 31;
pub const GREEN: u8 = 32;
pub const YELLOW: u8 = 33;
pub const BLUE: u8 = 34;
pub const MAGENTA: u8 = 35;
pub const CYAN: u8 = 36;

impl Style {
    pub const PLAIN: Self =
        Self { bold: false, dim: false, italic: false, underline: false, strike: false, color: None };
    pub const DIM: Self = Self { dim: true, ..Self::PLAIN };
    pub const BOLD: Self = Self { bold: true, ..Self::PLAIN };

    pub const fn color(color: u8) -> Self {
        Self { color: Some(color), ..Self::PLAIN }
    }

    /// Both looks; the other's colour where it has one.
    pub fn and(self, other: Self) -> Self {
        Self {
            bold: self.bold || other.bold,
            dim: self.dim || other.dim,
            italic: self.italic || other.italic,
            underline: self.underline || other.underline,
            strike: self.strike || other.strike,
            color: other.color.or(self.color),
        }
    }

    /// The text in this style, and the terminal as it was behind it.
    pub fn paint(self, text: &str, color: bool) -> String {
        if !color || self == Self::PLAIN || text.is_empty() {
            return text.to_owned();
        }
        format!("{}{text}{RESET}", self.sequence())
    }

    fn sequence(self) -> String {
        let looks = [(self.bold, 1), (self.dim, 2), (self.italic, 3), (self.underline, 4), (self.strike, 9)];
        let looks = looks.into_iter().filter(|(on, _)| *on).map(|(_, code)| code);
        let codes: Vec<String> = looks.chain(self.color).map(|code: u8| code.to_string()).collect();
        format!("\x1b[{}m", codes.join(";"))
    }
}

const RESET: &str = "\x1b[0m";

/// Paints one piece after another, and changes colours only where the style does.
pub struct Brush {
    color: bool,
    style: Style,
    out: String,
}

impl Brush {
    pub fn new(color: bool) -> Self {
        Self { color, style: Style::PLAIN, out: String::new() }
    }

    pub fn paint(&mut self, style: Style, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.color && style != self.style {
            if self.style != Style::PLAIN {
                self.out.push_str(RESET);
            }
            if style != Style::PLAIN {
                self.out.push_str(&style.sequence());
            }
            self.style = style;
        }
        self.out.push_str(text);
    }

    /// Ends the row; no style goes beyond it.
    pub fn end_row(&mut self) {
        self.paint(Style::PLAIN, "\n");
    }

    /// What was painted since this was called last. The terminal is as it was before.
    pub fn take(&mut self) -> String {
        if self.color && self.style != Style::PLAIN {
            self.out.push_str(RESET);
            self.style = Style::PLAIN;
        }
        std::mem::take(&mut self.out)
    }
}
