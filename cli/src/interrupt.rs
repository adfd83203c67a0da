//! Ctrl-C and SIGTERM.

/// Done at the next Ctrl-C. Listening begins at the call, not at the first poll, so that no Ctrl-C in
/// between is lost.
pub fn ctrl_c() -> impl Future<Output = ()> + Send {
    listen(Kind::Interrupt)
}

/// Done when the process is asked to end, from the keyboard or by its supervisor.
pub fn ended() -> impl Future<Output = ()> + Send {
    let (interrupt, terminate) = (listen(Kind::Interrupt), listen(Kind::Terminate));
    async move {
        tokio::select! {
            () = interrupt => (),
            () = terminate => (),
        }
    }
}

enum Kind {
    Interrupt,
    Terminate,
}

#[cfg(unix)]
fn listen(kind: Kind) -> impl Future<Output = ()> + Send {
    use tokio::signal::unix::{SignalKind, signal};
    let kind = match kind {
        Kind::Interrupt => SignalKind::interrupt(),
        Kind::Terminate => SignalKind::terminate(),
    };
    let listener = signal(kind);
    async move {
        match listener {
            Ok(mut listener) => {
                listener.recv().await;
            }
            // Without a listener the signal still does what the system does by itself: end us.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
fn listen(kind: Kind) -> impl Future<Output = ()> + Send {
    async move {
        let heard = match kind {
            Kind::Interrupt => tokio::signal::ctrl_c().await.is_ok(),
            Kind::Terminate => false,
        };
        if !heard {
            std::future::pending::<()>().await;
        }
    }
}
