//! A disk with no room: new work is refused before anything is done for it, what was said is kept, and all goes on
//! by itself once there is room again.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    check,
    home::{self, Home, Server},
    upstream::Upstream,
    wire::{Answer, Ask, counted, request},
};

/// More requests than fit into what is left.
const TRIES: u64 = 5_000;

fn scene(home: &Home) -> String {
    home.run("prices set m --input 1 --output 2");
    home.run("accounts create acme");
    home.run("topup acme 1000");
    home.run("keys create --account acme --budget-total 1000")
}

/// Lets a service run out of room with `fill`, and go on with `free`.
fn goes_on(
    home: &Home,
    upstream: &Upstream,
    server: Server,
    key: &str,
    fill: impl FnOnce(&Server),
    free: impl FnOnce(&Server),
) {
    let mut finished = Vec::new();
    let ask = |number: u64, stream: bool| {
        let ask = Ask { mark: (0, number), stream, max_tokens: Some(1), ..Ask::default() };
        Answer::begin(server.address(), key, &ask).expect("the service is there")
    };
    let first = ask(1, false);
    assert_eq!(first.status, 200);
    finished.push(first.request_id.clone());
    first.whole().unwrap();
    // One is being answered when it happens.
    upstream.hold_back(true);
    let mut open = ask(2, true);
    assert!(open.event().is_some());
    upstream.hold_back(false);
    fill(&server);
    let mut refused = None;
    for number in 3..TRIES {
        let answer = ask(number, false);
        let (status, id) = (answer.status, answer.request_id.clone());
        let body = answer.whole().unwrap();
        if status == 200 {
            finished.push(id);
            continue;
        }
        refused = Some((number, status, body));
        break;
    }
    let (number, status, body) = refused.expect("there is always room");
    let error: Value = serde_json::from_str(&body).unwrap();
    assert!(status >= 500 && error["error"]["message"].is_string(), "{status} {body}");
    // What cannot be held is not begun, and who looks on sees that it is alive.
    assert!(!upstream.sent().contains_key(&(0, number)), "work was done for what was refused");
    assert_eq!(request(server.address(), "GET", "/healthz", "", "").0, 200);
    let id = open.request_id.clone();
    let mut events = Vec::new();
    while let Some(event) = open.event() {
        events.push(event);
    }
    if events.last().is_some_and(|event| event == "[DONE]") {
        finished.push(id);
    } else {
        assert!(events.last().is_some_and(|event| event.contains("error")), "{events:?}");
    }
    free(&server);
    for number in [TRIES, TRIES + 1] {
        let mut answer = ask(number, true);
        let (status, id) = (answer.status, answer.request_id.clone());
        assert_eq!(status, 200, "it does not go on");
        finished.push(id);
        let events: Vec<String> = std::iter::from_fn(|| answer.event()).collect();
        assert!(
            events.iter().any(|event| counted(event).is_some()) && events.last().unwrap() == "[DONE]",
            "{events:?}"
        );
    }
    let log = server.stop();
    assert!(log.contains("ERROR"), "{log}");
    check::adds_up(home);
    let paid = check::requests(home);
    for id in finished {
        assert!(paid.get(&id).is_some_and(|paid| paid.charge.get() > 0), "{id} was answered and is not charged");
    }
    check::nothing_stays_held(home);
}

/// A file system of its own, gone with the test.
struct Mounted(PathBuf);

impl Mounted {
    fn new(folder: PathBuf) -> Option<Self> {
        fs::create_dir(&folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&folder).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Self(folder))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_service_on_a_full_disk_refuses_loses_nothing_and_goes_on() {
    let upstream = Upstream::start(home::seed());
    let home = Home::empty(&upstream, None);
    let Some(mounted) = Mounted::new(home.data()) else {
        eprintln!("nothing may be mounted here: THE TEST OF A FULL DISK IS SKIPPED");
        return;
    };
    let key = scene(&home);
    let filler = mounted.0.join("filler");
    let fill = |_: &Server| {
        let mut file = File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    };
    goes_on(&home, &upstream, home.serve(), &key, fill, |_| fs::remove_file(&filler).unwrap());
}

/// The same where nothing may be mounted: no file of the process may grow.
#[test]
fn a_service_whose_files_may_not_grow_refuses_loses_nothing_and_goes_on() {
    let upstream = Upstream::start(home::seed());
    let home = Home::empty(&upstream, None);
    let key = scene(&home);
    let limit = |server: &Server, bytes: &str| {
        let id = server.id().to_string();
        Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}:unlimited")]).status()
    };
    // Who is told of a limit by a signal ends; who ignores it is told by an error, as of a full disk.
    let mut serve = Command::new("/bin/sh");
    serve.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    let inner = home.command("serve --listen 127.0.0.1:0 --quiet");
    serve.arg(inner.get_program()).args(inner.get_args()).current_dir(home.path()).env_clear();
    serve.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Server::start(serve);
    if !limit(&server, "unlimited").is_ok_and(|status| status.success()) {
        eprintln!("there is no prlimit here: THE TEST OF FILES THAT MAY NOT GROW IS SKIPPED");
        return;
    }
    let fill = |server: &Server| {
        let wal = fs::metadata(home.data().join("qwenda.db-wal")).unwrap().len();
        assert!(limit(server, &(wal + 20_000).to_string()).unwrap().success());
    };
    let free = |server: &Server| assert!(limit(server, "unlimited").unwrap().success());
    goes_on(&home, &upstream, server, &key, fill, free);
}
