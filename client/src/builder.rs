//! [`Builder`]: a client's settings.

use std::{env, fmt, path::PathBuf, sync::Arc};

use qwenda_ledger::{money::Currency, price::PriceList};

use crate::{
    Budget, Client, Error, Observation, Pace, Result, Retry, Secret, Timeouts,
    budget::Purse,
    cassette::Cassette,
    client::Inner,
    giving_up::Bounds,
    observe::Observer,
    pace::Pacer,
    retry::Allowance,
    service::{Protocol, Region, Service, ThinkingSwitch},
    transport::{Transport, http::Http},
};

/// Further attempts that all calls of a client may spend at once, unless set otherwise.
const ALLOWANCE: u32 = 20;

/// A client's settings.
///
/// # Example
/// ```
/// # fn main() -> qwenda::Result<()> {
/// use std::time::Duration;
/// use qwenda::{Client, Retry, Timeouts};
///
/// let client = Client::builder()
///     .base_url("http://127.0.0.1:8080/v1")
///     .key("sk-something")
///     .timeouts(Timeouts { first_byte: Some(Duration::from_secs(60)), ..Timeouts::default() })
///     .retry(Retry { attempts_max: 3, ..Retry::default() })
///     .build()?;
/// assert!(!format!("{client:?}").contains("sk-something"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Builder {
    place: Place,
    replays: bool,
    protocol: Protocol,
    thinking: ThinkingSwitch,
    key: Option<Secret>,
    limits: Timeouts,
    retry: Retry,
    allowance: u32,
    pace: Option<Pace>,
    headers: Vec<(String, String)>,
    event_bytes_max: usize,
    answer_bytes_max: usize,
    accept_open: bool,
    prices: Option<PriceList>,
    budget: Option<Budget>,
    /// Calls cost nothing.
    free: bool,
    observer: Option<Observer>,
    content: bool,
    cassette: Option<PathBuf>,
    transport: Option<Arc<dyn Transport>>,
}

#[derive(Debug, Clone)]
enum Place {
    Region(Region),
    Workspace { id: String, region: String },
    Url(String),
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            place: Place::Region(Region::default()),
            replays: false,
            protocol: Protocol::default(),
            thinking: ThinkingSwitch::default(),
            key: None,
            limits: Timeouts::default(),
            retry: Retry::default(),
            allowance: ALLOWANCE,
            pace: None,
            headers: Vec::new(),
            event_bytes_max: qwenda_types::sse::EVENT_BYTES_MAX,
            answer_bytes_max: 256 << 20,
            accept_open: false,
            prices: None,
            budget: None,
            free: false,
            observer: None,
            content: false,
            cassette: None,
            transport: None,
        }
    }
}

