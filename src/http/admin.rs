//! The admin socket: HTTP/1.1 with JSON for registration officers, operators and auditors of this machine. Who calls is
//! known by the kernel's word for the caller's user; every act goes through the authority under the officer's name. Errors
//! are `{"error": …, "next": …}`. Start with [`Command`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::{Bytes, Incoming};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::app::App;
use super::connection::{Peer, Service};
use super::officers::{Officer, Power};
use super::pipeline::{self, Context, Refused};
use super::reply::{Error, Reply};
use super::request::{self, Arrived};
use super::{query::Query, register};
use crate::authority::Fault;
use crate::authority::officers::invitations::CreateInvitation;
use crate::authority::officers::members::Admitter;
use crate::authority::officers::organisations::AddOrganisation;
use crate::model::Refusal;

/// Answers officers.
pub(super) struct AdminListener(pub(super) Arc<App>);

impl Service for AdminListener {
    fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        peer: Peer,
    ) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send>> {
        Box::pin(async move {
            let app = &self.0;
            pipeline::answer(app, "admin", request, peer, |request, context| reply(app, request, context)).await
        })
    }
}

/// What officers can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Command {
    /// `GET /me`: under which name and role the caller is known.
    Me,
    /// `POST /organisations`.
    AddOrganisation,
    /// `GET /organisations?after=ID`.
    ListOrganisations,
    /// `POST /organisations/suspend`.
    SuspendOrganisation,
    /// `POST /organisations/resume`.
    ResumeOrganisation,
    /// `POST /organisations/limits`.
    LimitOrganisation,
    /// `POST /invitations`.
    CreateInvitation,
    /// `GET /invitations?organisation=BUSINESS-ID&after=ID`.
    ListInvitations,
    /// `POST /invitations/revoke`.
    RevokeInvitation,
    /// `GET /members?organisation=BUSINESS-ID&after=ID`.
    ListMembers,
    /// `POST /members/admit`.
    AdmitMember,
    /// `POST /members/refuse`.
    RefuseMember,
    /// `GET /applications?after=PLACE`.
    ListApplications,
    /// `GET /applications/REFERENCE`.
    ShowApplication(String),
    /// `POST /applications/approve`.
    ApproveApplication,
    /// `POST /applications/reject`.
    RejectApplication,
    /// `POST /mandates`.
    AddMandate,
    /// `GET /mandates?organisation=BUSINESS-ID&after=ID`.
    ListMandates,
    /// `POST /mandates/end`.
    EndMandate,
    /// `POST /register?source=thl&dry-run=true&force=true&partial=true`, the body being the export itself.
    ImportRegister,
    /// `POST /register/sync?force=true`: fetch what has changed from the configured code service.
    SyncRegister,
    /// `GET /register?what=OID-BUSINESS-ID-OR-NAME&at=TIME&generation=NUMBER`.
    ShowRegister,
    /// `GET /certificates?organisation=BUSINESS-ID&after=ID`.
    ListCertificates,
    /// `GET /certificates/SERIAL-OR-ID`.
    ShowCertificate(String),
    /// `GET /audit?from=NUMBER`.
    ListAudit,
    /// `GET /audit/verification`.
    VerifyAudit,
    /// `POST /clock/accept`: the machine's clock is right though it stands before the newest audit entry.
    AcceptClock,
    /// `GET /unfinished`: what the worker still has to do.
    Unfinished,
}

