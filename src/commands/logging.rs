//! The log: lines on standard error, as text or JSON, whose level can be changed while the process runs. Start with
//! [`Logging::start`].

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Registry, fmt, reload};

use crate::config::{LogFormat, LogSettings};
use crate::time::{Clock as _, SystemClock};

/// Libraries that log what only their authors need. A directive in the configuration that names one goes before these.
const QUIET: &str = "hickory_proto=warn,hickory_resolver=warn,hickory_server=warn,hickory_net=warn,sled=warn,h2=warn,\
                     hyper=warn,rustls=warn,tokio_rustls=warn";

/// The running log.
#[derive(Clone)]
pub struct Logging(reload::Handle<EnvFilter, Registry>);

/// Why there is no log as configured.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level cannot be understood.
    #[error("log.level: \"{level}\": {error}; write error, warn, info, debug or trace, or directives with commas")]
    Level {
        /// What was written.
        level: String,
        /// What is wrong with it.
        error: ParseError,
    },
    /// Something else in this process logs already.
    #[error("the log cannot be started: {0}")]
    Start(#[from] TryInitError),
    /// The log is gone.
    #[error("the log level cannot be changed: {0}")]
    Change(#[from] reload::Error),
}

impl Logging {
    /// Starts the log of this process.
    ///
    /// # Errors
    /// A level that is none, or a log that runs already.
    pub fn start(settings: &LogSettings) -> Result<Self, LogError> {
        let (filter, handle) = reload::Layer::new(filter(&settings.level)?);
        let registry = tracing_subscriber::registry().with(filter);
        match settings.format {
            LogFormat::Json => {
                let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
                registry.with(lines.with_timer(WholeSeconds).with_writer(std::io::stderr)).try_init()?;
            }
            LogFormat::Text => {
                let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
                let lines = fmt::layer().with_ansi(colours).with_timer(WholeSeconds);
                registry.with(lines.with_writer(std::io::stderr)).try_init()?;
            }
        }
        Ok(Logging(handle))
    }

    /// Changes the level.
    ///
    /// # Errors
    /// A level that is none; the old one then stays.
    pub fn change_level(&self, level: &str) -> Result<(), LogError> {
        Ok(self.0.reload(filter(level)?)?)
    }
}

/// UTC in whole seconds, as everywhere else.
struct WholeSeconds;

impl fmt::time::FormatTime for WholeSeconds {
    fn format_time(&self, writer: &mut fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", SystemClock.now())
    }
}

/// Checks a level without starting anything.
///
/// # Errors
/// A level that is none.
pub fn checked_level(level: &str) -> Result<(), LogError> {
    filter(level).map(drop)
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let parsed = EnvFilter::builder().parse(format!("{QUIET},{level}"));
    parsed.map_err(|error| LogError::Level { level: level.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_understood_and_nonsense_is_told() {
        for level in ["info", "debug", "warn,sote_acme::validation=trace", "info,hickory_proto=debug"] {
            assert!(checked_level(level).is_ok(), "{level}");
        }
        let error = checked_level("info,=,").unwrap_err().to_string();
        assert!(error.starts_with("log.level: \"info,=,\""), "{error}");
    }
}
