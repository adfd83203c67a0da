//! Enriches the contacts of a CRM: a CSV goes in, the same CSV with more columns comes out, in the same order.
//!
//! It does not spend more than it may, and when it is stopped, by whatever, it goes on where it was: rows that are
//! in the output are not asked, and not paid for, again.
//!
//! `cargo run -p qwenda-examples --bin crm contacts.csv enriched.csv "5 CNY"`
#![expect(clippy::print_stderr, reason = "it tells how far it is")]

use std::{
    env,
    fs::File,
    io::{self, Write},
    process::ExitCode,
};

use csv::StringRecord;
use futures_util::{StreamExt, stream};
use qwenda::{Budget, Builder, Client, Kind};
use qwenda_examples::{Result, friendly, lang, model, say};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is added to a row. The comments tell the model what is wanted.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Enriched {
    /// The industry of the company, in one or two words.
    industry: String,
    /// How large the company is.
    size: Size,
    /// How likely they are to buy, from 1 (unlikely) to 5 (about to).
    interest: u8,
    /// What to do next, in one sentence.
    next_step: String,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Size {
    Small,
    Medium,
    Large,
    Unknown,
}

/// The new columns. The last one is written last: a row that has it is whole.
const COLUMNS: [&str; 6] = ["industry", "size", "interest", "next_step", "problem", "done"];
const DONE: [&str; 2] = ["no", "yes"];

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", friendly(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let (input, output, budget, at_once) = match args.as_slice() {
        [input, output] => (input, output, "5 CNY", 4),
        [input, output, budget] => (input, output, budget.as_str(), 4),
        [input, output, budget, at_once] => (input, output, budget.as_str(), at_once.parse()?),
        _ => {
            return Err(say(
                "usage: crm IN.csv OUT.csv [BUDGET] [AT_ONCE]",
                "用法：crm 输入.csv 输出.csv [预算] [并发数]",
            )
            .into());
        }
    };
    let client = Builder::from_env()?.budget(Budget::total(budget)?).build()?;
    let mut rows = csv::Reader::from_path(input).map_err(|error| format!("{input}: {error}"))?;
    let header = rows.headers()?.clone();
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(output)?;
    let mut rows = rows.into_records();
    let there = resume(&mut file, &header, &mut rows).map_err(|error| format!("{output}: {error}"))?;
    eprintln!("{there} {}", say("rows are there already", "行已经完成"));

    // So many rows are asked at once, and come out in the order in which they went in.
    let asked = rows.map(|row| {
        let (client, header) = (&client, &header);
        async move {
            let row = row?;
            let enriched = enrich(client, header, &row).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((row, enriched))
        }
    });
    let mut answers = stream::iter(asked).buffered(at_once.max(1));
    let mut number = there;
    while let Some(answer) = answers.next().await {
        let (row, enriched) = answer?;
        number += 1;
        if let Err(problem) = &enriched {
            eprintln!("{number}: {problem}");
        }
        file.write_all(&written(&row, enriched)?)?;
    }
    drop(answers);
    eprintln!("{number} {}; {}", say("rows", "行"), client.spent());
    Ok(())
}

/// Asks about one row. What is wrong with the row is told in its columns; an error ends the job, because it would
/// be that of all rows after it: no network, no money, a wrong key.
async fn enrich(
    client: &Client,
    header: &StringRecord,
    row: &StringRecord,
) -> qwenda::Result<Result<Enriched, String>> {
    let contact: String = header.iter().zip(row).map(|(name, value)| format!("{name}: {value}\n")).collect();
    let asked = client
        .chat(model())
        .system("You enrich the contacts of a CRM. Say only what the contact's data shows.")
        .user(contact)
        .temperature(0.0)
        .max_tokens(300)
        .extract::<Enriched>()
        .repairs(1);
    match asked.await {
        Ok(enriched) => Ok(Ok(enriched.into_inner())),
        Err(error) => match error.kind() {
            Kind::Malformed | Kind::Moderation | Kind::ContextOverflow | Kind::Refused | Kind::Invalid => {
                Ok(Err(error.friendly(lang()).replace('\n', " ")))
            }
            _ => Err(error),
        },
    }
}

/// A line of the output, as one piece, so that a kill leaves it there or not.
fn written(row: &StringRecord, enriched: Result<Enriched, String>) -> Result<Vec<u8>> {
    let mut line = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    row.iter().try_for_each(|value| line.write_field(value))?;
    match enriched {
        Ok(enriched) => line.serialize((enriched, "", DONE[1]))?,
        Err(problem) => line.write_record(["", "", "", "", &problem, DONE[0]])?,
    }
    Ok(line.into_inner().map_err(|error| error.to_string())?)
}

/// Reads what an earlier run has written, passes over those rows of the input, and puts the file's end behind the
/// last whole row. An empty file gets its header.
fn resume(
    file: &mut File,
    header: &StringRecord,
    input: &mut impl Iterator<Item = csv::Result<StringRecord>>,
) -> Result<u64> {
    let text = io::read_to_string(&*file)?;
    let whole: Vec<&str> = header.iter().chain(COLUMNS).collect();
    let mut known = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let (mut record, mut end, mut rows) = (StringRecord::new(), 0, 0_u64);
    while known.read_record(&mut record)? {
        let after = known.position().byte() as usize;
        let is_header = end == 0;
        let is_done = record.len() == whole.len() && record.iter().next_back().is_some_and(|last| DONE.contains(&last));
        if !text[..after].ends_with('\n') || !(is_header || is_done) {
            break;
        }
        if is_header {
            if record != whole {
                return Err("its columns are not those of the input".into());
            }
        } else {
            let row = input.next().ok_or("it has more rows than the input")??;
            if !record.iter().take(header.len()).eq(&row) {
                return Err(format!("row {} is not that of the input", rows + 1).into());
            }
            rows += 1;
        }
        end = after;
    }
    file.set_len(end as u64)?;
    io::Seek::seek(file, io::SeekFrom::Start(end as u64))?;
    if end == 0 {
        let mut line = csv::Writer::from_writer(Vec::new());
        line.write_record(&whole)?;
        file.write_all(&line.into_inner().map_err(|error| error.to_string())?)?;
    }
    Ok(rows)
}
