//! A person at a terminal: types, waits for what the screen shows, presses Ctrl-C.

use std::{
    io::{Read, Write},
    sync::mpsc,
    thread,
    time::Duration,
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::common::Home;

/// Only so that a test that fails ends: nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(120);

pub const CTRL_C: &str = "\x03";
pub const CTRL_D: &str = "\x04";
pub const ENTER: &str = "\r";
pub const ALT_ENTER: &str = "\x1b\r";
pub const UP: &str = "\x1b[A";
pub const DOWN: &str = "\x1b[B";
pub const BACK_TAB: &str = "\x1b[Z";
pub const ESC: &str = "\x1b";
pub const BACKSPACE: &str = "\x7f";
pub const TAB: &str = "\t";

pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    // Closing the master hangs the program up; it lives as long as the person sits there.
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    screen: mpsc::Receiver<Vec<u8>>,
    raw: Vec<u8>,
    /// All that the program wrote, to the byte.
    wrote: Vec<u8>,
    /// What was shown and not yet looked at, without escape sequences.
    unseen: String,
}

impl Terminal {
    pub fn start(home: &Home, args: &[&str]) -> Self {
        Self::start_with(home, args, &[])
    }

    /// With more in its environment.
    pub fn start_with(home: &Home, args: &[&str], env: &[(String, String)]) -> Self {
        let size = PtySize { rows: 40, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_qwenda"));
        command.args(args);
        command.env_clear();
        command.env("QWENDA_HOME", home.path());
        command.env("TERM", "xterm");
        command.cwd(home.path());
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().unwrap();
        let keyboard = pty.master.take_writer().unwrap();
        let (shown, screen) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose program has ended reads as an error on some systems.
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if shown.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, master: pty.master, keyboard, screen, raw: Vec::new(), wrote: Vec::new(), unseen: String::new() }
    }

    pub fn types(&mut self, keys: &str) {
        self.presses(keys.as_bytes());
    }

    /// Sends bytes, text or not.
    pub fn presses(&mut self, bytes: &[u8]) {
        self.keyboard.write_all(bytes).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Types a line and Enter.
    pub fn enters(&mut self, line: &str) {
        self.types(line);
        self.types(ENTER);
    }

    /// Waits until the screen has shown this, and returns what it showed before.
    #[track_caller]
    pub fn sees(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.unseen.find(text) {
                let before = self.unseen[..at].to_owned();
                self.unseen.drain(..at + text.len());
                return before;
            }
            match self.screen.recv_timeout(PATIENCE) {
                Ok(bytes) => self.show(&bytes),
                Err(_) => {
                    let last: Vec<char> = self.unseen.chars().rev().take(1000).collect();
                    let last: String = last.into_iter().rev().collect();
                    panic!("never shown: {text:?}; instead: {last:?}");
                }
            }
        }
    }

    /// Waits until anything more is shown.
    #[track_caller]
    pub fn sees_more(&mut self) {
        while self.unseen.is_empty() {
            match self.screen.recv_timeout(PATIENCE) {
                Ok(bytes) => self.show(&bytes),
                Err(_) => panic!("nothing more is shown"),
            }
        }
    }

    /// Makes the window this wide.
    pub fn resize(&mut self, cols: u16) {
        self.master.resize(PtySize { rows: 40, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// As [`ends`](Self::ends); all that the program wrote, with its escape sequences.
    pub fn wrote(mut self) -> String {
        while let Ok(bytes) = self.screen.recv_timeout(PATIENCE) {
            self.show(&bytes);
        }
        String::from_utf8(std::mem::take(&mut self.wrote)).unwrap()
    }

    /// Waits for the program to end, and returns its exit code and the rest of what it showed.
    pub fn ends(mut self) -> (u32, String) {
        while let Ok(bytes) = self.screen.recv_timeout(PATIENCE) {
            self.show(&bytes);
        }
        (self.child.wait().unwrap().exit_code(), std::mem::take(&mut self.unseen))
    }

    fn show(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        self.wrote.extend_from_slice(bytes);
        let whole = match str::from_utf8(&self.raw) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let (plain, used) = plain(str::from_utf8(&self.raw[..whole]).unwrap());
        self.unseen += &plain;
        self.raw.drain(..used);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text without escape sequences, and how far it was read: a sequence cut short stays.
fn plain(text: &str) -> (String, usize) {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        plain += &rest[..at];
        let sequence = &rest[at..];
        let Some(body) = sequence.strip_prefix("\x1b[") else {
            if sequence.len() == 1 {
                return (plain, text.len() - 1);
            }
            rest = &sequence[1..];
            continue;
        };
        match body.find(|c: char| ('@'..='~').contains(&c)) {
            Some(end) => rest = &body[end + 1..],
            None => return (plain, text.len() - sequence.len()),
        }
    }
    plain += rest;
    (plain, text.len())
}

#[test]
fn escape_sequences_are_taken_out_and_halves_kept() {
    assert_eq!(plain("a\x1b[1;32m> \x1b[0mb"), ("a> b".to_owned(), 15));
    assert_eq!(plain("a\x1b[1;3"), ("a".to_owned(), 1));
    assert_eq!(plain("a\x1b"), ("a".to_owned(), 1));
}
