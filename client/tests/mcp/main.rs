//! Tools of real MCP servers: in a process of its own, which is this program once more, and over HTTP.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod server;

use std::{io::Write, sync::Arc, time::Duration};

use libtest_mimic::{Arguments, Trial};
use qwenda::{
    Kind, Mock, Result,
    tools::{IntoTools, Mcp, McpServer, Tool},
};
use rmcp::{
    ServiceExt,
    transport::{
        stdio,
        streamable_http_server::{
            StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
        },
    },
};
use serde_json::{Value, json};
use server::Server;

/// What this program is started with to be a server.
const SERVE: &str = "serve-mcp";
/// What it is started with to be none.
const COMPLAIN: &str = "complain";

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some(SERVE) => run(async {
            let serving = Server::default().serve(stdio()).await.unwrap();
            serving.waiting().await.unwrap();
        }),
        Some(COMPLAIN) => {
            std::io::stderr().write_all(b"the licence has run out\n").unwrap();
            std::process::exit(2);
        }
        _ => {
            let tests = [
                ("a_process_gives_its_tools_to_a_run", run_of_tools as fn()),
                ("the_same_over_http_with_a_key", over_http),
                ("what_goes_wrong_is_told_to_the_model", errors),
                ("a_call_that_nobody_waits_for_is_cancelled", cancelled),
                ("tools_of_one_name_get_the_name_of_their_server", clashes),
                ("a_started_server_gets_no_keys", environment),
                ("what_is_no_server_says_why", no_server),
            ];
            let trials = tests.map(|(name, test)| {
                Trial::test(name, move || {
                    test();
                    Ok(())
                })
            });
            libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
        }
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn process() -> McpServer {
    McpServer::stdio(std::env::current_exe().unwrap(), [SERVE]).name("calc")
}

/// A server over HTTP that lets in who has this key.
async fn http(key: &'static str) -> (Server, String) {
    let server = Server::default();
    let shared = server.clone();
    let service: StreamableHttpService<Server, LocalSessionManager> =
        StreamableHttpService::new(move || Ok(shared.clone()), Arc::default(), StreamableHttpServerConfig::default());
    let checked =
        axum::middleware::from_fn(move |request: axum::extract::Request, next: axum::middleware::Next| async move {
            let told = request.headers().get("authorization").and_then(|value| value.to_str().ok());
            if told == Some(&format!("Bearer {key}")) {
                next.run(request).await
            } else {
                let refusal = axum::http::Response::builder().status(401);
                refusal.body(axum::body::Body::from(format!("{told:?} is not welcome"))).unwrap()
            }
        });
    let router = axum::Router::new().nest_service("/mcp", service).layer(checked);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (server, url)
}

/// The tool of this name.
fn tool(mcp: &Mcp, name: &str) -> Arc<dyn Tool> {
    let mut tools = mcp.clone().into_tools().into_iter();
    tools.find(|tool| tool.definition().function.name == name).unwrap()
}

async fn call(mcp: &Mcp, name: &str, arguments: Value) -> std::result::Result<String, String> {
    tool(mcp, name).call(arguments).await.map_err(|error| error.message().to_owned())
}

fn run_of_tools() {
    run(async {
        let mcp = Mcp::connect(process()).await.unwrap();
        let names: Vec<&str> = mcp.tool_names().collect();
        assert_eq!(names, ["add", "text_shout", "fail", "hang", "environment", "exit"]);
        assert_eq!(mcp.instructions().as_deref(), Some("Add before you shout."));
        let calls = [("add", json!({"a": 1, "b": 2})), ("text_shout", json!({"text": "嗨 hi"}))];
        let mock = Mock::new().tool_calls(calls).reply("done");
        let run = mock.client().chat("m").user("go").tools(mcp).await.unwrap();
        let outputs: Vec<_> = run.steps[0].results.iter().map(|result| result.output.as_deref()).collect();
        assert_eq!(outputs, [Ok("3"), Ok("嗨 HI")]);
        let bodies = mock.bodies();
        let add = &bodies[0]["tools"][0]["function"];
        assert_eq!(
            (&add["description"], &add["parameters"]["properties"]["a"]["type"]),
            (&"Adds two numbers.".into(), &"number".into())
        );
    });
}

