//! The listeners: ACME over TLS, public status over plain HTTP, administration over Unix sockets. Binding comes first, so
//! that the real ports are known before anything that names them is made. Start with [`Listeners::bind`].

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::Protocol;
use super::app::App;
use super::connection::{self, Peer, Service};
use super::limits::Slots;
use super::tls::Tls;
use crate::config::HttpSettings as Settings;

/// How long to wait when the process has no file descriptor or memory left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How long a command over the admin socket may take.
const ADMIN_REQUEST: Duration = Duration::from_secs(3600);
/// File descriptors that are left to the store, to validation and to everything else.
const OTHER_DESCRIPTORS: u64 = 256;

/// Where to listen. Port 0 lets the system choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// ACME, HTTPS.
    pub acme: SocketAddr,
    /// CRLs, OCSP and issuer certificates, plain HTTP.
    pub public: SocketAddr,
    /// Administration: the paths of Unix sockets. Every one but the first stands for another officer (trial servers only).
    pub admin: Vec<PathBuf>,
}

/// Why a listener cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    address: String,
    source: io::Error,
}

/// Bound listeners that do not serve yet: connections wait in the kernel.
pub struct Listeners {
    acme: TcpListener,
    public: TcpListener,
    admin: Vec<UnixListener>,
    paths: Vec<PathBuf>,
    acme_address: SocketAddr,
    public_address: SocketAddr,
}

/// Who answers on which listener.
pub(super) struct Services {
    pub(super) acme: Arc<dyn Service>,
    pub(super) public: Arc<dyn Service>,
    pub(super) admin: Arc<dyn Service>,
}

/// Serving listeners. Dropping it leaves them serving; [`Server::stop`] ends them.
pub struct Server {
    context: Context,
    admin: Vec<PathBuf>,
    stop_timeout: Duration,
}

/// What every accept loop needs.
#[derive(Clone)]
struct Context {
    settings: Arc<Settings>,
    tasks: TaskTracker,
    /// No new connection, no new request.
    stopping: CancellationToken,
    /// The patience with requests in flight is over.
    cut: CancellationToken,
}

impl Listeners {
    /// Binds every listener. A socket file that is left from an earlier process is replaced: whoever calls holds the
    /// state directory's lock, so that no living server loses its socket.
    ///
    /// # Errors
    /// The first address that cannot be had, and why.
    pub async fn bind(addresses: &Addresses) -> Result<Self, BindError> {
        let acme = bind_tcp(addresses.acme).await?;
        let public = bind_tcp(addresses.public).await?;
        let admin = addresses.admin.iter().map(|path| bind_unix(path)).collect::<Result<_, _>>()?;
        let (acme_address, public_address) = (real_address(&acme)?, real_address(&public)?);
        Ok(Listeners { acme, public, admin, paths: addresses.admin.clone(), acme_address, public_address })
    }

    /// The real address of the ACME listener.
    pub fn acme_address(&self) -> SocketAddr {
        self.acme_address
    }

    /// The real address of the public listener.
    pub fn public_address(&self) -> SocketAddr {
        self.public_address
    }

    /// Begins to serve.
    pub fn serve(self, app: &Arc<App>, tls: Arc<Tls>) -> Server {
        self.serve_with(app.services(), tls, &app.settings)
    }

    /// Begins to serve by other services.
    pub(super) fn serve_with(self, services: Services, tls: Arc<Tls>, settings: &Settings) -> Server {
        let connections = settings.connections.min(affordable_connections());
        let context = Context {
            settings: Arc::new(Settings { connections, ..settings.clone() }),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        let acme = Door::Tls(tls, services.acme);
        context.tasks.spawn(context.clone().accept_tcp(self.acme, acme));
        context.tasks.spawn(context.clone().accept_tcp(self.public, Door::Plain(services.public)));
        // An import or a check of the whole audit trail may take its time.
        let patient = Settings { request_timeout: ADMIN_REQUEST, ..(*context.settings).clone() };
        let admin = Context { settings: Arc::new(patient), ..context.clone() };
        for (socket, listener) in self.admin.into_iter().enumerate() {
            context.tasks.spawn(admin.clone().accept_unix(listener, socket, Arc::clone(&services.admin)));
        }
        Server { context, admin: self.paths, stop_timeout: settings.stop_timeout }
    }
}

impl Server {
    /// Accepts nothing more, lets requests in flight finish within the configured time, closes every connection, and
    /// returns when nothing of it is left.
    pub async fn stop(self) {
        self.context.stopping.cancel();
        self.context.tasks.close();
        if tokio::time::timeout(self.stop_timeout, self.context.tasks.wait()).await.is_err() {
            tracing::warn!("some requests did not finish in time and are cut off");
            self.context.cut.cancel();
            self.context.tasks.wait().await;
        }
        for path in &self.admin {
            // Left behind it would only puzzle people: the next start replaces it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// How many connections each of the two TCP listeners can hold with the file descriptors that the process may have.
/// Without this bound, connections would take the descriptors that the store needs.
fn affordable_connections() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    // The soft limit is for programs that use select(2); the hard one is what the administrator grants.
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_ok() {
        limit.current = limit.maximum;
    }
    // Without a limit there is no bound but the configured one.
    limit.current.map_or(usize::MAX, |most| {
        usize::try_from(most.saturating_sub(OTHER_DESCRIPTORS) / 2).unwrap_or(usize::MAX).max(1)
    })
}

async fn bind_tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address: address.to_string(), source })
}

