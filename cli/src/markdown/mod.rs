//! Markdown shown while it is still being written: what is on the screen is never taken back.
//!
//! Text is read line by line; of a line, its beginning until it is clear what it is (`block.rs`), then its words as
//! soon as their style is clear (`inline.rs`), broken at the width of the terminal (`wrap.rs`). Code waits for whole
//! lines (`code.rs`), a table for its end (`table.rs`). Without colour the text keeps its marks.

mod block;
mod code;
mod inline;
mod style;
mod table;
mod wrap;

use self::{
    block::{Block, decide},
    code::Code,
    inline::Inline,
    style::Style,
    table::Table,
    wrap::Wrap,
};

/// Narrower terminals are treated as this wide.
const COLUMNS_MIN: usize = 20;

/// How it is shown.
pub struct Paper {
    /// Styles, and marks left out; otherwise the marks stay.
    pub color: bool,
    /// Columns of the terminal, now.
    pub width: Box<dyn Fn() -> usize + Send>,
}

/// A text that is shown as it comes.
pub struct Markdown {
    paper: Paper,
    /// What of the present line is not shown yet.
    line: String,
    state: State,
}

enum State {
    /// It is not clear yet what the present line is.
    Begins,
    /// A line of text.
    Text(Box<Flow>),
    /// Inside of a code block.
    Code(Box<Code>),
    /// Lines that may be a table.
    Table(Table),
}

/// A line of text on its way to the screen.
struct Flow {
    inline: Inline,
    wrap: Wrap,
}

impl Markdown {
    pub fn new(paper: Paper) -> Self {
        Self { paper, line: String::new(), state: State::Begins }
    }

    /// What more can be shown with this.
    pub fn push(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((line, more)) = rest.split_once('\n') {
            self.line.push_str(line);
            self.advance(true, &mut out);
            rest = more;
        }
        self.line.push_str(rest);
        self.advance(false, &mut out);
        out
    }

    /// The rest, when nothing more comes; ends with a line break if anything is on the last line.
    pub fn finish(&mut self) -> String {
        let mut out = String::new();
        let ends_open = match &self.state {
            State::Begins | State::Code(_) | State::Table(_) => !self.line.is_empty(),
            State::Text(_) => true,
        };
        if ends_open {
            self.advance(true, &mut out);
        }
        if let State::Table(table) = std::mem::replace(&mut self.state, State::Begins) {
            self.show_table(table, &mut out);
        }
        out
    }

    fn width(&self) -> usize {
        (self.paper.width)().max(COLUMNS_MIN)
    }

    /// Shows what is clear of the present line; all of it where `whole`.
    fn advance(&mut self, whole: bool, out: &mut String) {
        match std::mem::replace(&mut self.state, State::Begins) {
            State::Code(mut code) => {
                if !whole {
                    self.state = State::Code(code);
                    return;
                }
                let line = std::mem::take(&mut self.line);
                out.push_str(&code.line(&line, self.paper.color));
                if !code.ended() {
                    self.state = State::Code(code);
                }
            }
            State::Text(mut flow) => {
                let text = std::mem::take(&mut self.line);
                flow.show(&text, whole, out);
                if !whole {
                    self.state = State::Text(flow);
                }
            }
            State::Table(mut table) => {
                // One character says whether the line is still of the table.
                if !whole && !self.line.trim_start().is_empty() && !self.line.trim_start().starts_with('|') {
                    self.show_table(table, out);
                    return self.begin(whole, out);
                }
                if !whole {
                    self.state = State::Table(table);
                    return;
                }
                if self.line.trim_start().starts_with('|') {
                    table.line(&std::mem::take(&mut self.line));
                    self.state = State::Table(table);
                    return;
                }
                self.show_table(table, out);
                self.begin(whole, out);
            }
            State::Begins => self.begin(whole, out),
        }
    }

    /// Decides what the present line is.
    fn begin(&mut self, whole: bool, out: &mut String) {
        let Some(block) = decide(&self.line, whole) else { return };
        let (width, color) = (self.width(), self.paper.color);
        let line = std::mem::take(&mut self.line);
        match block {
            Block::Blank => {
                out.push('\n');
            }
            Block::Fence => {
                let code = Code::begin(&line);
                out.push_str(&Style::DIM.paint(&line, color));
                out.push('\n');
                self.state = State::Code(Box::new(code));
            }
            Block::Rule if color => {
                out.push_str(&Style::DIM.paint(&"─".repeat(width), color));
                out.push('\n');
            }
            Block::Table => {
                let mut table = Table::default();
                if whole {
                    table.line(&line);
                } else {
                    self.line = line;
                }
                self.state = State::Table(table);
            }
            Block::Text { head, style, rest } => {
                let head = if color { head } else { block::Head::as_written(&line, rest) };
                let mut flow = Box::new(Flow {
                    inline: Inline::new(if color { style } else { Style::default() }, color),
                    wrap: Wrap::new(width, color, head.first, head.next),
                });
                flow.show(&line[rest..], whole, out);
                if !whole {
                    self.state = State::Text(flow);
                }
            }
            Block::Rule => {
                out.push_str(&line);
                out.push('\n');
            }
        }
    }

    fn show_table(&self, table: Table, out: &mut String) {
        let (width, color) = (self.width(), self.paper.color);
        match table.render(width, color) {
            Ok(text) => out.push_str(&text),
            // It was none: lines that begin with a bar.
            Err(lines) => {
                for line in lines {
                    let mut flow = Flow {
                        inline: Inline::new(Style::default(), color),
                        wrap: Wrap::new(width, color, String::new(), String::new()),
                    };
                    flow.show(&line, true, out);
                }
            }
        }
    }
}

impl Flow {
    fn show(&mut self, text: &str, whole: bool, out: &mut String) {
        for (style, piece) in self.inline.push(text, whole) {
            self.wrap.put(style, &piece);
        }
        if whole {
            self.wrap.end();
        }
        out.push_str(&self.wrap.take());
    }
}

#[cfg(test)]
mod tests;
