//! Asking the person at the terminal, also when stdin is a pipe. Ctrl-C leaves nobody behind who goes on reading.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::output::Ui;

/// A question that one letter answers.
pub struct Question<'a> {
    pub text: String,
    /// The letters, in lower case. Anything else is the last of them.
    pub keys: &'a str,
}

/// What was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    Key(char),
    /// There is no terminal, or it was closed.
    Nobody,
}

/// Asks.
pub async fn ask(ui: Ui, question: Question<'_>) -> Answered {
    match line(ui, &question.text).await {
        None => Answered::Nobody,
        Some(said) => {
            let key = said.trim().chars().next().map(|c| c.to_ascii_lowercase());
            let key = key.filter(|key| question.keys.contains(*key)).or(question.keys.chars().next_back());
            key.map_or(Answered::Nobody, Answered::Key)
        }
    }
}

/// A line that the person types; `None` where there is nobody.
async fn line(ui: Ui, prompt: &str) -> Option<String> {
    let terminal = terminal(ui)?;
    ui.prompt(prompt);
    // Whoever gives up waiting has the reader give up, too: the next line is for somebody else.
    let gone = Gone(Arc::default());
    let flag = Arc::clone(&gone.0);
    let read = tokio::task::spawn_blocking(move || read(terminal, &flag));
    read.await.ok()?.ok().flatten()
}

struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is typed comes from here.
fn terminal(ui: Ui) -> Option<Terminal> {
    if !ui.stderr_terminal {
        return None;
    }
    if io::stdin().is_terminal() {
        return Some(Terminal::Stdin);
    }
    let path = if cfg!(windows) { "CONIN$" } else { "/dev/tty" };
    File::open(path).ok().map(Terminal::Own)
}

enum Terminal {
    Stdin,
    Own(File),
}

/// One line, byte by byte: what is behind it is for whoever reads next.
fn read(mut terminal: Terminal, gone: &AtomicBool) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        if gone.load(Ordering::Relaxed) || !terminal.waits(gone)? {
            return Ok(None);
        }
        let mut byte = [0];
        match terminal.read(&mut byte) {
            Ok(0) => return Ok((!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())),
            Ok(_) if byte[0] == b'\n' => return Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Ok(_) => bytes.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Terminal {
    #[cfg(unix)]
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            // Past the buffer of `io::stdin`, which would keep what follows to itself.
            Self::Stdin => Ok(rustix::io::read(rustix::stdio::stdin(), bytes)?),
            Self::Own(file) => file.read(bytes),
        }
    }

    #[cfg(not(unix))]
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stdin => io::stdin().read(bytes),
            Self::Own(file) => file.read(bytes),
        }
    }

    /// Waits until there is something to read; false once nobody wants it any more.
    #[cfg(unix)]
    fn waits(&self, gone: &AtomicBool) -> io::Result<bool> {
        use std::os::fd::AsFd;

        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let pause = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let stdin = io::stdin();
        let fd = match self {
            Self::Stdin => stdin.as_fd(),
            Self::Own(file) => file.as_fd(),
        };
        while !gone.load(Ordering::Relaxed) {
            match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&pause)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    #[cfg(not(unix))]
    fn waits(&self, _: &AtomicBool) -> io::Result<bool> {
        Ok(true)
    }
}
