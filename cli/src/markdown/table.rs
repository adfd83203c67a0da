//! Tables: columns as wide as their cells, narrower where the terminal is, and every cell on as many rows as it needs.

use super::{
    inline,
    style::Style,
    wrap::{Wrap, columns},
};

/// No column is made narrower than this.
const COLUMN_MIN: usize = 4;
/// What stands between two columns.
const BETWEEN: &str = " │ ";

/// Lines that begin with a bar.
#[derive(Debug, Default)]
pub struct Table {
    lines: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
    Center,
}

impl Table {
    pub fn line(&mut self, line: &str) {
        self.lines.push(line.to_owned());
    }

    /// The table in a terminal so wide; its lines, if it is none.
    pub fn render(self, width: usize, color: bool) -> Result<String, Vec<String>> {
        let aligns = self.lines.get(1).and_then(|line| aligns(line));
        let Some(aligns) = aligns else { return Err(self.lines) };
        let mut rows: Vec<Vec<String>> = self.lines.iter().map(|line| cells(line)).collect();
        rows.remove(1);
        let count = aligns.len();
        rows.iter_mut().for_each(|row| row.resize(count, String::new()));
        let pieces = |text: &str, head: bool| {
            let style = if head { Style::BOLD } else { Style::PLAIN };
            if color { inline::whole(text, style) } else { vec![(Style::PLAIN, text.to_owned())] }
        };
        let rows: Vec<Vec<Vec<(Style, String)>>> =
            (0..).zip(&rows).map(|(n, row)| row.iter().map(|cell| pieces(cell, n == 0)).collect()).collect();
        let natural = |column: usize| {
            let width = |row: &Vec<Vec<(Style, String)>>| row[column].iter().map(|(_, text)| columns(text)).sum();
            rows.iter().map(width).max().unwrap_or(0).max(1)
        };
        let widths = fitted((0..count).map(natural).collect(), width);
        let mut out = String::new();
        for (n, row) in rows.iter().enumerate() {
            out.push_str(&written(row, &widths, &aligns, color));
            if n == 0 {
                let line: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
                out.push_str(&Style::DIM.paint(&line.join("─┼─"), color));
                out.push('\n');
            }
        }
        Ok(out)
    }
}

/// One row of the table, on as many rows of the terminal as its highest cell takes.
fn written(row: &[Vec<(Style, String)>], widths: &[usize], aligns: &[Align], color: bool) -> String {
    let cell = |(pieces, width): (&Vec<(Style, String)>, &usize)| {
        let mut wrap = Wrap::new(*width, color, String::new(), String::new());
        pieces.iter().for_each(|(style, text)| wrap.put(*style, text));
        wrap.end();
        let text = wrap.take();
        let rows: Vec<(String, usize)> = text.lines().map(str::to_owned).zip(wrap.rows().iter().copied()).collect();
        rows
    };
    let cells: Vec<Vec<(String, usize)>> = row.iter().zip(widths).map(cell).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(1);
    let mut out = String::new();
    for n in 0..height {
        let mut line = Vec::new();
        for ((cell, width), align) in cells.iter().zip(widths).zip(aligns) {
            let (text, taken) = cell.get(n).cloned().unwrap_or_default();
            let gap = width.saturating_sub(taken);
            let before = match align {
                Align::Left => 0,
                Align::Right => gap,
                Align::Center => gap / 2,
            };
            line.push(format!("{}{text}{}", " ".repeat(before), " ".repeat(gap - before)));
        }
        out.push_str(line.join(&Style::DIM.paint(BETWEEN, color)).trim_end());
        out.push('\n');
    }
    out
}

/// Widths that fit the terminal: the widest column gives first.
fn fitted(mut widths: Vec<usize>, width: usize) -> Vec<usize> {
    let between = columns(BETWEEN) * widths.len().saturating_sub(1);
    let room = width.saturating_sub(between);
    while widths.iter().sum::<usize>() > room {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > COLUMN_MIN) else { break };
        *widest -= 1;
    }
    widths
}

/// How the columns are aligned, if the line is the one that says so.
fn aligns(line: &str) -> Option<Vec<Align>> {
    let cells = cells(line);
    let align = |cell: &String| {
        let inner = cell.trim_matches(':');
        if inner.is_empty() || !inner.bytes().all(|byte| byte == b'-') {
            return None;
        }
        Some(match (cell.starts_with(':'), cell.ends_with(':')) {
            (true, true) => Align::Center,
            (false, true) => Align::Right,
            _ => Align::Left,
        })
    };
    if cells.is_empty() { None } else { cells.iter().map(align).collect() }
}

/// The cells of a line; `\|` and bars in code are text.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let (mut cells, mut cell, mut code) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'|') => cell.extend(chars.next()),
            '`' => {
                code = !code;
                cell.push(c);
            }
            '|' if !code => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            _ => cell.push(c),
        }
    }
    if !cell.trim().is_empty() {
        cells.push(cell.trim().to_owned());
    }
    cells
}