impl Command {
    /// The command of a method and a path.
    fn parse(method: &Method, path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["me"]) => Some(Command::Me),
            ("POST", ["organisations"]) => Some(Command::AddOrganisation),
            ("GET", ["organisations"]) => Some(Command::ListOrganisations),
            ("POST", ["organisations", "suspend"]) => Some(Command::SuspendOrganisation),
            ("POST", ["organisations", "resume"]) => Some(Command::ResumeOrganisation),
            ("POST", ["organisations", "limits"]) => Some(Command::LimitOrganisation),
            ("POST", ["invitations"]) => Some(Command::CreateInvitation),
            ("GET", ["invitations"]) => Some(Command::ListInvitations),
            ("POST", ["invitations", "revoke"]) => Some(Command::RevokeInvitation),
            ("GET", ["members"]) => Some(Command::ListMembers),
            ("POST", ["members", "admit"]) => Some(Command::AdmitMember),
            ("POST", ["members", "refuse"]) => Some(Command::RefuseMember),
            ("GET", ["applications"]) => Some(Command::ListApplications),
            ("GET", ["applications", reference]) => Some(Command::ShowApplication((*reference).to_owned())),
            ("POST", ["applications", "approve"]) => Some(Command::ApproveApplication),
            ("POST", ["applications", "reject"]) => Some(Command::RejectApplication),
            ("POST", ["mandates"]) => Some(Command::AddMandate),
            ("GET", ["mandates"]) => Some(Command::ListMandates),
            ("POST", ["mandates", "end"]) => Some(Command::EndMandate),
            ("POST", ["register"]) => Some(Command::ImportRegister),
            ("POST", ["register", "sync"]) => Some(Command::SyncRegister),
            ("GET", ["register"]) => Some(Command::ShowRegister),
            ("GET", ["certificates"]) => Some(Command::ListCertificates),
            ("GET", ["certificates", which]) => Some(Command::ShowCertificate((*which).to_owned())),
            ("GET", ["audit"]) => Some(Command::ListAudit),
            ("GET", ["audit", "verification"]) => Some(Command::VerifyAudit),
            ("POST", ["clock", "accept"]) => Some(Command::AcceptClock),
            ("GET", ["unfinished"]) => Some(Command::Unfinished),
            _ => None,
        }
    }

    /// What the command needs.
    fn power(&self) -> Power {
        match self {
            Command::AddOrganisation
            | Command::SuspendOrganisation
            | Command::ResumeOrganisation
            | Command::LimitOrganisation
            | Command::CreateInvitation
            | Command::RevokeInvitation
            | Command::AdmitMember
            | Command::RefuseMember
            | Command::ApproveApplication
            | Command::RejectApplication
            | Command::AddMandate
            | Command::EndMandate => Power::Decide,
            Command::ImportRegister | Command::SyncRegister | Command::AcceptClock => Power::Operate,
            Command::Me
            | Command::ListOrganisations
            | Command::ListInvitations
            | Command::ShowRegister
            | Command::ListMembers
            | Command::ListApplications
            | Command::ShowApplication(_)
            | Command::ListMandates
            | Command::ListCertificates
            | Command::ShowCertificate(_)
            | Command::ListAudit
            | Command::VerifyAudit
            | Command::Unfinished => Power::See,
        }
    }
}

/// Why a command was not carried out, with what to do next.
struct Failure {
    status: StatusCode,
    error: String,
    next: String,
}

impl Failure {
    fn new(status: StatusCode, error: impl Into<String>, next: impl Into<String>) -> Self {
        Failure { status, error: error.into(), next: next.into() }
    }

    fn reply(self) -> Reply {
        Reply::json(self.status, &json!({ "error": self.error, "next": self.next }))
    }
}

async fn reply(app: &App, request: Result<Arrived, Refused>, context: Context) -> Reply {
    let answered = match request {
        Ok(request) => answered(app, request, &context).await,
        Err(refused) => Err(failure(refused.error, &context)),
    };
    match answered {
        Ok(reply) => reply,
        Err(failure) => failure.reply(),
    }
}

async fn answered(app: &App, request: Arrived, context: &Context) -> Result<Reply, Failure> {
    let officer = caller(app, context)?;
    let command = Command::parse(&request.head.method, request.head.uri.path()).ok_or_else(|| {
        Failure::new(StatusCode::NOT_FOUND, "there is no such command", "use the sote-acme program of the same version")
    })?;
    if !officer.role.has(command.power()) {
        let error = format!("{} may not do this with the role that the configuration gives", officer.name);
        return Err(Failure::new(StatusCode::FORBIDDEN, error, "ask a registration officer"));
    }
    let store = app.authority.store();
    let generation = store.generation();
    let outcome = carried_out(app, &command, officer, request, context).await;
    let settled = store.settled_since(generation).await.map_err(Error::from);
    settled.and(outcome).map_err(|error| failure(error, context))
}

