//! A browser without a window, over the DevTools protocol: what a test needs of it and no more.
//!
//! The protocol goes over two pipes, which browsers of Chromium's family read and write as their files 3 and 4: JSON
//! objects, each ended by a zero byte. So no port is opened, and nobody else can talk to it.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::oneshot,
};

/// A test that hangs says what the page shows. Nothing waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A running browser, which ends with this.
pub(crate) struct Browser {
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Waiting,
    seen: Arc<Mutex<Vec<Value>>>,
    last_id: AtomicU64,
    _process: Child,
    _folder: TempDir,
}

/// The browser of this machine.
fn program() -> PathBuf {
    if let Some(named) = env::var_os("QWENDA_TEST_BROWSER") {
        return named.into();
    }
    let folders: Vec<PathBuf> = env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    let found =
        NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|at| at.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "these tests run the pages in a browser, and there is none of {} here; `cargo xtask test examples` \
             installs one where it may, on Debian: apt-get install chromium; another of Chromium's family is named by \
             QWENDA_TEST_BROWSER",
            NAMES.join(", ")
        )
    })
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        // A shell moves the pipes to where the browser looks for them.
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"]).arg(program());
        command.args(["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu"]);
        // Whoever runs tests as root, or in a container, has no sandbox; the pages are ours.
        command.args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--mute-audio"]);
        command.args([
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--no-default-browser-check",
        ]);
        command.arg(format!("--user-data-dir={}", folder.path().display())).arg("about:blank");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (waiting, seen) = (Waiting::default(), Arc::<Mutex<Vec<Value>>>::default());
        let (answers, events) = (Arc::clone(&waiting), Arc::clone(&seen));
        tokio::spawn(async move {
            let mut output = BufReader::new(output);
            let mut bytes = Vec::new();
            while output.read_until(0, &mut bytes).await.is_ok_and(|count| count > 0) {
                let text = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
                let message: Value = serde_json::from_slice(text).unwrap();
                bytes.clear();
                match message["id"].as_u64().and_then(|id| answers.lock().unwrap().remove(&id)) {
                    // Whoever asked may have left.
                    Some(asked) => drop(asked.send(message)),
                    None => events.lock().unwrap().push(message),
                }
            }
            // Who still waits learns that nothing comes.
            answers.lock().unwrap().clear();
        });
        let (input, last_id) = (tokio::sync::Mutex::new(input), AtomicU64::new(0));
        Self { input, waiting, seen, last_id, _process: process, _folder: folder }
    }

    async fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let (answers, answer) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id, answers);
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.lock().await.write_all(&bytes).await.unwrap();
        let answer = answer.await.unwrap_or_else(|_| panic!("the browser ended before it answered {method}"));
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }

    /// A page at this address, whose reader has set this language.
    pub(crate) async fn open(&self, url: &str, language: &str) -> Page<'_> {
        let context = self.call(None, "Target.createBrowserContext", json!({})).await["browserContextId"].clone();
        let target = json!({"url": "about:blank", "browserContextId": context});
        let target = self.call(None, "Target.createTarget", target).await["targetId"].as_str().unwrap().to_owned();
        let attach = json!({"targetId": target, "flatten": true});
        let session = self.call(None, "Target.attachToTarget", attach).await["sessionId"].as_str().unwrap().to_owned();
        let page = Page { browser: self, session, target };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({})).await;
        }
        let agent = page.value("navigator.userAgent").await;
        page.call("Emulation.setUserAgentOverride", json!({"userAgent": agent, "acceptLanguage": language})).await;
        page.resize(900, 700, false).await;
        page.call("Page.navigate", json!({"url": url})).await;
        page.until("document.readyState === 'complete' && location.href !== 'about:blank'").await;
        page
    }
}

/// A page in a browser.
pub(crate) struct Page<'a> {
    browser: &'a Browser,
    session: String,
    target: String,
}

