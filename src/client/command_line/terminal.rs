//! Whoever sits at the terminal: sees what a command waits for, confirms what cannot be undone, types a PIN.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::report::printable;
use crate::client::error::{Error, Result};

/// A line about what goes on, on standard error: standard output is the command's result alone.
pub(super) fn progress(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", printable(line));
}

/// Tells each new state once, and not every look at it.
#[derive(Default)]
pub(super) struct Progress(Option<String>);

impl Progress {
    pub(super) fn tell(&mut self, line: String) {
        if self.0.as_ref() != Some(&line) {
            progress(&line);
            self.0 = Some(line);
        }
    }
}

/// Shows `what` and asks whether to go on.
///
/// # Errors
/// `Local` if nobody is there to be asked.
pub(super) fn confirmed(what: &str, question: &str) -> Result<bool> {
    progress(what);
    if !std::io::stdin().is_terminal() {
        return Err(Error::local(format!("{question} Nobody is there to be asked: add --yes")));
    }
    let _ = write!(std::io::stderr().lock(), "{question} Type yes to go on: ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|error| Error::local(error.to_string()))?;
    Ok(matches!(answer.trim(), "yes" | "y"))
}

/// Asks for the PIN of a card and does not show it.
///
/// # Errors
/// `Local` if nobody is there to be asked.
pub(super) fn pin() -> Result<Zeroizing<String>> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Error::local("nobody is there to be asked for the card's PIN: add --pin-file"));
    }
    let failed = |error: std::io::Error| Error::local(format!("the card's PIN: {error}"));
    let _ = write!(std::io::stderr().lock(), "PIN of the card: ");
    let shown = tcgetattr(&stdin).map_err(|error| failed(error.into()))?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(|error| failed(error.into()))?;
    let mut typed = Zeroizing::new(String::new());
    let read = stdin.lock().read_line(&mut typed);
    let restored = tcsetattr(&stdin, OptionalActions::Now, &shown);
    progress("");
    read.map_err(failed)?;
    restored.map_err(|error| failed(error.into()))?;
    Ok(Zeroizing::new(typed.trim().to_owned()))
}