/// The officer behind the connection.
fn caller<'a>(app: &'a App, context: &Context) -> Result<&'a Officer, Failure> {
    let known = match context.peer {
        Peer::User { uid, socket } => app.officers.caller(uid, socket).ok_or(Some(uid)),
        Peer::Address(_) => Err(None),
    };
    known.map_err(|uid| {
        let who = uid.map_or("the caller".to_owned(), |uid| format!("the user with number {uid}"));
        tracing::warn!(?uid, "refused an unknown caller of the admin socket");
        let next = "add the user to [[officers]] in the configuration and restart the server";
        Failure::new(StatusCode::FORBIDDEN, format!("{who} is no officer of this server"), next)
    })
}

async fn carried_out(
    app: &App,
    command: &Command,
    officer: &Officer,
    request: Arrived,
    context: &Context,
) -> Result<Reply, Error> {
    let (authority, name, now) = (&app.authority, officer.name.as_str(), context.now);
    let target = request.head.uri.clone();
    let query = Query::parse(target.query());
    match command {
        Command::Me => shown(&json!({ "name": officer.name, "role": officer.role })),
        Command::AddOrganisation => {
            shown(&authority.add_organisation(name, organisation(app, request).await?, now).await?)
        }
        Command::ListOrganisations => shown(&authority.list_organisations(query.value("after")?).await?),
        Command::SuspendOrganisation => {
            shown(&authority.suspend_organisation(name, object(app, request).await?, now).await?)
        }
        Command::ResumeOrganisation => {
            shown(&authority.resume_organisation(name, object(app, request).await?, now).await?)
        }
        Command::LimitOrganisation => {
            shown(&authority.limit_organisation(name, object(app, request).await?, now).await?)
        }
        Command::CreateInvitation => {
            shown(&authority.create_invitation(name, invitation(app, request).await?, now).await?)
        }
        Command::ListInvitations => {
            let organisation = query.needed("organisation")?;
            shown(&authority.list_invitations(&organisation, query.value("after")?).await?)
        }
        Command::RevokeInvitation => shown(&authority.revoke_invitation(name, object(app, request).await?, now).await?),
        Command::ListMembers => {
            let organisation = query.needed("organisation")?;
            shown(&authority.list_members(&organisation, query.value("after")?).await?)
        }
        Command::AdmitMember => {
            let request = object(app, request).await?;
            shown(&authority.admit_member(Admitter::Officer(name), &request, now).await?)
        }
        Command::RefuseMember => {
            let request = object(app, request).await?;
            shown(&authority.refuse_member(Admitter::Officer(name), &request, now).await?)
        }
        Command::ListApplications => shown(&authority.list_applications(query.value("after")?, now).await?),
        Command::ShowApplication(reference) => shown(&authority.show_application(reference, now).await?),
        Command::ApproveApplication => {
            shown(&authority.approve_application(name, object(app, request).await?, now).await?)
        }
        Command::RejectApplication => {
            shown(&authority.reject_application(name, object(app, request).await?, now).await?)
        }
        Command::AddMandate => shown(&authority.add_mandate(name, object(app, request).await?, now).await?),
        Command::ListMandates => {
            let organisation = query.needed("organisation")?;
            shown(&authority.list_mandates(&organisation, query.value("after")?).await?)
        }
        Command::EndMandate => shown(&authority.end_mandate(name, object(app, request).await?, now).await?),
        Command::ImportRegister => shown(&register::import(app, name, request, &query, now).await?),
        Command::SyncRegister => {
            let force = query.value("force")?.unwrap_or(false);
            shown(&register::sync(app, name, force, now).await?)
        }
        Command::ShowRegister => shown(&register::show(app, &query, now).await?),
        Command::ListCertificates => {
            let organisation = query.value("organisation")?;
            shown(&authority.list_certificates(organisation.as_ref(), query.value("after")?).await?)
        }
        Command::ShowCertificate(which) => shown(&authority.show_certificate(which).await?),
        Command::ListAudit => shown(&authority.list_audit(query.value("from")?.unwrap_or(1)).await?),
        Command::VerifyAudit => shown(&authority.verify_audit().await?),
        Command::AcceptClock => shown(&authority.accept_clock(name, now).await?),
        Command::Unfinished => unfinished(app, context).await,
    }
}

fn shown<T: Serialize>(value: &T) -> Result<Reply, Error> {
    Ok(Reply::json(StatusCode::OK, value))
}

