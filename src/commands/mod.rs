//! One file per sub-command; the only place that knows every part. Start with [`run`], then `server.rs`.

mod admin_client;
mod approval;
mod audit;
mod certificate;
mod check_config;
mod clock;
pub mod demo;
pub mod dev;
pub mod dns;
pub mod dns_responder;
pub mod hierarchy;
mod init;
mod invitation;
mod lifetime;
pub mod logging;
mod mandate;
mod member;
mod migrate;
mod organisation;
mod register;
pub mod root_crl;
mod serve;
pub mod server;
mod status;
pub mod token_authority;
pub mod trial;

use std::fmt::Display;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a command came to, as the exit status tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// 0: everything was done.
    Done,
    /// 3: done in part; what was refused stands on standard error.
    InPart,
}

/// Why a command did not do what it was asked. It is told on standard error; the exit status tells which.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    /// 1: it failed, or was refused.
    #[error("{0}")]
    Failed(String),
    /// 4: no server answers at the admin socket.
    #[error("{0}")]
    NoServer(String),
}

type CommandResult = Result<Outcome, CommandError>;

impl CommandError {
    /// A failure with everything that is known about it.
    fn failed(why: impl Display) -> Self {
        CommandError::Failed(why.to_string())
    }
}

const EXIT_STATUSES: &str = "\
Exit status: 0 done; 1 failed or refused; 2 wrong command line; 3 done in part (some rows of a register were refused); \
4 no server answers at the admin socket.";

/// A certificate authority for Finnish social welfare and healthcare service certificates, over ACME (RFC 8555).
#[derive(Debug, Parser)]
#[command(name = "sote-acme", version, about, after_help = EXIT_STATUSES)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoCommand),
    Serve(serve::ServeCommand),
    CheckConfig(check_config::CheckConfigCommand),
    Init(init::InitCommand),
    Migrate(migrate::MigrateCommand),
    Dev(dev::DevCommand),
    Dns(dns::DnsCommand),
    RootCrl(root_crl::RootCrlCommand),
    /// Organisations: who may have certificates at all.
    #[command(subcommand)]
    Organisation(organisation::OrganisationCommand),
    /// Invitations: external account binding credentials with limits.
    #[command(subcommand)]
    Invitation(invitation::InvitationCommand),
    /// Members of organisations: those that wait are admitted here.
    #[command(subcommand)]
    Member(member::MemberCommand),
    /// Applications of organisations that registration officers decide.
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    /// Mandates: who may prove an organisation with a card of their own.
    #[command(subcommand)]
    Mandate(mandate::MandateCommand),
    /// The register of units.
    #[command(subcommand)]
    Register(register::RegisterCommand),
    /// Certificates: every one that was ever prepared.
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
    /// The audit trail.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// The clock.
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    Status(status::StatusCommand),
    /// A token authority (RFC 9447) for organisations.
    #[command(subcommand)]
    TokenAuthority(token_authority::TokenAuthorityCommand),
}

/// Runs the program with the arguments of this process.
pub fn run() -> ExitCode {
    let outcome = match Program::parse().command {
        Command::Serve(command) => within_runtime(serve::run(command)),
        Command::CheckConfig(command) => check_config::run(&command),
        Command::Init(command) => init::run(&command),
        Command::Migrate(command) => within_runtime(migrate::run(command)),
        Command::Demo(command) => within_runtime(async { done(demo::run(command).await) }),
        Command::Dev(command) => within_runtime(async { done(dev::run(command).await) }),
        Command::Dns(command) => done(dns::run(command)),
        Command::RootCrl(command) => done(root_crl::run(&command).map(print_line)),
        Command::Organisation(command) => within_runtime(organisation::run(command)),
        Command::Invitation(command) => within_runtime(invitation::run(command)),
        Command::Member(command) => within_runtime(member::run(command)),
        Command::Approval(command) => within_runtime(approval::run(command)),
        Command::Mandate(command) => within_runtime(mandate::run(command)),
        Command::Register(command) => within_runtime(register::run(command)),
        Command::Certificate(command) => within_runtime(certificate::run(command)),
        Command::Audit(command) => within_runtime(audit::run(command)),
        Command::Clock(command) => within_runtime(clock::run(command)),
        Command::Status(command) => within_runtime(status::run(command)),
        Command::TokenAuthority(command) => within_runtime(token_authority::run(command)),
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::InPart) => ExitCode::from(3),
        Err(error) => {
            eprintln!("sote-acme: {error}");
            ExitCode::from(match error {
                CommandError::Failed(_) => 1,
                CommandError::NoServer(_) => 4,
            })
        }
    }
}

/// The result of a command that knows no parts.
fn done<E: Display>(result: Result<(), E>) -> CommandResult {
    result.map(|()| Outcome::Done).map_err(CommandError::failed)
}

/// Runs a command that needs timers and sockets.
fn within_runtime(command: impl Future<Output = CommandResult>) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::Failed(format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(command)
}

/// Prints a line; whoever reads may have gone away, as `head` does.
fn print_line(line: impl Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_does_not_contradict_itself() {
        Program::command().debug_assert();
    }

    #[test]
    fn commands_are_called_as_the_documents_say() {
        for line in [
            "serve --config a.toml",
            "check-config a.toml",
            "init --config a.toml --software-keys",
            "migrate --config a.toml",
            "dev --dir d --listen 127.0.0.1:0 --allow-zone test --allow-zone * --allow-network 10.0.0.0/8 --dns 127.0.0.1:53",
            "dns add --dir d _acme-challenge.www.test TXT abc",
            "dns remove --dir d _acme-challenge.www.test TXT abc",
            "organisation add 0245437-2 --zone example.fi --profile sote-server --socket s",
            "organisation list --json",
            "organisation limits 0245437-2 --zone example.fi --language sv",
            "organisation suspend 0245437-2 --reason x",
            "organisation resume 0245437-2 --reason x",
            "invitation create 0245437-2 --unit 1.2.246.10.2454372.10.1 --uses 5 --valid-for 14d",
            "invitation list 0245437-2",
            "invitation revoke k1_AAAAAAAAAAAAAAAAAAAAAA --reason x",
            "member list 0245437-2",
            "member admit AAAAAAAAAAAAAAAAAAAAAA --role auditor",
            "member refuse AAAAAAAAAAAAAAAAAAAAAA --reason x",
            "approval list",
            "approval show 0ABCD-EFGHJ",
            "approval approve 0ABCD-EFGHJ --fingerprint ABCD1234ABCD1234",
            "approval reject 0ABCD-EFGHJ --reason x",
            "mandate add 0245437-2 --person-file p --valid-for 30d",
            "mandate list 0245437-2",
            "mandate end AAAAAAAAAAAAAAAAAAAAAA",
            "register import file.csv --dry-run",
            "register import --source thl file.xml --force --partial",
            "register sync --force",
            "register show 0245437-2 --at 2027-01-31T12:00:00Z --generation 4",
            "certificate list --organisation 0245437-2",
            "certificate show 0a0b --pem",
            "audit list --from 5",
            "audit verify",
            "clock accept",
            "token-authority init --dir d --issuer https://a.test --audience https://ca.test/organisation/directory --organisation NTRFI-0245437-2",
            "token-authority serve --config token-authority.toml",
            "status",
            "root-crl --certificate root.pem --key root.key --crl root.crl --days 365 --revoke a.pem --compromised",
        ] {
            let words = std::iter::once("sote-acme").chain(line.split(' '));
            assert!(Program::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
