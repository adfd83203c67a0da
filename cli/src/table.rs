//! Tables for people: columns under headings, numbers to the right.

/// Punctuation that begins no row, and such that ends none.
const NEVER_FIRST: &str = "，。、；：？！）】》」”’…,.;:?!)]}%";
const NEVER_LAST: &str = "（【《「“‘([{";

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

/// The text, cut so that it takes at most so many columns.
pub fn cut(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut cut = String::new();
    for c in text.chars() {
        if columns(&cut) + columns(c.encode_utf8(&mut [0; 4])) + 1 > most {
            break;
        }
        cut.push(c);
    }
    if most > 0 { cut + "…" } else { cut }
}

/// The text in rows of at most so many columns, broken between words; rows after the first of a line begin with
/// `hang` spaces.
pub fn fold(text: &str, width: usize, hang: usize) -> String {
    let hang = if hang + 20 > width { 0 } else { hang };
    let mut rows = Vec::new();
    for line in text.split('\n') {
        let mut row = String::new();
        for piece in pieces(line) {
            let hung = row.trim().is_empty();
            if !hung && columns(&row) + columns(piece.trim_end()) > width {
                rows.push(row.trim_end().to_owned());
                row = " ".repeat(hang);
            }
            row += piece;
        }
        rows.push(row.trim_end().to_owned());
    }
    rows.join("\n")
}

/// Words with the spaces behind them, and characters of Chinese with the punctuation behind them.
fn pieces(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let Some((next_at, next)) = chars.peek().copied() else { break };
        let wide = |c: char| columns(c.encode_utf8(&mut [0; 4])) == 2;
        let ends = c == ' ' && next != ' ';
        let between = (wide(c) || wide(next)) && next != ' ' && !NEVER_FIRST.contains(next) && !NEVER_LAST.contains(c);
        if ends && !line[..at].trim().is_empty() || between {
            pieces.push(&line[begin..next_at]);
            begin = next_at;
        }
    }
    pieces.push(&line[begin..]);
    pieces
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
    fn texts_are_cut_at_whole_characters() {
        for (text, most, want) in
            [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("你好吗", 4, "你…"), ("你", 1, "…"), ("x", 0, "")]
        {
            assert_eq!(cut(text, most), want, "{text} {most}");
        }
    }

    #[test]
    fn texts_are_folded_between_words_and_never_before_a_stop() {
        for (text, width, hang, want) in [
            ("one two three", 7, 0, "one two\nthree"),
            ("  two three", 6, 0, "  two\nthree"),
            ("/save FILE  keep it all, as Markdown", 30, 4, "/save FILE  keep it all, as\n    Markdown"),
            ("一二三，四五", 6, 0, "一二\n三，四\n五"),
            ("averylongword", 5, 0, "averylongword"),
            ("a\n\nb", 5, 0, "a\n\nb"),
        ] {
            assert_eq!(fold(text, width, hang), want, "{text}");
        }
    }

    #[test]
    fn columns_line_up_whatever_the_language() {
        let mut table = Table::new("名称  >余额  state");
        table.row(["acme".to_owned(), "10".to_owned(), "works".to_owned()]);
        table.row(["团队\x1b[2J".to_owned(), "0.5".to_owned(), String::new()]);
        assert_eq!(table.to_string(), "名称      余额  state\nacme        10  works\n团队\u{fffd}[2J   0.5");
    }
}