/// An organisation to add, with the configured limits where the officer named none.
async fn organisation(app: &App, request: Arrived) -> Result<AddOrganisation, Error> {
    let mut given: Map<String, Value> = object(app, request).await?;
    let defaults = &app.organisation_defaults;
    let test = given.get("test") == Some(&Value::Bool(true));
    let of_kind = |profile: &&crate::model::Profile| profile.test == test;
    let profiles = match defaults.profiles.as_slice() {
        [] => app.authority.profiles().filter(of_kind).map(|profile| profile.name.clone()).collect(),
        named => named.to_vec(),
    };
    given.entry("profiles").or_insert(json!(profiles));
    given.entry("zones").or_insert(json!(defaults.zones));
    given.entry("language").or_insert(json!(defaults.language));
    read(given)
}

/// An invitation to make, with the organisation's own limits where the officer named none.
async fn invitation(app: &App, request: Arrived) -> Result<CreateInvitation, Error> {
    let mut given: Map<String, Value> = object(app, request).await?;
    let organisation = given.get("business_id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    if let Some(id) = organisation.filter(|_| !(given.contains_key("profiles") && given.contains_key("zones"))) {
        let organisation = app.authority.organisation_of(&id).await?;
        given.entry("profiles").or_insert(json!(organisation.profiles));
        given.entry("zones").or_insert(json!(organisation.zones));
    }
    read(given)
}

fn read<T: DeserializeOwned>(given: Map<String, Value>) -> Result<T, Error> {
    serde_json::from_value(Value::Object(given)).map_err(|error| Refusal::Malformed { why: error.to_string() }.into())
}

async fn object<T: DeserializeOwned>(app: &App, request: Arrived) -> Result<T, Error> {
    let body = request::body(request.body, app.settings.body_size, app.settings.body_timeout).await?;
    crate::acme::json::object(&body).map_err(|error| Refusal::Malformed { why: error.to_string() }.into())
}

/// How many of each are counted at most.
const MOST_UNFINISHED: usize = 1_000;

async fn unfinished(app: &App, context: &Context) -> Result<Reply, Error> {
    let authority = &app.authority;
    shown(&json!({
        "validations_due": authority.validations_due(context.now, MOST_UNFINISHED).await?.len(),
        "orders_processing": authority.orders_processing(MOST_UNFINISHED).await?.len(),
        "certificates_prepared": authority.certificates_prepared(MOST_UNFINISHED).await?.len(),
    }))
}

fn failure(error: Error, context: &Context) -> Failure {
    match error {
        Error::Refused(refusal) => refused(&refusal, context),
        Error::Form(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
            Failure::new(status, problem.detail, "correct the request")
        }
        Error::Fault(Fault::Unavailable(why)) => {
            tracing::warn!(why, "a command cannot be carried out now");
            let error = format!("the server cannot do this now: {why}");
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, error, "try again in a few seconds")
        }
        Error::Fault(Fault::Internal(why)) => {
            tracing::error!(why, "a command failed");
            let next = format!("look into the server's log for request {}", context.id);
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, why, next)
        }
    }
}

fn refused(refusal: &Refusal, context: &Context) -> Failure {
    if let Refusal::Malformed { why } = refusal {
        return Failure::new(StatusCode::BAD_REQUEST, why, "correct the command and try again");
    }
    Failure::new(StatusCode::CONFLICT, context.language.refusal(refusal), "see what the refusal says")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_one_method_and_path() {
        let parse = |method: &str, path| Command::parse(&method.parse().unwrap(), path);
        assert_eq!(parse("POST", "/organisations"), Some(Command::AddOrganisation));
        assert_eq!(parse("GET", "/certificates/0a0b"), Some(Command::ShowCertificate("0a0b".into())));
        for (method, path) in [("DELETE", "/organisations"), ("GET", "/"), ("POST", "/me"), ("GET", "/audit/x")] {
            assert_eq!(parse(method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn whoever_only_sees_cannot_change_anything() {
        use super::super::officers::OfficerRole;
        assert!(!OfficerRole::Auditor.has(Command::ImportRegister.power()));
        assert!(!OfficerRole::Operator.has(Command::AddOrganisation.power()));
        assert!(OfficerRole::Operator.has(Command::ImportRegister.power()));
        assert!(OfficerRole::Auditor.has(Command::VerifyAudit.power()));
    }
}
