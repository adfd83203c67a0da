//! Tables for people: columns under headings, numbers to the right.

/// Rows of cells under headings. A heading that begins with `>` has its column to the right.
#[derive(Debug)]
pub struct Table {
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Headings with two or more spaces between them.
    pub fn new(headings: &str) -> Self {
        let headings: Vec<&str> = headings.split("  ").map(str::trim).filter(|text| !text.is_empty()).collect();
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let first = headings.iter().map(|heading| heading.trim_start_matches('>').to_owned()).collect();
        Self { right, rows: vec![first] }
    }

    /// Adds a row with one cell for each heading.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(N, self.right.len(), "a cell for each heading");
        self.rows.push(cells.iter().map(|cell| plain(cell)).collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize| self.rows.iter().map(|row| columns(&row[column])).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        for (i, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let gap = " ".repeat(widths[column] - columns(cell));
                let cell = if self.right[column] { gap + cell } else { cell.clone() + &gap };
                line += if column > 0 { "  " } else { "" };
                line += &cell;
            }
            write!(f, "{}{}", if i > 0 { "\n" } else { "" }, line.trim_end())?;
        }
        Ok(())
    }
}

/// Lines of a name and a value; the names with two spaces between them.
pub fn facts(names: &str, values: &[String]) -> String {
    let names: Vec<&str> = names.split("  ").collect();
    assert_eq!(names.len(), values.len(), "a name for each value");
    let width = names.iter().map(|name| columns(name)).max().unwrap_or(0);
    let line =
        |(name, value): (&&str, &String)| format!("{name}{}  {}", " ".repeat(width - columns(name)), plain(value));
    names.iter().zip(values).map(line).collect::<Vec<_>>().join("\n")
}

/// The text with nothing in it that would move a cursor or break a row: callers choose some of it.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The text with spaces behind it until it takes so many columns; longer ones stay as they are.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// How many columns of a terminal a text takes: those of Chinese take two.
pub fn columns(text: &str) -> usize {
    let wide = |c: char| {
        matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
    };
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_language() {
        let mut table = Table::new("名称  >余额  state");
        table.row(["acme".to_owned(), "10".to_owned(), "works".to_owned()]);
        table.row(["团队\x1b[2J".to_owned(), "0.5".to_owned(), String::new()]);
        assert_eq!(table.to_string(), "名称      余额  state\nacme        10  works\n团队\u{fffd}[2J   0.5");
    }
}
