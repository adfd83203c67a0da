//! A connection to PostgreSQL that others on the way cannot read.
//!
//! What ends the encryption is here and not in the server, so that it may be one that was built without.

use std::{net::SocketAddr, path::Path, sync::Arc};

use qwenda_store::Store;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, UnixStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use crate::postgres::Server;

/// What a client of PostgreSQL begins with that asks for encryption: eight bytes, and a number.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// An authority, as a file has it, and an acceptor whose certificate for `localhost` it signed.
fn certified() -> (String, TlsAcceptor) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&own_key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], PrivateKeyDer::Pkcs8(own_key.serialize_der().into()))
        .unwrap();
    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}

/// Ends the encryption of each connection and hands what was in it to the server behind the socket.
async fn listen(acceptor: TlsAcceptor, socket: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut caller, _) = listener.accept().await.unwrap();
            let (acceptor, socket) = (acceptor.clone(), socket.clone());
            tokio::spawn(async move {
                let mut asks = [0; SSL_REQUEST.len()];
                caller.read_exact(&mut asks).await.unwrap();
                assert_eq!(asks, SSL_REQUEST, "nobody speaks in the clear");
                caller.write_all(b"S").await.unwrap();
                // Who does not trust the certificate leaves here.
                let Ok(mut plain) = acceptor.accept(caller).await else { return };
                let mut server = UnixStream::connect(&socket).await.unwrap();
                // Both ways end when either side does.
                let _ = copy_bidirectional(&mut plain, &mut server).await;
            });
        }
    });
    address
}

fn url(address: SocketAddr, parameters: &str) -> String {
    format!("postgres://qwenda@localhost:{}/postgres?{parameters}", address.port())
}

async fn open(address: SocketAddr, authority: &Path) -> Result<Store, qwenda_store::Error> {
    let parameters = format!("sslmode=verify-full&sslrootcert={}", authority.display());
    Store::open_url(&url(address, &parameters)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_spoken_to_in_secret_if_its_certificate_is_trusted() {
    let Some(server) = Server::start() else {
        eprintln!("PostgreSQL is not on this machine: ITS TESTS ARE SKIPPED");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let ((authority, acceptor), (stranger, _)) = (certified(), certified());
    let paths = [("authority.pem", authority), ("stranger.pem", stranger)].map(|(name, pem)| {
        let path = dir.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path
    });
    let url_of_socket = server.url("postgres");
    let (_, folder) = url_of_socket.split_once("host=").unwrap();
    let address = listen(acceptor, format!("{folder}/.s.PGSQL.5432")).await;
    let store = open(address, &paths[0]).await.unwrap();
    assert_eq!(store.account_list().await.unwrap(), []);
    store.close().await;
    let error = open(address, &paths[1]).await.unwrap_err().to_string();
    assert!(error.contains("certificate") || error.contains("UnknownIssuer"), "{error}");
    // Without a word about it, what the server offers is used.
    let store = Store::open_url(&url(address, "")).await.unwrap();
    store.close().await;
}
