//! `crm`.

use qwenda_testkit::{Gate, Script};

use crate::service::Service;

const CRM: &str = env!("CARGO_BIN_EXE_crm");
const GOOD: &str = r#"{"industry": "shipping", "size": "large", "interest": 4, "next_step": "Call, now."}"#;
const CONTACTS: &str = "name,company\nAda,\"Analytical, Ltd\"\nBob,Boats\nCyd,\nDan,Docks\n";
const HEADER: &str = "name,company,industry,size,interest,next_step,problem,done\n";
const ADA: &str = "Ada,\"Analytical, Ltd\",shipping,large,4,\"Call, now.\",,yes\n";
const BOB: &str = "Bob,Boats,shipping,large,4,\"Call, now.\",,yes\n";

#[tokio::test]
async fn a_job_that_was_killed_goes_on_where_it_was_and_asks_nothing_twice() {
    let service = Service::start().await;
    service.write("in.csv", CONTACTS);
    let gate = Gate::new();
    service.backend.answer(Script::text(9, &[GOOD]));
    service.backend.answer(Script::text(9, &[GOOD]));
    service.backend.answer(Script::text(9, &[GOOD]).wait_before(1, &gate));
    let args = ["in.csv", "out.csv", "1 CNY", "1"];
    let mut child = service.command(CRM, &args).spawn().unwrap();
    gate.reached().await;
    child.kill().await.unwrap();
    assert_eq!(service.read("out.csv"), format!("{HEADER}{ADA}{BOB}"));

    // What a power cut leaves: half a row.
    service.write("out.csv", &format!("{HEADER}{ADA}{BOB}Cyd,,\"shipping\nand"));
    service.backend.answer(Script::text(9, &[GOOD]));
    // An answer that does not fit is asked for again, once.
    service.backend.answer(Script::text(9, &["I cannot say."]));
    service.backend.answer(Script::text(9, &["Sorry."]));
    let ran = service.run(CRM, &args, "").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let out = service.read("out.csv");
    let rest = out.strip_prefix(&format!("{HEADER}{ADA}{BOB}")).unwrap();
    let (cyd, dan) = rest.split_once('\n').unwrap();
    assert_eq!(cyd, "Cyd,,shipping,large,4,\"Call, now.\",,yes");
    assert!(dan.starts_with("Dan,Docks,,,,,") && dan.ends_with(",no\n") && dan.contains("no JSON"), "{dan}");
    for (contact, times) in [("name: Ada", 1), ("name: Bob", 1), ("name: Cyd", 2), ("name: Dan", 1)] {
        assert_eq!(service.asked(contact), times, "{contact}");
    }

    // All is done: nobody is asked, and nothing changes.
    let asked = service.backend.calls().len();
    assert_eq!(service.run(CRM, &args, "").await.code, Some(0));
    assert_eq!((service.read("out.csv"), service.backend.calls().len()), (out, asked));
}

#[tokio::test]
async fn rows_come_out_in_the_order_in_which_they_went_in() {
    let service = Service::start().await;
    service.write("in.csv", CONTACTS);
    let gate = Gate::new();
    let first = service.backend.answer(Script::text(9, &[GOOD]).wait_before(1, &gate));
    let others: Vec<_> = (0..3).map(|_| service.backend.answer(Script::text(9, &[GOOD]))).collect();
    let child = service.command(CRM, &["in.csv", "out.csv", "1 CNY", "4"]).spawn().unwrap();
    // The four are asked at once; one waits until all others are through.
    first.begun().await;
    for other in others {
        other.over().await;
    }
    gate.open();
    assert_eq!(crate::service::finish(child, "").await.code, Some(0));
    let out = service.read("out.csv");
    let names: Vec<&str> = out.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(names, ["Ada", "Bob", "Cyd", "Dan"]);
}

#[tokio::test]
async fn a_job_stops_before_it_spends_more_than_it_may() {
    let service = Service::start().await;
    service.write("in.csv", CONTACTS);
    let ran = service.run(CRM, &["in.csv", "out.csv", "0.0000001 CNY"], "").await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("budget"), "{}", ran.stderr);
    assert_eq!((service.read("out.csv").as_str(), service.backend.calls().len()), (HEADER, 0));
}

#[tokio::test]
async fn the_output_of_another_input_is_not_touched() {
    let service = Service::start().await;
    service.write("in.csv", CONTACTS);
    for there in [format!("{HEADER}{BOB}"), "name,mail\nAda,a@b\n".to_owned(), format!("{HEADER}{ADA}{ADA}")] {
        service.write("out.csv", &there);
        let ran = service.run(CRM, &["in.csv", "out.csv"], "").await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert_eq!(service.read("out.csv"), there);
    }
    assert!(service.backend.calls().is_empty());
}
