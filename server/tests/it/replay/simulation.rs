//! Callers with bad connections, from a printed seed: whatever is dropped and whenever, everyone gets
//! the whole answer once, and it is made and counted once.

use futures_util::future::join_all;
use qwenda_testkit::{Script, rng::Rng};

use super::{Ask, Reading};
use crate::service::Service;

const CALLERS: u64 = 40;
const ROUNDS: u64 = 4;

#[tokio::test]
async fn whatever_is_dropped_nothing_is_lost_repeated_or_counted_twice() {
    let seed = std::env::var("QWENDA_SIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_125);
    println!("seed {seed}; QWENDA_SIM_SEED sets another");
    let service = Service::start().await;
    let mut tokens = 0;
    for round in 0..ROUNDS {
        // One after another, so that each caller's script is its own; then all at once.
        let mut callers = Vec::new();
        for caller in 0..CALLERS {
            let mut rng = Rng::round(seed, round * CALLERS + caller);
            let name = format!("{round}-{caller}");
            let pieces: Vec<String> = (0..1 + rng.below(30)).map(|i| format!("[{name}:{i}]")).collect();
            tokens += pieces.len() as u64;
            service.backend.answer(Script::text(1, &pieces.iter().map(String::as_str).collect::<Vec<_>>()));
            let ask = if rng.below(2) == 0 { Ask::compat() } else { Ask::native() };
            let connection = ask.send(&service, &name, None).await;
            let first = Reading::of(connection).await;
            callers.push((ask, name, pieces.concat(), rng, first));
        }
        let reads = callers.into_iter().map(|(ask, name, wanted, rng, first)| {
            let service = &service;
            async move {
                let text = stubborn(service, &ask, &name, rng, first).await;
                assert_eq!(text, wanted, "seed {seed}, caller {name}");
            }
        });
        join_all(reads).await;
    }
    assert_eq!(service.totals.requests(), ROUNDS * CALLERS, "seed {seed}");
    assert_eq!(service.totals.completion_tokens(), tokens, "seed {seed}");
    assert_eq!(service.backend.calls().len() as u64, ROUNDS * CALLERS, "seed {seed}");
}

/// Reads an answer over connections that break, and returns its text.
async fn stubborn(service: &Service, ask: &Ask, key: &str, mut rng: Rng, mut reading: Reading) -> String {
    let mut text = String::new();
    let mut had = 0;
    loop {
        let patience = rng.below(8);
        for _ in 0..patience {
            let Some(event) = reading.event().await else { return text };
            had += 1;
            assert!(event.starts_with(&format!("id: {had}\n")) || event.starts_with(&format!("id:{had}\n")), "{event}");
            text += &text_of(&event);
        }
        drop(reading);
        if rng.below(10) == 0 {
            // Begins anew, as a caller who has lost everything.
            (text, had) = (String::new(), 0);
        }
        let after = (had > 0 || rng.below(2) == 0).then_some(had);
        reading = Reading::of(ask.send(service, key, after).await).await;
    }
}

fn text_of(event: &str) -> String {
    let data = event.lines().find_map(|line| line.strip_prefix("data:")).unwrap();
    let Ok(data) = serde_json::from_str::<serde_json::Value>(data) else { return String::new() };
    let choice = data.get("output").unwrap_or(&data)["choices"].get(0).cloned().unwrap_or_default();
    let message = choice.get("delta").or_else(|| choice.get("message"));
    message.and_then(|message| message["content"].as_str()).unwrap_or_default().to_owned()
}
