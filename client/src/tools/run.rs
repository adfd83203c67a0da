//! The loop: ask, call the tools that are asked for, ask again.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    future::IntoFuture,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use qwenda_types::chat::{ChatRequest, Message, Role};
use serde_json::Value;

use super::{IntoTools, Outcome, Tool, ToolError};
use crate::{ChatBuilder, Currency, Error, Event, Nanos, Reply, ToolCall, error::Kind, transport::within};

/// Answers of one run, unless set otherwise.
const STEPS_MAX: usize = 10;
/// Calls at once, unless set otherwise.
const PARALLEL: usize = 4;
/// How long one call may take, unless set otherwise.
const TOOL_TIMEOUT: Duration = Duration::from_secs(60);
/// What services take as the name of a function.
const NAME_CHARS_MAX: usize = 64;
/// How often in a row the model may ask for the very same calls.
const REPEATS_MAX: usize = 3;

/// What is done with a call that the model asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Approval {
    /// It is made.
    Run,
    /// It is not, and the model reads why.
    Refuse(String),
    /// Nobody has decided: the other calls are made, and the run ends [`Ended::Paused`].
    Pause,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// The model answered without asking for a call.
    Answered,
    /// The most answers were made.
    Steps,
    /// It has cost what it may.
    Cost,
    /// A condition of one's own held.
    Condition,
    /// The model asked for the very same calls again and again.
    Loop,
    /// A call waits for approval. [`Run::messages`], given to a new chat with the same tools, goes on.
    Paused,
}

/// What happens in a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RunEvent {
    /// Of an answer as it comes.
    Answer(Event),
    /// A call begins.
    Calling(ToolCall),
    /// A call ended.
    Called(ToolResult),
}

/// What a call brought.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolResult {
    /// The call.
    pub call: ToolCall,
    /// What the model reads.
    pub output: Result<String, ToolError>,
}

impl fmt::Debug for ToolResult {
    /// Without the output: it is somebody's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolResult").field("call", &self.call).field("ok", &self.output.is_ok()).finish()
    }
}

/// An answer, and the calls it asked for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// The answer; `None` where calls of an earlier run were made.
    pub reply: Option<Reply>,
    /// What its calls brought, in the order in which they were asked for.
    pub results: Vec<ToolResult>,
}

/// How far a run is, for conditions of one's own.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// What was done.
    pub steps: &'a [Step],
    /// What it has cost so far, as far as that is known.
    pub cost: Nanos,
}

/// A run that ended.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Run {
    /// Why.
    pub ended: Ended,
    /// The whole conversation, to go on with.
    pub messages: Vec<Message>,
    /// What was done.
    pub steps: Vec<Step>,
    /// What the answers cost, as far as that is known.
    pub cost: Nanos,
    /// What the cost is counted in; `None` if nothing is known of it.
    pub currency: Option<Currency>,
}

impl Run {
    /// What the model said last.
    pub fn text(&self) -> &str {
        self.reply().map_or("", Reply::text)
    }

    /// The last answer.
    pub fn reply(&self) -> Option<&Reply> {
        self.steps.iter().rev().find_map(|step| step.reply.as_ref())
    }
}

impl fmt::Debug for Run {
    /// Without the messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("ended", &self.ended)
            .field("messages", &self.messages.len())
            .field("steps", &self.steps)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

/// A run that an error ended. What was done is not lost: [`Run::messages`] goes on.
#[derive(Debug)]
#[non_exhaustive]
pub struct Interrupted {
    /// What went wrong.
    pub error: Error,
    /// What was done before, as of a run that paused.
    pub run: Run,
}

impl Interrupted {
    /// Before anything was done.
    pub(crate) fn at_once(error: Error, messages: Vec<Message>) -> Box<Self> {
        let run = Run { ended: Ended::Answered, messages, steps: Vec::new(), cost: Nanos::ZERO, currency: None };
        Box::new(Self { error, run })
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} steps: {}", self.run.steps.len(), self.error)
    }
}

impl std::error::Error for Interrupted {}

impl From<Box<Interrupted>> for Error {
    fn from(interrupted: Box<Interrupted>) -> Self {
        interrupted.error
    }
}

