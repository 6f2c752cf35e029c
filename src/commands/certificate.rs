//! `certificate list|show`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::admin_client::{Connection, escaped, member, table};
use super::{CommandError, CommandResult, Outcome, print_line};
use crate::names::{BusinessId, base64url};
use crate::x509::pem;

#[derive(Debug, Subcommand)]
pub(super) enum CertificateCommand {
    /// List every certificate that was ever prepared, with its stage.
    List {
        /// Only those of the organisation with this Business ID.
        #[arg(long, value_name = "BUSINESS-ID")]
        organisation: Option<BusinessId>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one certificate.
    Show {
        /// Its serial number in hexadecimal, or its id.
        certificate: String,
        /// Print what was signed, in PEM.
        #[arg(long)]
        pem: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: CertificateCommand) -> CommandResult {
    match command {
        CertificateCommand::List { organisation, connection } => {
            let path = match organisation {
                Some(id) => format!("/certificates?organisation={}", escaped(id.as_str())),
                None => "/certificates".to_owned(),
            };
            let all = connection.pages(&path, "certificates").await?;
            let rows: Vec<_> = all.iter().map(row).collect();
            connection.show(&json!({ "certificates": all }), table(&HEADING, &rows));
        }
        CertificateCommand::Show { certificate, pem, connection } => {
            let which = certificate.replace(':', "");
            let shown = connection.get(&format!("/certificates/{}", escaped(&which))).await?;
            if pem {
                print_line(in_pem(&shown)?.trim_end());
            } else {
                connection.show(&shown, described(&shown));
            }
        }
    }
    Ok(Outcome::Done)
}

fn in_pem(certificate: &Value) -> Result<String, CommandError> {
    let der = base64url::decode(&member(certificate, "der")).map_err(CommandError::failed)?;
    // A certificate that was only prepared has no signature: what is to be signed has no PEM label of its own.
    match member(certificate, "stage.state").as_str() {
        "prepared" => Err(CommandError::Failed("nothing was signed: the certificate is only prepared".to_owned())),
        "abandoned" => Err(CommandError::Failed("nothing was signed: the certificate was abandoned".to_owned())),
        _ => Ok(pem::encoded("CERTIFICATE", &der)),
    }
}

/// How far the certificate has come; `revoked` goes before `issued`.
fn stage(certificate: &Value) -> String {
    match certificate.get("revocation") {
        None | Some(Value::Null) => member(certificate, "stage.state"),
        Some(_) => "revoked".to_owned(),
    }
}

const HEADING: [&str; 7] = ["SERIAL", "STAGE", "ISSUER", "PROFILE", "NOT AFTER", "UNIT", "NAMES"];

fn row(certificate: &Value) -> Vec<String> {
    let shown = |name: &str| member(certificate, name);
    vec![
        shown("serial"),
        stage(certificate),
        shown("issuer"),
        shown("profile"),
        shown("not_after"),
        shown("unit"),
        names(certificate),
    ]
}

fn names(certificate: &Value) -> String {
    let identifiers = certificate.get("identifiers").and_then(Value::as_array).into_iter().flatten();
    identifiers.map(|identifier| member(identifier, "value")).collect::<Vec<_>>().join(" ")
}

fn described(certificate: &Value) -> Vec<String> {
    let Some(object) = certificate.as_object() else { return Vec::new() };
    let line = |name: &String| match name.as_str() {
        "identifiers" => format!("{name:<18} {}", names(certificate)),
        _ => format!("{name:<18} {}", member(certificate, name)),
    };
    object.keys().filter(|name| *name != "der").map(line).collect()
}