fn over_http() {
    run(async {
        let (server, url) = http("sk-right").await;
        let mcp = Mcp::connect(McpServer::http(&url).key("sk-right").only(["add"])).await.unwrap();
        assert_eq!((mcp.name(), mcp.tool_names().count()), ("127_0_0_1", 1));
        assert_eq!(call(&mcp, "add", json!({"a": 1.5, "b": 2})).await.as_deref(), Ok("3.5"));
        assert_eq!(*server.called.lock().unwrap(), ["add"]);
        let stranger = McpServer::http(&url).key("sk-wrong");
        assert!(!format!("{stranger:?}").contains("sk-wrong"));
        let error = Mcp::connect(stranger).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Connect);
        assert!(!format!("{error} {error:?}").contains("sk-wrong"), "{error}");
    });
}

fn errors() {
    run(async {
        let mcp = Mcp::connect(process().call_timeout(Duration::from_secs(20))).await.unwrap();
        let bad = call(&mcp, "add", json!({"a": "x"})).await.unwrap_err();
        assert!(bad.contains("`a` and `b` are numbers"), "{bad}");
        assert_eq!(call(&mcp, "fail", json!({})).await.unwrap_err(), "the disk is full");
        assert!(call(&mcp, "add", json!([1])).await.is_err());
        let gone = call(&mcp, "exit", json!({})).await.unwrap_err();
        assert!(gone.contains("`calc`"), "{gone}");
        let gone = call(&mcp, "add", json!({"a": 1, "b": 2})).await.unwrap_err();
        assert!(gone.contains("`calc`"), "{gone}");
    });
}

fn cancelled() {
    run(async {
        let (server, url) = http("k").await;
        let limit = Duration::from_millis(200);
        let mcp = Mcp::connect(McpServer::http(&url).key("k").call_timeout(limit)).await.unwrap();
        let late = call(&mcp, "hang", json!({})).await.unwrap_err();
        assert_eq!(late, "no result within 200ms");
        server.given_up.notified().await;
        server.hangs.notified().await;
        // As a run does whose own limit is shorter.
        let patient = Mcp::connect(McpServer::http(&url).key("k")).await.unwrap();
        let hanging = tool(&patient, "hang");
        let calling = tokio::spawn(hanging.call(json!({})));
        server.hangs.notified().await;
        calling.abort();
        server.given_up.notified().await;
    });
}

fn clashes() {
    /// Adds, too.
    #[qwenda::tool]
    async fn add(a: u32, b: u32) -> u32 {
        a + b
    }

    run(async {
        let one = Mcp::connect(process().only(["add", "fail"])).await.unwrap();
        let two = Mcp::connect(process().name("my abacus").only(["add"])).await.unwrap();
        let calls = ["add", "calc_add", "my_abacus_add", "fail"].map(|name| (name, json!({"a": 20, "b": 22})));
        let mock = Mock::new().tool_calls(calls).reply("done");
        let run = mock.client().chat("m").user("go").tools(add).and([one, two].as_slice()).await.unwrap();
        let outputs: Vec<_> = run.steps[0].results.iter().map(|result| result.output.clone().ok()).collect();
        let same = Some("42".to_owned());
        assert_eq!(outputs, [same.clone(), same.clone(), same, None]);
    });
}

fn environment() {
    run(async {
        let mcp = Mcp::connect(process().env("GIVEN", "1")).await.unwrap();
        let names = call(&mcp, "environment", json!({})).await.unwrap();
        let names: Vec<&str> = names.split(' ').collect();
        assert!(names.contains(&"GIVEN") && names.contains(&"PATH"), "{names:?}");
        // Cargo sets this for every test.
        assert!(
            std::env::var_os("CARGO_MANIFEST_DIR").is_some() && !names.contains(&"CARGO_MANIFEST_DIR"),
            "{names:?}"
        );
    });
}

fn no_server() {
    run(async {
        let kind = |connected: Result<Mcp>| connected.map_err(|error| (error.kind(), error.to_string())).unwrap_err();
        let (nothing, text) = kind(Mcp::connect(McpServer::stdio("/no/such/program", ["x"])).await);
        assert!(nothing == Kind::Config && text.contains("/no/such/program"), "{text}");
        let me = std::env::current_exe().unwrap();
        let (complains, text) = kind(Mcp::connect(McpServer::stdio(&me, [COMPLAIN])).await);
        assert!(complains == Kind::Connect && text.contains("the licence has run out"), "{text}");
        let (address, text) = kind(Mcp::connect(McpServer::http("ftp://x/mcp")).await);
        assert!(address == Kind::Config && text.contains("ftp"), "{text}");
        let (closed, text) = kind(Mcp::connect(McpServer::http("http://127.0.0.1:9/mcp")).await);
        assert!(closed == Kind::Connect && text.contains("127_0_0_1"), "{text}");
    });
}
