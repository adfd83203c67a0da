//! A PostgreSQL server of our own: in a temporary folder, on a socket there, as durable as it comes.
//!
//! A shell looks after it. When this process ends, however it does, the shell reads the end of its input,
//! stops the server and removes the folder.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

/// Runs as the server's user: `$1` is the folder of its programs.
const KEEPER: &str = r#"
trap '' INT TERM HUP
umask 077
dir=$(mktemp -d /tmp/qwenda-pg.XXXXXX) || exit 1
cd "$dir" || exit 1
"$1/initdb" -D data -U qwenda -A trust -E UTF8 --locale=C --no-sync >init.log 2>&1 || { cat init.log >&2; rm -rf "$dir"; exit 1; }
"$1/pg_ctl" -D data -l log -w -o "-k $dir -h '' -N 400" start >start.log 2>&1 || { cat start.log log >&2; rm -rf "$dir"; exit 1; }
echo "$dir"
while read -r order; do
    case $order in
    kill) "$1/pg_ctl" -D data -m immediate -w stop >stop.log 2>&1 ;;
    start) "$1/pg_ctl" -D data -l log -w -o "-k $dir -h '' -N 400" start >start.log 2>&1 ;;
    esac && echo done || echo failed
done
"$1/pg_ctl" -D data -m immediate -w stop >stop.log 2>&1
cd / && rm -rf "$dir"
"#;

pub(crate) struct Server {
    keeper: Child,
    says: BufReader<ChildStdout>,
    dir: String,
}

impl Server {
    /// Starts one, or `None` where PostgreSQL is not on this machine.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// Starts one that has this extension.
    pub(crate) fn start_with(extension: Option<&str>) -> Option<Self> {
        let programs = programs(extension)?;
        let mut keeper = as_user()
            .args(["sh", "-c", KEEPER, "keeper"])
            .arg(&programs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let mut says = BufReader::new(keeper.stdout.take().expect("it is piped"));
        let mut dir = String::new();
        says.read_line(&mut dir).unwrap();
        let dir = dir.trim().to_owned();
        assert!(!dir.is_empty(), "PostgreSQL of {} does not start", programs.display());
        Some(Self { keeper, says, dir })
    }

    /// The URL of one of its databases.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://qwenda@localhost/{database}?host={}", self.dir)
    }

    /// Ends it as a loss of power would.
    pub(crate) fn kill(&mut self) {
        self.order("kill");
    }

    /// Starts it again.
    pub(crate) fn restart(&mut self) {
        self.order("start");
    }

    fn order(&mut self, order: &str) {
        let stdin = self.keeper.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{order}").unwrap();
        let mut done = String::new();
        self.says.read_line(&mut done).unwrap();
        assert_eq!(done, "done\n", "PostgreSQL does not {order}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The folder with `initdb` and `pg_ctl`: on the path, or where distributions put them.
fn programs(extension: Option<&str>) -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|folders| folders.filter_map(|folder| Some(folder.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    versions.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    let has_all = |folder: &PathBuf| ["initdb", "pg_ctl", "postgres"].iter().all(|name| folder.join(name).is_file());
    // Those on the path may be links whose user cannot find what lies beside the real ones.
    let folders = versions.into_iter().rev().chain(env::split_paths(&path));
    folders.filter(has_all).find(|folder| extension.is_none_or(|name| has_extension(folder, name)))
}

/// Whether the server of these programs has an extension: beside them, or where Debian puts it.
fn has_extension(programs: &Path, name: &str) -> bool {
    let file = format!("extension/{name}.control");
    let version = programs.parent().and_then(Path::file_name).unwrap_or_default();
    let beside = programs.join("../share/postgresql").join(&file);
    let debian = Path::new("/usr/share/postgresql").join(version).join(&file);
    beside.is_file() || debian.is_file()
}

/// PostgreSQL refuses to run as root.
fn as_user() -> Command {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    if !is_root {
        return Command::new("env");
    }
    if Path::new("/usr/bin/setpriv").is_file() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        return command;
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "nobody", "--"]);
    command
}
