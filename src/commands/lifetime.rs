//! From ready to stopped: what a server process tells its service manager, and which signals it obeys.

use std::io;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::server::Server;

/// The signals that a server process obeys. Taken before anything is started, so that none is lost meanwhile.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Listens for SIGTERM and SIGINT (stop) and SIGHUP (read again).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Returns when someone asks the process to stop.
    pub async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Tells the service manager that the server is ready, obeys signals until the process shall end, then stops the server.
/// SIGHUP reads again what [`Server::read_again`] names, and calls `reload` for everything else. `false` if the server failed.
pub async fn until_stopped(mut server: Server, mut signals: Signals, mut reload: impl FnMut()) -> bool {
    notify(&[NotifyState::Ready]);
    let sound = loop {
        tokio::select! {
            _ = signals.terminate.recv() => break true,
            _ = signals.interrupt.recv() => break true,
            () = server.failed() => break false,
            _ = signals.hang_up.recv() => {
                server.read_again();
                reload();
            }
        }
    };
    notify(&[NotifyState::Stopping]);
    tracing::info!("stopping");
    server.stop().await;
    sound
}

fn notify(states: &[NotifyState<'_>]) {
    // Without a service manager there is nobody to tell.
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