type Approve = Arc<dyn Fn(&ToolCall) -> BoxFuture<'static, Approval> + Send + Sync>;
type Condition = Arc<dyn Fn(Progress<'_>) -> bool + Send + Sync>;
type Listen = Arc<dyn Fn(&RunEvent) + Send + Sync>;

/// A conversation in which the model may call tools. Awaiting it gives a [`Run`].
///
/// What goes wrong with a call (no such tool, wrong arguments, an error, too long, a panic) is told to the model,
/// which may do better.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
/// # use serde_json::json;
/// /// Current weather in a city.
/// #[qwenda::tool]
/// async fn weather(
///     /// Name of the city, such as "Hangzhou".
///     city: String,
/// ) -> String {
///     format!("sunny in {city}")
/// }
///
/// # let client = qwenda::Mock::new().tool_calls([("weather", json!({"city": "Hangzhou"}))]).reply("It is sunny.").client();
/// let run = client.chat("qwen-plus").user("Weather in Hangzhou?").tools(weather).await?;
/// assert_eq!(run.text(), "It is sunny.");
/// assert_eq!(run.steps[0].results[0].output.as_deref(), Ok("sunny in Hangzhou"));
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent until it is awaited"]
pub struct RunBuilder {
    chat: ChatBuilder,
    tools: Vec<Arc<dyn Tool>>,
    steps_max: usize,
    parallel: usize,
    tool_timeout: Duration,
    cost_max: Option<Nanos>,
    approve: Option<Approve>,
    condition: Option<Condition>,
    listen: Option<Listen>,
}

impl ChatBuilder {
    /// Lets the model call these tools, and runs the conversation until it has answered.
    pub fn tools(self, tools: impl IntoTools) -> RunBuilder {
        RunBuilder {
            chat: self,
            tools: tools.into_tools(),
            steps_max: STEPS_MAX,
            parallel: PARALLEL,
            tool_timeout: TOOL_TIMEOUT,
            cost_max: None,
            approve: None,
            condition: None,
            listen: None,
        }
    }
}

impl RunBuilder {
    /// Adds more tools.
    pub fn and(mut self, tools: impl IntoTools) -> Self {
        self.tools.extend(tools.into_tools());
        self
    }

    /// Most answers of the run; 10, at least 1.
    pub fn steps(mut self, most: usize) -> Self {
        self.steps_max = most.max(1);
        self
    }

    /// Most calls at once; 4, at least 1. Their results keep the order in which they were asked for.
    pub fn parallel(mut self, most: usize) -> Self {
        self.parallel = most.max(1);
        self
    }

    /// How long one call may take; 60 s.
    pub fn tool_timeout(mut self, limit: Duration) -> Self {
        self.tool_timeout = limit;
        self
    }

    /// Begins no further answer once so much was spent, in the currency of the client's prices.
    pub fn cost(mut self, most: Nanos) -> Self {
        self.cost_max = Some(most);
        self
    }

    /// Begins no further answer once this holds.
    pub fn stop_when(mut self, condition: impl Fn(Progress<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.condition = Some(Arc::new(condition));
        self
    }

    /// Is asked before each call; all are made otherwise.
    pub fn approve<F: Future<Output = Approval> + Send + 'static>(
        mut self,
        approve: impl Fn(&ToolCall) -> F + Send + Sync + 'static,
    ) -> Self {
        self.approve = Some(Arc::new(move |call| approve(call).boxed()));
        self
    }

    /// Is told what happens, as it happens.
    pub fn listen(mut self, listen: impl Fn(&RunEvent) + Send + Sync + 'static) -> Self {
        self.listen = Some(Arc::new(listen));
        self
    }

    /// The request as it will be asked, without the conversation.
    pub(crate) fn request(&self) -> ChatRequest {
        let mut request = self.chat.request.clone();
        request.tools.extend(self.tools.iter().map(|tool| tool.definition()));
        request
    }

    /// Puts a conversation before what is there.
    pub(crate) fn begin(&mut self, conversation: &[Message]) {
        self.chat.request.messages.splice(..0, conversation.iter().cloned());
    }

    fn tell(&self, event: RunEvent) {
        if let Some(listen) = &self.listen {
            listen(&event);
        }
    }

    async fn run(mut self) -> Result<Run, Box<Interrupted>> {
        let request = &mut self.chat.request;
        request.tools.extend(self.tools.iter().map(|tool| tool.definition()));
        if self.parallel > 1 && !request.tools.is_empty() {
            request.parallel_tool_calls.get_or_insert(true);
        }
        let messages = std::mem::take(&mut request.messages);
        let before = messages.len();
        let mut run = Run { ended: Ended::Answered, messages, steps: Vec::new(), cost: Nanos::ZERO, currency: None };
        let open = open_calls(&run.messages);
        if !open.is_empty() {
            let (results, paused) = self.calls(open, &mut run.messages).await;
            run.steps.push(Step { reply: None, results });
            if paused {
                return Ok(Run { ended: Ended::Paused, ..run });
            }
        }
        let mut answers = 0;
        loop {
            if let Some(ended) = self.stops(&run, answers) {
                return Ok(Run { ended, ..run });
            }
            let reply = match self.answer(&run.messages).await {
                Ok(reply) => reply,
                Err(error) => return Err(Box::new(Interrupted { error, run })),
            };
            answers += 1;
            if let Some(cost) = reply.cost() {
                run.cost = run.cost.checked_add(cost.amount).unwrap_or(Nanos::MAX);
                run.currency = Some(cost.currency);
            }
            // Until the turn is over the model reads what it reasoned in it.
            run.messages.push(reply.message_with_reasoning());
            let calls = reply.tool_calls().to_vec();
            if calls.is_empty() {
                if !self.chat.preserves_thinking() {
                    run.messages[before..].iter_mut().for_each(|message| message.reasoning_content = None);
                }
                run.steps.push(Step { reply: Some(reply), results: Vec::new() });
                return Ok(Run { ended: Ended::Answered, ..run });
            }
            let (results, paused) = self.calls(calls, &mut run.messages).await;
            run.steps.push(Step { reply: Some(reply), results });
            if paused {
                return Ok(Run { ended: Ended::Paused, ..run });
            }
        }
    }

    /// Why no further answer is begun. Every call of the last one has its result by then.
    fn stops(&self, run: &Run, answers: usize) -> Option<Ended> {
        let progress = Progress { steps: &run.steps, cost: run.cost };
        if answers >= self.steps_max {
            Some(Ended::Steps)
        } else if self.cost_max.is_some_and(|most| run.cost >= most) {
            Some(Ended::Cost)
        } else if answers > 0 && self.condition.as_ref().is_some_and(|condition| condition(progress)) {
            Some(Ended::Condition)
        } else if repeats(&run.steps) >= REPEATS_MAX {
            Some(Ended::Loop)
        } else {
            None
        }
    }

    async fn answer(&self, messages: &[Message]) -> Result<Reply, Error> {
        let mut stream = self.chat.clone().messages(messages.iter().cloned()).stream().await?;
        while let Some(event) = stream.next().await {
            let event = event?;
            self.tell(RunEvent::Answer(event));
        }
        stream.finish()
    }

    /// Makes the calls and adds their results to the conversation; says whether one waits for approval.
    async fn calls(&self, calls: Vec<ToolCall>, messages: &mut Vec<Message>) -> (Vec<ToolResult>, bool) {
        let made = stream::iter(calls.into_iter().map(|call| self.call(call))).buffered(self.parallel);
        let made: Vec<Option<ToolResult>> = made.collect().await;
        let paused = made.iter().any(Option::is_none);
        let results: Vec<ToolResult> = made.into_iter().flatten().collect();
        messages.extend(results.iter().map(message_of));
        (results, paused)
    }

    /// Makes one call; `None` if it waits for approval.
    async fn call(&self, call: ToolCall) -> Option<ToolResult> {
        let approval = match &self.approve {
            Some(approve) => approve(&call).await,
            None => Approval::Run,
        };
        let output = match approval {
            Approval::Pause => return None,
            Approval::Refuse(why) => Err(ToolError::new(format!("this call was not allowed: {why}"))),
            Approval::Run => {
                self.tell(RunEvent::Calling(call.clone()));
                self.output(&call).await
            }
        };
        let result = ToolResult { call, output };
        self.tell(RunEvent::Called(result.clone()));
        Some(result)
    }

    async fn output(&self, call: &ToolCall) -> Result<String, ToolError> {
        let named = |tool: &&Arc<dyn Tool>| tool.definition().function.name == call.name;
        let Some(tool) = self.tools.iter().find(named) else {
            let names: Vec<String> = self.tools.iter().map(|tool| tool.definition().function.name).collect();
            return Err(ToolError::new(format!("there is no tool `{}`; there are {}", call.name, names.join(", "))));
        };
        let arguments: Value = call.json().map_err(|error| ToolError::new(error.message()))?;
        let limit = self.tool_timeout;
        let called = AssertUnwindSafe(async { tool.call(arguments).await }).catch_unwind();
        match within(Some(limit), called).await {
            None => Err(ToolError::new(format!("no result within {limit:?}"))),
            Some(Err(_)) => Err(ToolError::new("the tool failed")),
            Some(Ok(output)) => output,
        }
    }
}

/// Gives those tools whose name is not the only one the name of their origin before it; a name that two tools
/// still have is the error.
fn name_apart(tools: &mut [Arc<dyn Tool>]) -> Result<(), String> {
    let mut times: HashMap<String, usize> = HashMap::new();
    for tool in tools.iter() {
        *times.entry(tool.definition().function.name).or_default() += 1;
    }
    let mut names = HashSet::new();
    for tool in tools {
        let name = tool.definition().function.name;
        if let Some(origin) = tool.origin().filter(|_| times[&name] > 1) {
            let name = format!("{origin}_{name}").chars().take(NAME_CHARS_MAX).collect();
            *tool = Arc::new(Renamed { name, tool: Arc::clone(tool) });
        }
        let name = tool.definition().function.name;
        if !names.insert(name.clone()) {
            return Err(name);
        }
    }
    Ok(())
}

/// A tool by another name.
struct Renamed {
    name: String,
    tool: Arc<dyn Tool>,
}

impl Tool for Renamed {
    fn definition(&self) -> qwenda_types::chat::Tool {
        let mut definition = self.tool.definition();
        definition.function.name.clone_from(&self.name);
        definition
    }

    fn call(&self, arguments: Value) -> Outcome {
        self.tool.call(arguments)
    }
}

fn message_of(result: &ToolResult) -> Message {
    let text = match &result.output {
        Ok(text) => text.clone(),
        Err(error) => format!("error: {error}"),
    };
    let mut message = Message::text(Role::Tool, text);
    message.tool_call_id = Some(result.call.id.clone());
    message
}

/// The calls of the last answer that have no result, as after a pause.
fn open_calls(messages: &[Message]) -> Vec<ToolCall> {
    let Some(place) = messages.iter().rposition(|message| message.role == Role::Assistant) else { return Vec::new() };
    let answered: HashSet<&str> =
        messages[place..].iter().filter_map(|message| message.tool_call_id.as_deref()).collect();
    let calls = messages[place].tool_calls.iter().zip(0..);
    let open = calls.filter(|(call, _)| !answered.contains(call.id.as_str()));
    open.map(|(call, index)| ToolCall {
        choice: 0,
        index,
        id: call.id.clone(),
        name: call.function.name.clone(),
        arguments: call.function.arguments.clone(),
    })
    .collect()
}

/// How often in a row the last calls were asked for, word for word.
fn repeats(steps: &[Step]) -> usize {
    let asked = |step: &Step| -> Vec<(String, String)> {
        step.results.iter().map(|result| (result.call.name.clone(), result.call.arguments.clone())).collect()
    };
    let Some(last) = steps.last().map(asked).filter(|calls| !calls.is_empty()) else { return 0 };
    steps.iter().rev().take_while(|step| asked(step) == last).count()
}

impl IntoFuture for RunBuilder {
    type Output = Result<Run, Box<Interrupted>>;
    type IntoFuture = BoxFuture<'static, Result<Run, Box<Interrupted>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut this = self;
            if let Err(name) = name_apart(&mut this.tools) {
                let error = Error::of(Kind::Invalid).say(format!("two tools are called `{name}`"));
                return Err(Interrupted::at_once(error, this.chat.request.messages));
            }
            this.run().await
        })
    }
}

impl fmt::Debug for RunBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunBuilder").field("chat", &self.chat).field("tools", &self.tools.len()).finish_non_exhaustive()
    }
}