impl Page<'_> {
    async fn call(&self, method: &str, params: Value) -> Value {
        self.browser.call(Some(&self.session), method, params).await
    }

    /// What an expression of the page comes to, once it does.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", params).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression of the page is true.
    pub(crate) async fn until(&self, expression: &str) {
        // A page that is being loaded forgets what it was asked.
        let looking = async {
            let params = json!({"expression": format!("Boolean({expression})"), "returnByValue": true});
            while self.call("Runtime.evaluate", params.clone()).await["result"]["value"] != true {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, looking).await.is_err() {
            panic!("never {expression}; the page shows: {}", self.value("document.body.innerText").await);
        }
    }

    /// The text that these elements show, one a line.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let all =
            format!("Array.from(document.querySelectorAll({})).map(e => e.innerText).join('\\n')", json!(selector));
        self.value(&all).await.as_str().unwrap().to_owned()
    }

    /// Waits until these elements show this and nothing else.
    pub(crate) async fn shows(&self, selector: &str, text: &str) {
        let all =
            format!("Array.from(document.querySelectorAll({})).map(e => e.innerText).join('\\n')", json!(selector));
        self.until(&format!("{all} === {}", json!(text))).await;
    }

    /// Writes into what has the focus, as a keyboard or an input method does.
    pub(crate) async fn write(&self, text: &str) {
        self.call("Input.insertText", json!({"text": text})).await;
    }

    pub(crate) async fn press_enter(&self) {
        let key = json!({"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"});
        for kind in ["keyDown", "keyUp"] {
            let mut key = key.clone();
            key["type"] = kind.into();
            self.call("Input.dispatchKeyEvent", key).await;
        }
    }

    /// Presses the mouse's button in the middle of an element.
    pub(crate) async fn click(&self, selector: &str) {
        let place = format!(
            "(() => {{ const b = document.querySelector({}).getBoundingClientRect(); \
             return [b.x + b.width / 2, b.y + b.height / 2]; }})()",
            json!(selector)
        );
        let place = self.value(&place).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let at = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", at).await;
        }
    }

    /// Makes the page so large, in its own pixels.
    pub(crate) async fn resize(&self, width: u32, height: u32, mobile: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.call("Emulation.setDeviceMetricsOverride", size).await;
    }

    pub(crate) async fn close(self) {
        self.browser.call(None, "Target.closeTarget", json!({"targetId": self.target})).await;
    }

    /// A picture of the page, where `QWENDA_TEST_PICTURES` names a folder for it.
    pub(crate) async fn picture(&self, name: &str) {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let Some(folder) = env::var_os("QWENDA_TEST_PICTURES") else { return };
        let taken = self.call("Page.captureScreenshot", json!({"format": "png"})).await;
        let bytes = STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }

    /// The events of this kind so far.
    pub(crate) fn events(&self, method: &str) -> Vec<Value> {
        let seen = self.browser.seen.lock().unwrap();
        let mine = seen.iter().filter(|event| event["sessionId"] == *self.session && event["method"] == method);
        mine.map(|event| event["params"].clone()).collect()
    }

    /// The requests that the browser made for it, as verb and path.
    pub(crate) fn requests(&self) -> Vec<String> {
        let asked = self.events("Network.requestWillBeSent");
        let shown = |event: &Value| {
            let (verb, url) = (event["request"]["method"].as_str().unwrap(), event["request"]["url"].as_str().unwrap());
            format!("{verb} /{}", url.splitn(4, '/').nth(3).unwrap_or_default())
        };
        asked.iter().map(shown).collect()
    }

    /// What the browser complains of: errors and warnings of its console, and what nobody caught.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let bad = |level: &Value| level == "error" || level == "warning";
        let logged = self.events("Log.entryAdded").into_iter().map(|event| event["entry"].clone());
        let logged = logged.filter(|entry| bad(&entry["level"])).map(|entry| entry["text"].to_string());
        let said = self.events("Runtime.consoleAPICalled").into_iter().filter(|event| bad(&event["type"]));
        let thrown = self.events("Runtime.exceptionThrown").into_iter();
        logged.chain(said.map(|event| event["args"].to_string())).chain(thrown.map(|event| event.to_string())).collect()
    }
}
