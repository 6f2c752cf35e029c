//! The Sote-ACME server. Everything is in the library; see `commands`.

fn main() -> std::process::ExitCode {
    sote_acme::commands::run()
}
