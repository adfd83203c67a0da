//! Tables in Markdown and a plot in SVG.

use std::fmt::Write as _;

use super::{
    generate::{KINDS, LANGUAGES},
    play::SUBJECTS,
    score::{Score, percent},
};

pub(crate) const BUDGETS: [u64; 4] = [1_000, 2_000, 4_000, 8_000];
/// The budget of the second table, by its place.
const SHOWN: usize = 1;
/// What a million tokens of input cost, in CNY, by the list price of qwen-plus.
const CNY_PER_MTOK: f64 = 0.8;
const COLOURS: [&str; 10] =
    ["#999999", "#c49c94", "#e377c2", "#ff7f0e", "#bcbd22", "#17becf", "#1f77b4", "#9467bd", "#2ca02c", "#d62728"];

/// By language, subject and budget.
pub(crate) type Scores = Vec<Vec<Vec<Score>>>;

/// The head of what a real model made of it.
pub(crate) const ASKED_HEAD: &str = "| | | questions | answerable | answered | beginning kept | tokens found computed |\n\
    | --- | --- | ---: | ---: | ---: | ---: | ---: |";

/// What a real model made of the requests of one subject.
pub(crate) fn asked(language: &str, subject: &str, score: &Score) -> String {
    let asked = &score.asked_of_model;
    let cached = 100.0 * asked.cached_tokens as f64 / asked.input_tokens.max(1) as f64;
    let (questions, answerable, right) = (asked.questions, asked.answerable, asked.right);
    let kept = score.stability();
    format!("| {language} | {subject} | {questions} | {answerable} | {right} | {kept:.0} % | {cached:.0} % |")
}

pub(crate) fn tables(scores: &Scores) -> String {
    let mut text = String::from("Answerable of 100 questions, by budget in tokens:\n\n| |");
    for (_, language) in LANGUAGES {
        for budget in BUDGETS {
            let _ = write!(text, " {language} {}k |", budget / 1_000);
        }
    }
    let _ = write!(text, "\n| --- |{}\n", " ---: |".repeat(LANGUAGES.len() * BUDGETS.len()));
    for (subject, (name, _)) in SUBJECTS.iter().enumerate() {
        let _ = write!(text, "| {name} |");
        for scores in scores {
            for score in &scores[subject] {
                let _ = write!(text, " {:.0} |", score.recall());
            }
        }
        text.push('\n');
    }
    let _ = write!(
        text,
        "\nAt {} tokens, all languages:\n\n| | newest third | middle | oldest | newest value last | tokens a request | \
         beginning kept | summaries per 100 turns | CNY per 100 turns | broken | instructions lost |\n| --- |{}\n",
        BUDGETS[SHOWN],
        " ---: |".repeat(10)
    );
    for (subject, (name, _)) in SUBJECTS.iter().enumerate() {
        let all = sum(scores, subject, SHOWN);
        let turns = (all.stable.1 + 1) as f64;
        let money = CNY_PER_MTOK / 1e6 * (all.mean_tokens() as f64 * 100.0 + all.summary_tokens as f64 * 100.0 / turns);
        let [new, middle, old] = all.by_age.map(percent);
        let _ = writeln!(
            text,
            "| {name} | {new:.0} | {middle:.0} | {old:.0} | {:.0} | {} | {:.0} % | {:.1} | {money:.2} | {} | {} |",
            percent(all.corrected),
            all.mean_tokens(),
            all.stability(),
            all.summaries as f64 * 100.0 / turns,
            all.broken,
            all.without_canary,
        );
    }
    let _ = write!(text, "\nAt {} tokens, by what was planted:\n\n| |", BUDGETS[SHOWN]);
    for (_, kind) in KINDS {
        let _ = write!(text, " {kind} |");
    }
    let _ = write!(text, "\n| --- |{}\n", " ---: |".repeat(KINDS.len()));
    for (subject, (name, _)) in SUBJECTS.iter().enumerate() {
        let all = sum(scores, subject, SHOWN);
        let _ = write!(text, "| {name} |");
        for (kind, _) in KINDS {
            let _ = write!(text, " {:.0} |", percent(all.by_kind.get(&kind).copied().unwrap_or_default()));
        }
        text.push('\n');
    }
    text
}

fn sum(scores: &Scores, subject: usize, budget: usize) -> Score {
    let mut all = Score::default();
    scores.iter().for_each(|scores| all.add(&scores[subject][budget]));
    all
}

/// Recall against budget, a panel for each language.
pub(crate) fn plot(scores: &Scores) -> String {
    let (width, height, left, top) = (240.0, 220.0, 46.0, 34.0);
    let panel = |language: usize| left + language as f64 * (width + 30.0);
    let x = |language: usize, budget: usize| panel(language) + 10.0 + budget as f64 * (width - 20.0) / 3.0;
    let y = |recall: f64| top + height * (1.0 - recall / 100.0);
    let legend = panel(LANGUAGES.len());
    let (all_width, all_height) = (legend + 190.0, top + height + 46.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {all_width} {all_height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (language, (_, name)) in LANGUAGES.iter().enumerate() {
        let begin = panel(language);
        let _ = writeln!(
            svg,
            "<rect x=\"{begin}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"#bbb\"/>\n\
             <text x=\"{}\" y=\"22\" text-anchor=\"middle\" font-size=\"13\">{name}</text>",
            begin + width / 2.0
        );
        for percent in [0, 25, 50, 75, 100] {
            let line = y(f64::from(percent));
            let _ = writeln!(
                svg,
                "<path d=\"M{begin} {line}h{width}\" stroke=\"#eee\"/>\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{percent}</text>",
                begin - 4.0,
                line + 4.0
            );
        }
        for (budget, tokens) in BUDGETS.iter().enumerate() {
            let (x, y) = (x(language, budget), top + height + 16.0);
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{}k</text>", tokens / 1_000);
        }
        for (subject, colour) in COLOURS.iter().enumerate() {
            let points: Vec<String> = scores[language][subject]
                .iter()
                .enumerate()
                .map(|(budget, score)| format!("{:.1},{:.1}", x(language, budget), y(score.recall())))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                points.join(" ")
            );
        }
    }
    for (place, ((name, _), colour)) in SUBJECTS.iter().zip(COLOURS).enumerate() {
        let y = top + 10.0 + place as f64 * 18.0;
        let _ = writeln!(
            svg,
            "<path d=\"M{legend} {y}h18\" stroke=\"{colour}\" stroke-width=\"3\"/><text x=\"{}\" y=\"{}\">{}</text>",
            legend + 24.0,
            y + 4.0,
            name.replace('`', "")
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">answerable of 100 questions, by tokens of a request</text>\n</svg>",
        left + 1.5 * width + 30.0,
        all_height - 8.0
    );
    svg
}
