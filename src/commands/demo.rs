//! `sote-acme demo`: the whole of it in a few seconds. A certificate authority comes into being in a temporary directory, the
//! real server starts over it, an organisation proves itself by an authority token and invites, a client obtains a certificate
//! by the invitation, a relying service checks it, the client revokes it, and the relying service learns that. Every step is printed with its duration; the exit status is success only if all of
//! it held. Start with [`run`].

mod client_flow;
mod proving;
mod steps;

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use self::client_flow::{Invited, Obtained};
use self::steps::Steps;
use super::logging::{LogError, Logging};
use super::trial::{Trial, TrialError, TrialFacts, TrialSettings};
use crate::client::{self, Http01Responder, KeyKind, KnownCertificate, StateDirectory};
use crate::config::{LogFormat, LogSettings};
use crate::names::base64url;

/// Shows everything in a few seconds: a certificate authority is made, an organisation proves itself and invites, a client gets
/// a certificate and revokes it, a relying service checks both.
#[derive(Debug, Args)]
pub struct DemoCommand {
    /// What is logged on standard error: error, warn, info, debug, trace, or directives.
    #[arg(long, default_value = "warn", value_name = "LEVEL")]
    log: String,
}

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The server.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// The client, or what the relying service found.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// A file.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        error: io::Error,
    },
}

/// The organisation of the sample register that proves itself; the trial server was told nothing of it.
const ORGANISATION: &str = "NTRFI-9990002-4";
/// Its unit in whose name the certificate is, and the zone of its names.
const UNIT: &str = "1.2.246.10.99900024.10.1";
const ZONE: &str = "sairaala.test";
/// The name that is certified; the embedded dns responder answers for it.
const NAME: &str = "www.sairaala.test";

/// Runs the demo.
///
/// # Errors
/// The first promise that was not kept.
pub async fn run(command: DemoCommand) -> Result<(), DemoError> {
    Logging::start(&LogSettings { level: command.log, format: LogFormat::Text })?;
    let directory = new_directory()?;
    println!("Sote-ACME demo in {}", directory.display());
    let steps = Steps::begin();
    let responder = Http01Responder::listen(([127, 0, 0, 1], 0).into()).await?;
    let mut settings = TrialSettings::on_free_ports(&directory.join("ca"));
    settings.http_01_port = responder.address().port();
    settings.token_authority = ORGANISATION.parse().ok();

    steps.chapter("A certificate authority comes into being");
    let starting = Trial::start(settings);
    let what = "make keys, register and token authority; start";
    let trial = steps.step(what, starting, |trial| trial.facts.acme_directory.clone()).await?;
    let outcome = client_side(&steps, &trial.facts, responder, &directory).await;

    steps.chapter("The end");
    let stopping = async {
        trial.stop().await;
        Ok::<(), DemoError>(())
    };
    steps.step("stop the server", stopping, |()| String::new()).await?;
    outcome?;
    print!("{}", farewell(&directory, steps.taken()));
    Ok(())
}

async fn client_side(
    steps: &Steps,
    facts: &TrialFacts,
    responder: Http01Responder,
    directory: &Path,
) -> Result<(), DemoError> {
    let read = |path: &Path| std::fs::read(path).map_err(at(path));
    let external_account = proving::run(steps, facts, UNIT, ZONE).await?;
    let invited = Invited {
        directory: facts.acme_directory.clone(),
        external_account,
        tls_root: read(&facts.tls_root)?,
        issuer_root: read(&facts.issuer_root)?,
        name: NAME.to_owned(),
        responder,
    };
    let Obtained { chain, key } = client_flow::run(steps, &invited).await?;
    let known = KnownCertificate { names: vec![NAME.to_owned()], unit: None, profile: None, key: KeyKind::EcP256 };
    StateDirectory::open(&directory.join("client"))?.keep_certificate(NAME, &known, &chain, &key)?;
    Ok(())
}

/// A new directory of this user's own among the system's temporary ones.
fn new_directory() -> Result<PathBuf, DemoError> {
    let mut suffix = [0; 6];
    let path = std::env::temp_dir();
    aws_lc_rs::rand::fill(&mut suffix).map_err(|_| at(&path)(io::Error::other("the system has no random numbers")))?;
    let path = path.join(format!("sote-acme-demo-{}", base64url::encode(&suffix)));
    std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(at(&path))?;
    Ok(path)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> DemoError + '_ {
    move |error| DemoError::Io { path: path.to_owned(), error }
}

fn farewell(directory: &Path, taken: Duration) -> String {
    let directory = directory.display();
    format!(
        "\nAll of it held, in {:.2} s. The files are kept:\n  \
           {directory}/ca      the authority: store, keys, certificates, CRLs\n  \
           {directory}/client  the organisation's certificate and key\n\
         The same server, staying up for real clients: sote-acme dev\n",
        taken.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_demo_has_a_new_directory_that_only_its_user_may_enter() {
        use std::os::unix::fs::PermissionsExt as _;
        let (one, other) = (new_directory().unwrap(), new_directory().unwrap());
        assert_ne!(one, other);
        for directory in [one, other] {
            assert_eq!(std::fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
            std::fs::remove_dir(directory).unwrap();
        }
    }
}
