//! The demo's list of steps: what was done, what came of it, how long it took.

use std::future::Future;
use std::time::{Duration, Instant};

/// Columns of what was done.
const WIDTH: usize = 46;

/// Prints each step when it is done.
pub(super) struct Steps {
    begin: Instant,
}

impl Steps {
    pub(super) fn begin() -> Self {
        Steps { begin: Instant::now() }
    }

    /// A heading above the steps that follow.
    pub(super) fn chapter(&self, title: &str) {
        println!("\n{title}");
    }

    /// Carries out one step. `came_of_it` tells in a few words what it brought.
    pub(super) async fn step<T, E>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, E>>,
        came_of_it: impl FnOnce(&T) -> String,
    ) -> Result<T, E> {
        let begin = Instant::now();
        let outcome = work.await;
        let taken = begin.elapsed();
        match &outcome {
            Ok(value) => println!("{}", line("ok", what, taken, &came_of_it(value))),
            Err(_) => println!("{}", line("FAILED", what, taken, "")),
        }
        outcome
    }

    /// How long all steps have taken.
    pub(super) fn taken(&self) -> Duration {
        self.begin.elapsed()
    }
}

fn line(verdict: &str, what: &str, taken: Duration, result: &str) -> String {
    let milliseconds = taken.as_secs_f64() * 1000.0;
    format!("  {verdict:<6} {what:<WIDTH$} {milliseconds:>8.1} ms  {result}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_stand_below_each_other() {
        let lines = ["ok", "FAILED"].map(|verdict| line(verdict, "place an order", Duration::from_micros(1500), "x"));
        assert_eq!(lines[0].find("1.5 ms"), lines[1].find("1.5 ms"));
        assert!(lines[0].ends_with("  x"));
        assert!(!line("ok", "w", Duration::ZERO, "").ends_with(' '));
    }
}
