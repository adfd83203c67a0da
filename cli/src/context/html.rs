//! The text of a page, without its marks. Good enough for a model to read; nobody is shown it.

/// Elements whose content is no text.
const SILENT: [&str; 6] = ["script", "style", "noscript", "template", "svg", "head"];
/// Elements that stand on lines of their own.
const BLOCKS: [&str; 26] = [
    "p",
    "div",
    "br",
    "li",
    "ul",
    "ol",
    "tr",
    "table",
    "section",
    "article",
    "header",
    "footer",
    "main",
    "nav",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "pre",
    "blockquote",
    "dt",
    "dd",
    "hr",
    "form",
];

/// The text of a page, with its title first.
pub(super) fn text(page: &str) -> String {
    let mut out = String::new();
    if let Some(title) = title(page) {
        out += &format!("# {title}\n\n");
    }
    let mut rest = page;
    let mut words = String::new();
    while let Some(at) = rest.find('<') {
        words += &rest[..at];
        let tag = &rest[at..];
        if let Some(comment) = tag.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let Some(end) = tag.find('>') else {
            rest = "";
            break;
        };
        let name = name(&tag[1..end]);
        rest = &tag[end + 1..];
        if !tag.starts_with("</") && SILENT.contains(&name.as_str()) {
            rest = behind(rest, &name);
        } else if BLOCKS.contains(&name.as_str()) {
            line(&mut out, &words);
            words.clear();
            if name == "li" && !tag.starts_with("</") {
                words.push_str("- ");
            }
        } else if name == "td" || name == "th" {
            words.push(' ');
        }
    }
    words += rest;
    line(&mut out, &words);
    out
}

fn name(tag: &str) -> String {
    tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// What follows the end of the element.
fn behind<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        let tag = &rest[at + 2..];
        rest = tag;
        if tag.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return tag.find('>').map_or("", |end| &tag[end + 1..]);
        }
    }
    ""
}

fn title(page: &str) -> Option<String> {
    let lower = page.get(..page.floor_char_boundary(4096)).unwrap_or(page).to_ascii_lowercase();
    let start = lower.find("<title")?;
    let open = start + lower[start..].find('>')? + 1;
    let end = open + lower[open..].find("</title")?;
    let title = words_of(page.get(open..end)?);
    (!title.is_empty()).then_some(title)
}

fn words_of(text: &str) -> String {
    decoded(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn line(out: &mut String, text: &str) {
    let words = words_of(text);
    if !words.is_empty() && words != "-" {
        out.push_str(&words);
        out.push('\n');
    }
}

/// The text with its character references resolved.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out += &rest[..at];
        rest = &rest[at..];
        let end = rest.find(';').filter(|end| *end <= 10);
        let Some((end, c)) = end.and_then(|end| Some((end, character(&rest[1..end])?))) else {
            out.push('&');
            rest = &rest[1..];
            continue;
        };
        out.push(c);
        rest = &rest[end + 1..];
    }
    out + rest
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "mdash" => '—',
        "ndash" => '–',
        "hellip" => '…',
        "middot" => '·',
        "copy" => '©',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_its_words() {
        let page = "<!doctype html><head><title>A &amp; B</title><style>p{}</style></head><body>\
            <!-- no --><h1>Head</h1><p>One <b>two</b>&nbsp;&lt;3&#x4f60;&#22909;</p><SCRIPT>if (a<b) {}</SCRIPT>\
            <ul><li>x<li>y</ul><table><tr><td>1</td><td>2</td></tr></table>a &unknown; b < c";
        assert_eq!(text(page), "# A & B\n\nHead\nOne two <3你好\n- x\n- y\n1 2\na &unknown; b\n");
    }

    #[test]
    fn no_page_is_too_broken() {
        for page in ["", "<", "<script>", "<!--", "<a", "&", "&#xffffffff;", "</", "<title>x", "<p", "<title>é</title"]
        {
            text(page);
        }
        let page = "<div>é</div>".repeat(2000);
        for end in (0..page.len()).filter(|end| page.is_char_boundary(*end)).step_by(7) {
            text(&page[..end]);
        }
    }
}