fn real_address(listener: &TcpListener) -> Result<SocketAddr, BindError> {
    listener.local_addr().map_err(|source| BindError { address: "a socket without address".to_owned(), source })
}

fn bind_unix(path: &Path) -> Result<UnixListener, BindError> {
    let failed = |source| BindError { address: path.display().to_string(), source };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
    Ok(listener)
}

/// What happens to an accepted TCP connection.
#[derive(Clone)]
enum Door {
    Tls(Arc<Tls>, Arc<dyn Service>),
    Plain(Arc<dyn Service>),
}

impl Context {
    async fn accept_tcp(self, listener: TcpListener, door: Door) {
        let slots = Slots::new(self.settings.connections, self.settings.connections_per_address);
        while let Some((place, (stream, peer))) = self.next(&slots, || listener.accept()).await {
            let Some(slot) = slots.of_address(peer.ip()) else {
                tracing::debug!(peer = %peer.ip(), "closed a connection: the address has too many");
                continue;
            };
            let (context, door) = (self.clone(), door.clone());
            self.tasks.spawn(async move {
                let _held = (place, slot);
                tokio::select! {
                    () = context.cut.cancelled() => {}
                    () = context.serve_tcp(stream, peer, door) => {}
                }
            });
        }
    }

    async fn accept_unix(self, listener: UnixListener, socket: usize, service: Arc<dyn Service>) {
        let slots = Slots::new(self.settings.connections, self.settings.connections);
        while let Some((place, (stream, _))) = self.next(&slots, || listener.accept()).await {
            let (context, service) = (self.clone(), Arc::clone(&service));
            self.tasks.spawn(async move {
                let _held = place;
                tokio::select! {
                    () = context.cut.cancelled() => {}
                    () = context.serve_unix(stream, socket, service) => {}
                }
            });
        }
    }

    /// The next connection and its place among all; `None` when the server stops.
    async fn next<T, F: Future<Output = io::Result<T>>>(
        &self,
        slots: &Slots,
        accept: impl Fn() -> F,
    ) -> Option<(tokio::sync::OwnedSemaphorePermit, T)> {
        let place = tokio::select! {
            () = self.stopping.cancelled() => return None,
            place = slots.place() => place?,
        };
        loop {
            let accepted = tokio::select! {
                () = self.stopping.cancelled() => return None,
                accepted = accept() => accepted,
            };
            match accepted {
                Ok(connection) => return Some((place, connection)),
                // The peer left before it was accepted.
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection now");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve_tcp(&self, stream: TcpStream, address: SocketAddr, door: Door) {
        // Answers are small and complete: waiting for more to send helps no one.
        let _ = stream.set_nodelay(true);
        let peer = Peer::Address(address.ip().to_canonical());
        match door {
            Door::Plain(service) => self.serve(stream, Protocol::Http1, peer, service).await,
            Door::Tls(tls, service) => {
                let handshake = tls.acceptor().accept(stream);
                let accepted = tokio::select! {
                    () = self.stopping.cancelled() => return,
                    accepted = tokio::time::timeout(self.settings.handshake_timeout, handshake) => accepted,
                };
                match accepted {
                    Ok(Ok(stream)) => {
                        let by_alpn = match stream.get_ref().1.alpn_protocol() {
                            Some(b"h2") => Protocol::Http2,
                            Some(_) | None => Protocol::Http1,
                        };
                        self.serve(stream, by_alpn, peer, service).await;
                    }
                    Ok(Err(error)) => tracing::debug!(?peer, %error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!(?peer, "a TLS handshake took too long"),
                }
            }
        }
    }

    async fn serve_unix(&self, stream: UnixStream, socket: usize, service: Arc<dyn Service>) {
        match stream.peer_cred() {
            Ok(caller) => {
                let peer = Peer::User { uid: caller.uid(), socket };
                self.serve(stream, Protocol::Http1, peer, service).await;
            }
            Err(error) => tracing::warn!(%error, "closed an administration connection: who calls is unknown"),
        }
    }

    async fn serve<S>(&self, stream: S, protocol: Protocol, peer: Peer, service: Arc<dyn Service>)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        connection::serve(stream, protocol, peer, service, &self.settings, self.stopping.clone()).await;
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