impl Builder {
    /// The settings of the environment, in this order:
    ///
    /// | variable | means |
    /// | --- | --- |
    /// | `QWENDA_BASE_URL`, `QWENDA_API_KEY` | a Qwenda, or a service that behaves like one; the key may be absent |
    /// | `DASHSCOPE_API_KEY` | the cloud's key |
    /// | `DASHSCOPE_HTTP_BASE_URL` | another address than the region's |
    /// | `DASHSCOPE_REGION`, `DASHSCOPE_API_REGION` | the key's [`Region`]; Beijing |
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config) where neither `QWENDA_BASE_URL` nor `DASHSCOPE_API_KEY` is set, or a
    /// region is not known.
    pub fn from_env() -> Result<Self> {
        Self::from_vars(&|name| env::var(name).ok())
    }

    fn from_vars(var: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let var = |name: &str| var(name).filter(|value| !value.trim().is_empty());
        if let Some(url) = var("QWENDA_BASE_URL") {
            let builder = Self::default().qwenda(url);
            return Ok(match var("QWENDA_API_KEY") {
                Some(key) => builder.key(key),
                None => builder,
            });
        }
        let Some(key) = var("DASHSCOPE_API_KEY") else {
            return Err(Error::config("neither QWENDA_BASE_URL nor DASHSCOPE_API_KEY is set"));
        };
        let mut builder = Self::default().key(key);
        if let Some(name) = var("DASHSCOPE_REGION").or_else(|| var("DASHSCOPE_API_REGION")) {
            let region = Region::of(&name);
            builder = builder.region(region.ok_or_else(|| Error::config(format!("no region is called `{name}`")))?);
        }
        match var("DASHSCOPE_HTTP_BASE_URL") {
            Some(url) => Ok(builder.base_url(url)),
            None => Ok(builder),
        }
    }

    /// Asks the cloud in this region; Beijing unless said otherwise.
    pub fn region(mut self, region: Region) -> Self {
        self.place = Place::Region(region);
        self
    }

    /// Asks the cloud at the address of a workspace, such as `ws-1` in `cn-beijing`.
    pub fn workspace(mut self, id: impl Into<String>, region: impl Into<String>) -> Self {
        self.place = Place::Workspace { id: id.into(), region: region.into() };
        self
    }

    /// Asks the service at this address, which ends in `/v1`, `/compatible-mode/v1` or `/api/v1`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        (self.place, self.replays) = (Place::Url(url.into()), false);
        self
    }

    /// Asks the Qwenda at this address. It makes an answer once however often the connection breaks, so that
    /// broken calls are sent again and broken streams picked up without being paid for twice.
    pub fn qwenda(mut self, url: impl Into<String>) -> Self {
        (self.place, self.replays) = (Place::Url(url.into()), true);
        self
    }

    /// Whether the service knows idempotency keys; false, but for [`qwenda`](Self::qwenda).
    pub fn replays(mut self, replays: bool) -> Self {
        self.replays = replays;
        self
    }

    /// How calls are written on the wire.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// How [`ChatBuilder::thinking`](crate::ChatBuilder::thinking) is written in the OpenAI-compatible dialect. vLLM,
    /// SGLang and llama-server pass over the cloud's field without a word; a gateway before them may want either.
    ///
    /// # Example
    /// ```
    /// # fn main() -> qwenda::Result<()> {
    /// use qwenda::{Client, ThinkingSwitch};
    /// let vllm = Client::builder()
    ///     .base_url("http://127.0.0.1:8000/v1")
    ///     .thinking_switch(ThinkingSwitch::Template)
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn thinking_switch(mut self, switch: ThinkingSwitch) -> Self {
        self.thinking = switch;
        self
    }

    /// The API key.
    pub fn key(mut self, key: impl Into<Secret>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// How long calls may take.
    pub fn timeouts(mut self, limits: Timeouts) -> Self {
        self.limits = limits;
        self
    }

    /// When requests are sent again.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// How many further attempts all calls together may spend at once; 20. Ten calls that succeed earn one.
    pub fn retry_allowance(mut self, attempts: u32) -> Self {
        self.allowance = attempts;
        self
    }

    /// How fast requests are begun; as fast as they are asked for, unless set.
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = Some(pace);
        self
    }

    /// A header that every request carries. One that is a secret belongs into [`key`](Self::key).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into().to_ascii_lowercase();
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    /// Largest event of a stream in bytes; 16 MiB.
    pub fn event_bytes_max(mut self, bytes: usize) -> Self {
        self.event_bytes_max = bytes;
        self
    }

    /// Largest answer in bytes; 256 MiB.
    pub fn answer_bytes_max(mut self, bytes: usize) -> Self {
        self.answer_bytes_max = bytes;
        self
    }

    /// Takes streams that end in `[DONE]` without a reason for their end as whole, as some servers have them.
    /// Otherwise they are [`Kind::Truncated`](crate::Kind::Truncated).
    pub fn accept_open_ends(mut self, accept: bool) -> Self {
        self.accept_open = accept;
        self
    }

    /// Other prices than the public ones: the mainland's in CNY for its regions and for any address, the
    /// international ones in USD for the others.
    pub fn prices(mut self, list: PriceList) -> Self {
        self.prices = Some(list);
        self
    }

    /// What the client may spend.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Is told what calls do, in their own tasks: it should be quick.
    ///
    /// # Example
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> qwenda::Result<()> {
    /// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
    ///
    /// let sent = Arc::new(AtomicU32::new(0));
    /// let counted = Arc::clone(&sent);
    /// let client = qwenda::Mock::new().reply("hi").builder().observe(move |seen| {
    ///     if matches!(seen.what, qwenda::What::Sent) {
    ///         counted.fetch_add(1, Ordering::Relaxed);
    ///     }
    /// }).build()?;
    /// client.chat("qwen-plus").user("hi").await?;
    /// assert_eq!(sent.load(Ordering::Relaxed), 1);
    /// # Ok(()) }
    /// ```
    pub fn observe(mut self, observer: impl Fn(&Observation) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Puts the messages of chats and their answers into the calls' spans (`gen_ai.input.messages` and
    /// `gen_ai.output.messages`), where whoever reads them can read everything; false.
    pub fn observe_content(mut self, content: bool) -> Self {
        self.content = content;
        self
    }

    /// Plays the exchanges in this file back, or records them if there is no such file. Neither the key nor what
    /// looks like one gets into it; prompts and answers do.
    pub fn cassette(mut self, path: impl Into<PathBuf>) -> Self {
        self.cassette = Some(path.into());
        self
    }

    /// Asks models in this process instead of a service: the same calls, without a network, free of charge. A
    /// budget does not count them.
    #[cfg(feature = "embedded")]
    pub fn embedded(mut self, backend: Arc<dyn qwenda_backend::Backend>) -> Self {
        self.transport = Some(Arc::new(crate::embedded::Embedded(backend)));
        self.free = true;
        self.prices = Some(PriceList::parse(crate::embedded::PRICES).expect("a test reads it"));
        self.protocol(Protocol::OpenAi).base_url(crate::embedded::URL)
    }

    /// As [`embedded`](Self::embedded), of one model: a name or a path, as `qwenda models` has them. Blocks while
    /// it is loaded, which takes seconds.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config) where it is not there or cannot be used.
    #[cfg(feature = "embedded")]
    pub fn embedded_model(self, model: &str) -> Result<Self> {
        Ok(self.embedded(crate::embedded::open(model, qwenda_backend::local::LocalOptions::default())?))
    }

    /// Another way than the network.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// The client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config) for an address or a key that cannot be used, and where TLS cannot be
    /// had on this machine.
    pub fn build(self) -> Result<Client> {
        let service = match &self.place {
            Place::Region(region) => Service::cloud(region.host()),
            Place::Workspace { id, region } => {
                let plain =
                    |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                if !plain(id) || !plain(region) {
                    return Err(Error::config("a workspace and its region have letters, digits and `-` only"));
                }
                Service::cloud(&format!("{id}.{region}.maas.aliyuncs.com"))
            }
            Place::Url(url) => Service::at(url, self.replays)?,
        };
        let currency = match &self.place {
            Place::Region(Region::Singapore | Region::Virginia) => Currency::Usd,
            Place::Workspace { region, .. } if !region.starts_with("cn-") => Currency::Usd,
            _ => Currency::Cny,
        };
        if self.key.as_ref().is_some_and(|key| !key.is_sendable()) {
            return Err(Error::config("the key is empty, or has characters that no header can carry"));
        }
        let way = || -> Result<Arc<dyn Transport>> {
            match self.transport {
                Some(transport) => Ok(transport),
                None => Ok(Arc::new(Http::new(&service, self.limits.connect)?)),
            }
        };
        let transport = match &self.cassette {
            Some(path) => Arc::new(Cassette::new(path, way)?),
            None => way()?,
        };
        Ok(Client(Arc::new(Inner {
            transport,
            service: Service { replays: self.replays, ..service },
            protocol: self.protocol,
            thinking: self.thinking,
            key: self.key,
            limits: self.limits,
            retry: self.retry,
            allowance: Allowance::new(self.allowance),
            pacer: self.pace.map(Pacer::new),
            prices: self.prices.unwrap_or_else(|| PriceList::published(currency)),
            purse: Purse::new(self.budget.filter(|_| !self.free)),
            observer: self.observer,
            content: self.content,
            headers: self.headers,
            event_bytes_max: self.event_bytes_max,
            answer_bytes_max: self.answer_bytes_max,
            accept_open: self.accept_open,
            // When a call is dropped is nothing that a tape can repeat.
            gives_up: self.replays && self.cassette.is_none(),
            leaving: Bounds::default(),
        })))
    }
}

impl fmt::Debug for Builder {
    /// Neither key nor headers, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("protocol", &self.protocol)
            .field("timeouts", &self.limits)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn client(vars: &[(&str, &str)]) -> Result<Client> {
        let var = |name: &str| vars.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
        Builder::from_vars(&var)?.build()
    }

    #[test]
    fn the_environment_says_where_calls_go() {
        for (vars, compat, replays) in [
            (&[("QWENDA_BASE_URL", "http://h:1/v1")][..], "http://h:1/v1", true),
            (&[("QWENDA_BASE_URL", "http://h/v1"), ("DASHSCOPE_API_KEY", "sk-1")], "http://h/v1", true),
            (&[("DASHSCOPE_API_KEY", "sk-1")], "https://dashscope.aliyuncs.com/compatible-mode/v1", false),
            (
                &[("DASHSCOPE_API_KEY", "sk-1"), ("DASHSCOPE_REGION", "singapore")],
                "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
                false,
            ),
            (
                &[("DASHSCOPE_API_KEY", "sk-1"), ("DASHSCOPE_HTTP_BASE_URL", "http://h/api/v1")],
                "http://h/compatible-mode/v1",
                false,
            ),
        ] {
            let client = client(vars).unwrap();
            let service = &client.0.service;
            assert_eq!((service.compat.as_str(), service.replays), (compat, replays), "{vars:?}");
        }
    }

    #[test]
    fn an_environment_without_a_service_or_with_a_wrong_one_is_refused() {
        for vars in [
            &[][..],
            &[("QWENDA_BASE_URL", " ")],
            &[("DASHSCOPE_API_KEY", "sk-1"), ("DASHSCOPE_REGION", "mars")],
            &[("DASHSCOPE_API_KEY", "sk-\u{7f}")],
            &[("QWENDA_BASE_URL", "nowhere")],
        ] {
            assert_eq!(client(vars).unwrap_err().kind(), Kind::Config, "{vars:?}");
        }
    }

    #[test]
    fn a_workspace_has_an_address_of_its_own() {
        let client = Client::builder().workspace("ws-1", "cn-beijing").build().unwrap();
        assert_eq!(client.0.service.compat, "https://ws-1.cn-beijing.maas.aliyuncs.com/compatible-mode/v1");
        assert!(Client::builder().workspace("evil.example/", "x").build().is_err());
    }
}
