//! `init`: makes the state directory with an empty store, the master keys of invitations, and if asked a CA hierarchy with
//! software keys. Nothing that exists is written over, and nothing else ever makes these.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::hierarchy::{self, AuthorityFiles, AuthorityPlan};
use super::server::{MASTER_KEY_OCTETS, store_options};
use super::{CommandError, CommandResult, Outcome, print_line};
use crate::config::{Config, Issuer, Root};
use crate::signer::NewKey;
use crate::store::sled::SledStore;
use crate::time::{Clock as _, SystemClock};

/// Makes the state directory with an empty store, the invitation master keys and, if asked, software CA keys.
#[derive(Debug, Args)]
pub(super) struct InitCommand {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Make the CA keys and certificates that the configuration names: two roots, one issuer below both, its OCSP responder.
    /// Move the roots' keys away afterwards: the server never needs them.
    #[arg(long)]
    software_keys: bool,
    /// The kind of the CA keys.
    #[arg(long, value_enum, default_value_t = KeyType::P384, requires = "software_keys")]
    key_type: KeyType,
    /// The organisation (O) in the CA certificates.
    #[arg(long, default_value = "Sote-ACME", requires = "software_keys")]
    organisation: String,
    /// What the common names (CN) of the CA certificates begin with.
    #[arg(long, default_value = "Sote-ACME", requires = "software_keys")]
    common_name: String,
    /// For how many days the roots' first CRLs are valid.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(i64).range(1..=3_650), requires = "software_keys")]
    root_crl_days: i64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KeyType {
    P256,
    P384,
    Rsa3072,
    Rsa4096,
}

pub(super) fn run(command: &InitCommand) -> CommandResult {
    let config = Config::read(&command.config).map_err(CommandError::failed)?;
    if config.state.join("format.json").exists() {
        let state = config.state.display();
        return Err(CommandError::Failed(format!("{state} holds a store already: nothing was changed")));
    }
    // Keys first: a store is the sign of a finished `init`.
    if command.software_keys {
        make_authority(command, &config)?;
    }
    make_master_keys(&config)?;
    let store = SledStore::create(&config.state, store_options(&config.store), SystemClock.now());
    let store = store.map_err(CommandError::failed)?;
    print_line(format_args!("made {} (store {})", config.state.display(), store.format().store));
    print_line(format_args!("next: sote-acme check-config {}", command.config.display()));
    Ok(Outcome::Done)
}

fn make_authority(command: &InitCommand, config: &Config) -> Result<(), CommandError> {
    let ([issuer], [root, alternate_root]) = (config.issuers.as_slice(), config.roots.as_slice()) else {
        let why = "--software-keys makes one issuer below two roots: the configuration needs one [[issuers]] and two [[roots]]";
        return Err(CommandError::Failed(why.to_owned()));
    };
    let plan = AuthorityPlan {
        key: match command.key_type {
            KeyType::P256 => NewKey::P256,
            KeyType::P384 => NewKey::P384,
            KeyType::Rsa3072 => NewKey::Rsa3072,
            KeyType::Rsa4096 => NewKey::Rsa4096,
        },
        organisation: command.organisation.clone(),
        common_name: command.common_name.clone(),
        root: root.name.clone(),
        alternate_root: alternate_root.name.clone(),
        issuer: issuer.name.clone(),
        public_url: config.public_url.clone(),
        root_crl_days: command.root_crl_days,
    };
    let directory = command.config.parent().unwrap_or(Path::new(""));
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    as_configured(&AuthorityFiles::below(directory, &plan), issuer, [root, alternate_root])?;
    let files = hierarchy::create_authority(directory, &plan, SystemClock.now()).map_err(CommandError::failed)?;
    for path in [&files.root.key, &files.alternate_root.key, &files.issuer_key, &files.responder_key] {
        print_line(format_args!("made {}", path.display()));
    }
    print_line("move the keys of the roots away: the server never needs them");
    Ok(())
}

/// The configuration must name the files that are going to be made, or the server would look for others.
fn as_configured(files: &AuthorityFiles, issuer: &Issuer, roots: [&Root; 2]) -> Result<(), CommandError> {
    let same = |a: &Path, b: &Path| a.components().eq(b.components()) || a == Path::new(".").join(b);
    let none = PathBuf::new();
    let expected = [
        ("issuers[0].certificate", &issuer.certificate, &files.issuer_certificate),
        ("issuers[0].key", &issuer.key, &files.issuer_key),
        ("issuers[0].alternates[0]", issuer.alternates.first().unwrap_or(&none), &files.cross_certificate),
        ("issuers[0].ocsp.certificate", &issuer.ocsp.certificate, &files.responder_certificate),
        ("issuers[0].ocsp.key", &issuer.ocsp.key, &files.responder_key),
        ("roots[0].certificate", &roots[0].certificate, &files.root.certificate),
        ("roots[0].crl", &roots[0].crl, &files.root.crl),
        ("roots[1].certificate", &roots[1].certificate, &files.alternate_root.certificate),
        ("roots[1].crl", &roots[1].crl, &files.alternate_root.crl),
    ];
    let wrong: Vec<String> = expected
        .iter()
        .filter(|(_, configured, made)| !same(made, configured))
        .map(|(key, configured, made)| {
            format!("{key}: is {}, but --software-keys makes {}", configured.display(), made.display())
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(CommandError::Failed(wrong.join("\n"))) }
}

fn make_master_keys(config: &Config) -> Result<(), CommandError> {
    let paths = config.invitation_keys.files.values().chain(&config.organisation.person_key);
    for path in paths.filter(|path| !path.exists()) {
        let failed = |error| CommandError::Failed(format!("{}: {error}", path.display()));
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        make_master_key(path).map_err(failed)?;
        print_line(format_args!("made {}: back it up apart from the store", path.display()));
    }
    Ok(())
}

/// Random octets for their owner alone, where nothing was.
fn make_master_key(path: &Path) -> std::io::Result<()> {
    let mut key = zeroize::Zeroizing::new([0u8; MASTER_KEY_OCTETS]);
    aws_lc_rs::rand::fill(&mut key[..]).map_err(|_| std::io::Error::other("the random source does not work"))?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&key[..])?;
    file.sync_all()
}
