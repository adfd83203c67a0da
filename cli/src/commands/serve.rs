//! `qwenda serve`: the HTTP service in front of the embedded models and of upstreams.

use std::{net::TcpListener, sync::Arc};

use qwenda_backend::{
    Backend,
    local::{Local, LocalModel, LocalOptions},
    routing::Routing,
    upstream::{Upstream, config::UpstreamConfig},
};
use qwenda_server::{Auth, BindError, Place, Server};

use super::keys;
use crate::{
    args,
    exit::CliError,
    interrupt,
    lang::{Lang, messages},
    model,
    output::Ui,
    progress,
    settings::Settings,
};

pub async fn run(ui: Ui, settings: &Settings, args: args::Serve) -> Result<(), CliError> {
    let serve = settings.serve(&args)?;
    let config = serve.server;
    // An address that is taken is better known before a gigabyte is fetched.
    if let Err(error) = TcpListener::bind(config.listen) {
        return Err(CliError::failure(messages::cannot_listen(ui.lang, &config.listen.to_string(), &error)));
    }
    // So is an upstream that cannot be asked.
    let mut backends = upstreams(ui.lang, serve.upstreams)?;
    if !serve.models.is_empty() {
        let mut options = model::options(settings, serve.threads);
        options.context_tokens_max = serve.context_tokens_max;
        serve.engine.apply(&mut options);
        if let Some(draft) = &serve.draft {
            options.draft = Some(model::obtain(ui, settings, draft).await?.path);
        }
        backends.insert(0, local(ui, settings, &serve.models, options).await?);
    }
    let backend = Routing::new(backends)
        .map_err(|duplicate| CliError::usage(messages::model_given_twice(ui.lang, &duplicate.name)))?;

    let (auth, place) = (config.auth, Place::from(&config));
    let server = Server::bind(config, Arc::new(backend)).await.map_err(|error| explain(ui.lang, &error))?;
    // Listening for the end begins before anybody is told that we are ready.
    let first = interrupt::ended();
    ui.say(&format!("listening on http://{}", server.addr()));
    match auth {
        Auth::None => ui.notice(messages::no_auth(ui.lang)),
        Auth::Keys if !keys::any(ui.lang, &place).await? => {
            let folder = match args.data_dir {
                Some(_) => format!(" --data-dir {}", place.data_dir.display()),
                None => String::new(),
            };
            ui.notice(messages::no_key_yet(ui.lang, &format!("qwenda keys create{folder} --name me")));
        }
        Auth::Keys => {}
    }
    let (draining, second) = tokio::sync::oneshot::channel();
    let shutdown = async move {
        first.await;
        let again = interrupt::ended();
        ui.notice(messages::draining(ui.lang));
        // Nobody listens any more only when the server has ended, and then all is well.
        let _ = draining.send(again);
    };
    let impatient = async {
        match second.await {
            Ok(again) => again.await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = server.run(shutdown) => Ok(()),
        () = impatient => Err(CliError::interrupted()),
    }
}

/// The embedded models, fetched first where they are not here.
async fn local(
    ui: Ui,
    settings: &Settings,
    names: &[String],
    options: LocalOptions,
) -> Result<Arc<dyn Backend>, CliError> {
    let mut models: Vec<LocalModel> = Vec::new();
    for name in names {
        let file = model::obtain(ui, settings, name).await?;
        if models.iter().any(|other| other.name == file.name) {
            return Err(CliError::usage(messages::model_given_twice(ui.lang, &file.name)));
        }
        models.push(file);
    }
    let names = models.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
    let spinner = progress::spinner(ui, messages::loading(ui.lang, &names));
    let backend = model::blocking(move || Local::open(models, options)).await;
    spinner.clear();
    let backend = backend?.map_err(|error| CliError::model(messages::unusable_model(ui.lang, &names, &error)))?;
    Ok(Arc::new(backend))
}

fn upstreams(lang: Lang, configs: Vec<UpstreamConfig>) -> Result<Vec<Arc<dyn Backend>>, CliError> {
    let open = |config| match Upstream::new(config) {
        Ok(upstream) => Ok(Arc::new(upstream) as Arc<dyn Backend>),
        Err(error) => Err(CliError::failure(messages::upstream_unusable(lang, &error.name, &error.why))),
    };
    configs.into_iter().map(open).collect()
}

fn explain(lang: Lang, error: &BindError) -> CliError {
    match error {
        BindError::Config(error) => CliError::usage(messages::bad_serve_settings(lang, error)),
        BindError::Keys(error) => CliError::failure(messages::bad_keys(lang, error)),
        BindError::Listen { listen, source } => {
            CliError::failure(messages::cannot_listen(lang, &listen.to_string(), source))
        }
    }
}
