//! The ACME client of Sote-ACME.

fn main() -> std::process::ExitCode {
    sote_acme::client::command_line::run()
}
