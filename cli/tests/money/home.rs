//! A folder with settings, an account and keys, and the processes that serve from it.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

use qwenda_server::{Place, accounts::Accounts};
use qwenda_store::Store;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    postgres,
    upstream::{self, Upstream},
};

/// What a token costs, in nanos.
pub const INPUT_NANOS: i64 = 1_000;
pub const OUTPUT_NANOS: i64 = 2_000;

/// A number from the environment.
pub fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

/// The seed of this run, which is said.
pub fn seed() -> u64 {
    let seed = number("QWENDA_SIM_SEED").unwrap_or_else(|| u64::from(std::process::id()) << 20);
    eprintln!("QWENDA_SIM_SEED={seed}");
    seed
}

/// A PostgreSQL server of one test, or `None` where there is none, which is said.
pub fn postgres() -> Option<postgres::Server> {
    let server = postgres::Server::start();
    if server.is_none() {
        let required = env::var_os("QWENDA_TEST_POSTGRES").is_some_and(|value| value == "required");
        assert!(!required, "PostgreSQL is not on this machine, and QWENDA_TEST_POSTGRES requires it");
        eprintln!("PostgreSQL is not on this machine: ITS TESTS ARE SKIPPED");
    }
    server
}

pub struct Home {
    dir: TempDir,
    database_url: Option<String>,
}

impl Home {
    /// One whose model `m` is the upstream's.
    pub fn new(upstream: &Upstream, database_url: Option<String>) -> Self {
        Self::priced(upstream, database_url, "--input 1 --output 2")
    }

    /// One whose model `m` is the upstream's, at a price.
    pub fn priced(upstream: &Upstream, database_url: Option<String>, price: &str) -> Self {
        let home = Self::empty(upstream, database_url);
        home.run(&format!("prices set m {price}"));
        home
    }

    /// One that nothing was written to but settings.
    pub fn empty(upstream: &Upstream, database_url: Option<String>) -> Self {
        let home = Self { dir: TempDir::new().unwrap(), database_url };
        let settings = format!(
            "[[upstream]]\nname = \"behind\"\nbase_url = \"http://{}/v1\"\napi_key = \"{}\"\nmodels = [\"m\"]\nretries = 0\n",
            upstream.address(),
            upstream::KEY
        );
        std::fs::write(home.path().join("qwenda.toml"), settings).unwrap();
        home
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The binary with this home and no other setting.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qwenda"));
        command.args(line.split(' ')).args(["--data-dir", "data"]);
        command.env_clear().env("QWENDA_HOME", self.path()).current_dir(self.path());
        if let Some(url) = &self.database_url {
            command.env("QWENDA_DATABASE_URL", url);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What a command prints that must go well.
    #[track_caller]
    pub fn run(&self, line: &str) -> String {
        let output = self.command(line).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{line} --json"))).unwrap()
    }

    /// Where the library finds the same books.
    pub fn place(&self) -> Place {
        let mut place = Place::from(&self.data());
        place.database_url = self.database_url.as_ref().map(|url| url.parse().unwrap());
        place
    }

    /// Reads the books.
    pub fn books<T>(&self, read: impl AsyncFnOnce(&Accounts) -> T) -> T {
        Runtime::new().unwrap().block_on(async {
            let accounts = Accounts::open(self.place()).await.unwrap();
            let read = read(&accounts).await;
            accounts.close().await;
            read
        })
    }

    /// The same a floor below, where holds are.
    pub fn store<T>(&self, work: impl AsyncFnOnce(&Store) -> T) -> T {
        Runtime::new().unwrap().block_on(async {
            let store = match &self.database_url {
                Some(url) => Store::open_url(url).await,
                None => Store::open(&self.data()).await,
            };
            let store = store.unwrap();
            let done = work(&store).await;
            store.close().await;
            done
        })
    }

    pub fn serve(&self) -> Server {
        Server::start(self.command("serve --listen 127.0.0.1:0 --quiet"))
    }
}

/// A serving process, ended with the test.
pub struct Server {
    child: Child,
    address: String,
    /// Reads what it says until it ends.
    log: Option<JoinHandle<String>>,
}

impl Server {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (mut before, mut line) = (String::new(), String::new());
        let address = loop {
            line.clear();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended before it was ready: {before}");
            match line.strip_prefix("listening on http://") {
                Some(address) => break address.trim_end().to_owned(),
                None => before += &line,
            }
        };
        let log = std::thread::spawn(move || {
            stderr.read_to_string(&mut before).unwrap();
            before
        });
        Self { child, address, log: Some(log) }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a loss of power would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as an operator does, and returns what it logged.
    pub fn stop(mut self) -> String {
        let kill = format!("kill -TERM {}", self.id());
        assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
        let code = self.child.wait().unwrap().code();
        let log = self.log.take().unwrap().join().unwrap();
        assert_eq!(code, Some(0), "{log}");
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
